// RL on one state in words: the names of the starts, the takeaway and the caption.

import { allAlike } from "./group_rl.js";
import { fixed } from "./words.js";

const FOUND = 0.9; // probability of being right from which a start is said to have learned it
const groupsText = (n) => `${n} group${n === 1 ? "" : "s"}`;
const stepsText = (n) => `${n} step${n === 1 ? "" : "s"}`;

export const startText = (name, { temperature }) => (name === "temperature" ? `T = ${fixed(temperature, 2)}` : name);

export function rightText({ right, tokens }) {
    if (right.length === 0) return "none yet";
    const names = right.slice(0, 5).map((row) => `“${tokens[row]}”`).join(", ");
    return right.length > 5 ? `${names} and ${right.length - 5} more` : names;
}

/** One sentence about where RL has brought the starts. */
export function rlTakeaway(state, { lines, right, step }) {
    if (!right.includes(true)) return "Which tokens are right? Tick them in the rows.";
    if (!right.includes(false)) return "Every token is right: all of a group earn the same, and nothing is pushed.";
    const name = (line) => startText(line.name, state);
    const at = (line, i = step) => fixed(line.mass[i]);
    const sorted = lines.toSorted((a, b) => b.mass[step] - a.mass[step]);
    const [best, worst] = [sorted[0], sorted.at(-1)];
    const what = state.right.length === 1 ? "the right token" : "the right tokens";
    if (step === 0)
        return `Before RL ${name(best)} gives ${what} most, ${at(best)}, and ${name(worst)} least, ${at(worst)}. Where does RL bring them?`;
    if (worst.mass[step] < FOUND) return behind(state, { best, worst, step, name, at });
    if (state.right.length > 1) return collapsed(state, lines, step, name);
    const since = (line) => line.mass.findIndex((mass) => mass >= FOUND);
    const [first, last] = [lines.reduce((a, b) => (since(b) < since(a) ? b : a)), lines.reduce((a, b) => (since(b) > since(a) ? b : a))];
    const when = (line) => (since(line) === 0 ? "from the beginning" : `at step ${since(line)}`);
    return (
        `All starts are right with a probability above ${FOUND} now: ${name(first)}, which began at ${at(first, 0)}, ` +
        `${when(first)}, ${name(last)}, from ${at(last, 0)}, ${when(last)}.`
    );
}

function behind({ group_size, rl_update }, { best, worst, step, name, at }) {
    const after = `After ${stepsText(step)} ${name(best)} is right with probability ${at(best)}, ${name(worst)} with ${at(worst)}`;
    if (rl_update === "sampled" && worst.barren === 0) return `${after}, from ${at(worst, 0)}.`;
    if (rl_update === "sampled")
        return `${after}: ${worst.barren} of its ${groupsText(step)} drew no right token, and such a group pushes nothing.`;
    const alike = fixed(allAlike(worst.mass[step], group_size), 2);
    return `${after}: of its groups of ${group_size} a share of ${alike} earns all the same and pushes nothing.`;
}

function collapsed({ right }, lines, step, name) {
    const kept = (line) => Math.max(...right.map((row) => line.policies[step][row])) / line.mass[step];
    const most = lines.reduce((a, b) => (kept(b) > kept(a) ? b : a));
    return (
        `All starts are right now, but not with all ${right.length} right tokens: from ${name(most)} one of them has ` +
        `${fixed(kept(most), 2)} of their probability, and entropy fell from ${fixed(most.nats[0], 2)} to ${fixed(most.nats[step], 2)} nats.`
    );
}

/** The settings in one line, for a picture that travels alone. */
export const rlCaption = (state, { step }) =>
    `right: ${rightText(state)}; ${stepsText(step)} of RL of size ${state.rl_lr}, groups of ${state.group_size}, ` +
    `advantages ${state.scale_rewards === "group" ? "divided by the standard deviation" : "not divided"}, ` +
    (state.rl_update === "sampled" ? `seed ${state.seed}` : "expected update");
