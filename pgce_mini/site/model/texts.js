// How each model goes on: its texts, token by token as they come.

import { element } from "./dom.js";
import { checkbox, swatch, tokenName } from "./looks.js";
import { LEVELS } from "./of_models.js";

/** { node, begin(names, samples, isTask), add(pieces), end() }; draws: the button for others. */
export function texts(draws) {
    const legend = LEVELS.flatMap(([, name], level) => [element("span", { class: `p${level}` }, name), " "]);
    const list = element("div", { class: "texts" });
    const node = element(
        "section", { "aria-label": "How each goes on" }, element("h2", {}, "How each goes on"),
        element("p", { class: "legend" }, "Probability of a token, as the model sees it: ", ...legend),
        checkbox("Write the probability after each token", (on) => list.classList.toggle("numbered", on)), draws, list,
    );
    let [paragraphs, ofTask] = [[], false];
    return {
        node,
        begin(names, samples, isTask) {
            ofTask = isTask;
            paragraphs = names.map(() => Array.from({ length: samples }, () => element("p", { class: "written" })));
            list.style.minHeight = `${list.offsetHeight}px`; // the page does not jump while the new ones grow
            const heading = (name, arm) => element("h3", {}, swatch(arm), name);
            list.replaceChildren(...names.map((name, arm) => element("div", {}, heading(name, arm), ...paragraphs[arm])));
        },
        add(pieces) {
            for (const { arm, sample, token, prob } of pieces) {
                const level = LEVELS.findIndex(([least]) => prob >= least);
                const shown = ofTask ? tokenName(token) : token.replaceAll("\n", "↵\n");
                const [, text, line] = /^(.*?)(\n?)$/s.exec(shown); // a new line begins behind the number
                const attributes = { class: `p${level}`, title: prob.toFixed(4), "data-prob": prob.toFixed(2) };
                if (ofTask && paragraphs[arm][sample].childElementCount) paragraphs[arm][sample].append(" ");
                paragraphs[arm][sample].append(element("span", attributes, text), line);
            }
        },
        end: () => (list.style.minHeight = ""),
    };
}
