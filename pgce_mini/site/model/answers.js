// What the models' answer says, in tables and in sentences. An answer is
// { tokens, arms: [{ probs, own, entropy }], question }, with the question as page.js has sent it.

import { element } from "./dom.js";
import { ARMS as SHAPINGS } from "./from_python.js";
import { ARMS, armName, betaName, nats, swatch, tokenName } from "./looks.js";
import { fixed, signed } from "./words.js";

const OWN = "A thin line across a bar: the model itself, at temperature 1 and β = 0.";

export const isChanged = ({ temperature, beta }) => temperature !== 1 || beta !== 0;

/** One sentence: who is surest, who is least sure. */
export function takeaway({ arms, question }) {
    const entropies = arms.map(({ entropy }) => entropy);
    const [sharp, flat] = [Math.min(...entropies), Math.max(...entropies)];
    const name = (value) => armName(entropies.indexOf(value));
    const { temperature, beta } = question;
    const set = [temperature !== 1 && `at temperature ${fixed(temperature, 2)}`, beta !== 0 && `with ${betaName(beta)}`];
    const when = isChanged(question) ? `, ${set.filter(Boolean).join(" and ")},` : "";
    if (nats(sharp) === nats(flat))
        return `After this prompt${when} all models are equally sure (entropy ${nats(sharp)} nats).`;
    return (
        `After this prompt${when} ${name(sharp)} is surest about the next token (entropy ${nats(sharp)} nats) and ` +
        `${name(flat)} is least sure (${nats(flat)}).`
    );
}

/** What the models have not met: characters that are not in the manual, sums of another kind. */
export function unseen({ characters, usual, example }, prompt) {
    if (usual && !new RegExp(usual).test(prompt))
        return `The models have read nothing like this: each of their texts begins like “${example}”.`;
    const strange = characters ? [...new Set(prompt)].filter((character) => !characters.includes(character)) : [];
    if (!strange.length) return "";
    const names = strange.slice(0, 8).map((character) => (/\p{C}/u.test(character) ? "�" : character)).join(" ");
    const more = strange.length > 8 ? " …" : "";
    return `Not in the text that the models have read: ${names}${more} — to them, bytes without a meaning.`;
}

/** The models' patterns and names. */
export function legend({ arms }) {
    return arms.map((_, place) => element("span", {}, swatch(place), armName(place)));
}

/** The models with their patterns, what each was rewarded for, and its entropy. */
export function armTable({ arms, question }) {
    const rows = arms.map(({ entropy }, place) => {
        const reward = ARMS[place] ? rewardOf(SHAPINGS[ARMS[place]]) : betaName(question.trainedBeta);
        return [[swatch(place), armName(place)], [reward], [nats(entropy)]];
    });
    const note = isChanged(question) ? element("p", { class: "note" }, OWN) : null;
    return element("div", {}, table(["arm", "its reward in pre-training", "entropy (nats)"], rows), note);
}

function rewardOf({ beta, lambda_head, lambda_tail }) {
    if (beta) return betaName(beta);
    if (lambda_head) return `λ head = ${signed(lambda_head)}`;
    return lambda_tail ? `λ tail = ${signed(lambda_tail)}` : "cross-entropy";
}

/** The numbers of the picture. */
export function tokenTable({ tokens, arms }) {
    const rows = tokens.map((token, i) => [[tokenName(token)], ...arms.map(({ probs }) => [fixed(probs[i], 4)])]);
    return table(["token", ...arms.map((_, place) => armName(place))], rows);
}

/** Each cell is a list of what stands in it; the first of a row is its heading. */
function table(names, rows) {
    const row = ([first, ...cells]) =>
        element("tr", {}, element("th", { scope: "row" }, ...first), ...cells.map((cell) => element("td", {}, ...cell)));
    const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
    return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows.map(row)));
}
