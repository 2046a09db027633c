// RL on one state in words: the names of the starts, the takeaway and the caption.

import { ARMS } from "./from_python.js";
import { fixed, quoted, stepsOf } from "./words.js";

const FOUND = 0.9; // probability of being right from which a start is said to have learned it

export const startText = (name, { temperature }) => (name === "temperature" ? `T = ${fixed(temperature, 2)}` : name);

export function rightText({ right, tokens }) {
    if (right.length === 0) return "none yet";
    const names = right.slice(0, 5).map((row) => quoted(tokens[row])).join(", ");
    return right.length > 5 ? `${names} and ${right.length - 5} more` : names;
}

/** One sentence about where RL has brought the paper's three arms; the table has the other starts, too. */
export function rlTakeaway(state, { lines, right, step, isSampled }) {
    if (!right.includes(true)) return "Which tokens are right? Tick them in the rows.";
    if (!right.includes(false)) return "Every token is right: all of a group earn the same, and nothing is pushed.";
    const arms = lines.filter(({ name }) => name in ARMS).toSorted((a, b) => b.mass[step] - a.mass[step]);
    const [best, worst] = [arms[0], arms.at(-1)];
    if (step === 0) return beforeRL(state, best, worst);
    if (worst.mass[step] < FOUND) return behind({ best, worst, step, isSampled });
    return state.right.length > 1 ? onlyOneKept(state, arms, step) : whoWasFirst(arms);
}

function beforeRL({ right }, best, worst) {
    const what = right.length === 1 ? "the right token" : "the right tokens";
    if (fixed(best.mass[0]) === fixed(worst.mass[0])) return `Before RL each arm gives ${what} ${fixed(best.mass[0])}. Where will RL bring them?`;
    return (
        `Before RL ${best.name} gives ${what} most, ${fixed(best.mass[0])}, and ${worst.name} least, ` +
        `${fixed(worst.mass[0])}. Where will RL bring them?`
    );
}

function behind({ best, worst, step, isSampled }) {
    const now = `After ${stepsOf(step)} ${best.name} is right with probability ${fixed(best.mass[step])}, ${worst.name} with`;
    const why = `${worst.barren} of its ${step} groups drew no right token, and such a group pushes nothing`;
    return isSampled && worst.barren > 0
        ? `${now} ${fixed(worst.mass[step])}: ${why}.`
        : `${now} ${fixed(worst.mass[step])}; it began at ${fixed(worst.mass[0])}.`;
}

function onlyOneKept({ right, tokens }, arms, step) {
    const of = (row) => arms.map(({ policies, mass }) => policies[step][row] / mass[step]);
    const most = right.reduce((a, b) => (Math.max(...of(b)) > Math.max(...of(a)) ? b : a));
    const line = arms[of(most).indexOf(Math.max(...of(most)))];
    return (
        `All three arms are right with probability ${FOUND} or more. From ${line.name}, ${quoted(tokens[most])} has ${fixed(Math.max(...of(most)))} of the ` +
        `probability of the ${right.length} right tokens, and entropy went from ${fixed(line.nats[0])} to ` +
        `${fixed(line.nats[step])} nats.`
    );
}

function whoWasFirst(arms) {
    const since = ({ mass }) => mass.findIndex((p) => p >= FOUND);
    const sorted = arms.toSorted((a, b) => since(a) - since(b) || b.mass[0] - a.mass[0]);
    const told = (line) => `${line.name} (from ${fixed(line.mass[0])}) ${since(line) ? `at step ${since(line)}` : "at once"}`;
    return `Each arm came to be right with a probability of ${FOUND} or more: ${sorted.map(told).join(", ")}.`;
}

/** The settings in one line, for a picture that travels alone. */
export const rlCaption = (state, { step }) =>
    `right: ${rightText(state)}; ${stepsOf(step)} of RL of size ${state.rl_lr}, groups of ${state.group_size}, ` +
    `advantages ${state.scale_rewards === "group" ? "divided by the standard deviation" : "not divided"}, ` +
    (state.rl_update === "sampled" ? `seed ${state.seed}` : "expected update");
