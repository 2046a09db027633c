// What RL has made of each start, as a table.

import { element, setText } from "./dom.js";
import { rightInK } from "./group_rl.js";
import { startText } from "./rl_words.js";
import { fixed } from "./words.js";

const COLUMNS = {
    "right before RL": ({ mass }) => fixed(mass[0]),
    "right now": ({ mass }, { step }) => fixed(mass[step]),
    "Pass@k": ({ mass }, { step }, { pass_k }) => fixed(rightInK(mass[step], pass_k)),
    "entropy, nats": ({ nats }, { step }) => fixed(nats[step]),
    "groups without a push": ({ silent }, { step, isSampled }) => (isSampled ? `${silent}/${step}` : "–"),
};

/** A table that keeps its cells while the starts stay the same. */
export function startsTable() {
    const node = element("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": "The starts" });
    let [drawn, rows] = [null, []];
    return {
        node,
        draw(state, { rl }) {
            const names = rl.lines.map(({ name }) => name);
            if (drawn !== names.join()) {
                drawn = names.join();
                rows = names.map(() => ["th", ...Object.keys(COLUMNS).map(() => "td")].map((tag) => element(tag)));
                for (const [head] of rows) head.setAttribute("scope", "row");
                const heads = ["start", ...Object.keys(COLUMNS)].map((name) => element("th", { scope: "col" }, name));
                const body = element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells)));
                node.replaceChildren(
                    element("table", { class: "starts" }, element("thead", {}, element("tr", {}, ...heads)), body),
                );
            }
            rl.lines.forEach((line, i) => {
                const texts = Object.values(COLUMNS).map((textOf) => textOf(line, rl, state));
                [startText(line.name, state), ...texts].forEach((text, j) => setText(rows[i][j], text));
            });
        },
    };
}
