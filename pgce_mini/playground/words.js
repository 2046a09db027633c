// The state in words: numbers as they are written, the takeaway and the caption.

import { entropy, MIN_COMPLEMENT, totalVariation } from "./dynamics.js";

const SAME = 5e-4; // a difference that three decimals do not show

export const fixed = (value, digits = 3) => (value === null ? "–" : value.toFixed(digits).replace("-", "−"));
export const signed = (value) => `${value > 0 ? "+" : ""}${fixed(value, 2)}`;
export const stepsOf = (n) => `${n} step${n === 1 ? "" : "s"}`;
export const quoted = (token) => `“${token}”`;

/** The token whose two probabilities differ most. */
function widest(p, q) {
    const gaps = p.map((value, i) => Math.abs(value - q[i]));
    return gaps.indexOf(Math.max(...gaps));
}

/** One sentence about this state. */
export function takeaway(state, numbers) {
    const { hidden, target, end, elsewhere, reason } = numbers;
    if (hidden) return "Where will each token end? Drag the diamonds there, then press Play.";
    if (target) return missOf(state, numbers);
    if (!end) return takenAll(state, numbers) ?? `No end is marked: ${reason}.`;
    return elsewhere ? otherEnd(state, numbers) : endBesideFrequencies(state, numbers);
}

function missOf({ tokens, prediction, steps }, { end, target, miss }) {
    const i = widest(prediction, target);
    const [what, verb] = end ? ["where training ends", "ends at"] : [`the policy after ${stepsOf(steps)}`, "is at"];
    return (
        `Your prediction misses ${what} by ${fixed(miss)} (total variation); the widest miss is ` +
        `${quoted(tokens[i])}: you said ${fixed(prediction[i])}, it ${verb} ${fixed(target[i])}.`
    );
}

/** Where a token takes all: why its arrow points back in the end, as in the loss. Null elsewhere. */
function takenAll({ tokens, beta }, { policy, push }) {
    const i = policy.findIndex((p) => 1 - p < MIN_COMPLEMENT);
    if (beta > -1 || i < 0) return null;
    const arrows = push[i] < 0 ? "its arrow turns back, but π stays there" : "π stays there";
    return (
        `${quoted(tokens[i])} takes all. Within 10⁻⁶ of 1 the loss lets its weight grow no further ` +
        `(1 − π counts as 10⁻⁶): ${arrows}.`
    );
}

function otherEnd({ tokens }, { end, elsewhere }) {
    const i = widest(elsewhere, end);
    return (
        `From this start other tokens hold the head, and training ends ${fixed(totalVariation(elsewhere, end))} ` +
        `from the marked end: ${quoted(tokens[i])} at ${fixed(elsewhere[i])}, not ${fixed(end[i])}.`
    );
}

function endBesideFrequencies({ labels, tokens, beta, lambda_head, lambda_tail }, { end }) {
    const [before, after] = [entropy(labels), entropy(end)];
    if (totalVariation(labels, end) < SAME) {
        const plain = beta === 0 && lambda_head === 0 && lambda_tail === 0;
        const who = plain ? "Cross-entropy ends" : "As with cross-entropy, training ends";
        return `${who} at the frequencies themselves, with their entropy of ${fixed(before)} nats.`;
    }
    const i = widest(labels, end);
    const moves = `${quoted(tokens[i])} ends at ${fixed(end[i])} where its frequency is ${fixed(labels[i])}`;
    if (Math.abs(after - before) < SAME) return `Training ends beside the frequencies, at the same entropy: ${moves}.`;
    const [form, verb] = after < before ? ["sharper", "falls"] : ["flatter", "rises"];
    return (
        `Training ends ${form} than the frequencies: entropy ${verb} from ${fixed(before)} to ${fixed(after)} nats, ` +
        `and ${moves}.`
    );
}

export const promptText = ({ prompt, marks, rl }) =>
    `Next token after “${prompt}”` + (marks && !rl ? "; small marks: what trained models expect" : "");

/** The settings in one line, for a picture that travels alone. */
export const caption = ({ beta, lambda_head, lambda_tail, form, lr, steps }, { shaping }) =>
    `β ${signed(beta)}, λ head ${signed(lambda_head)}, λ tail ${signed(lambda_tail)}, k ${shaping.top_k}, ` +
    `${form} form; ${stepsOf(steps)} of size ${lr}`;

/** What a class can be asked of this state, and the answer: where its most frequent token ends, null without an end. */
export function classQuestion({ prompt, tokens, labels, beta, lambda_head, lambda_tail, form }, { end, shaping }) {
    const i = labels.indexOf(Math.max(...labels));
    const lambdas = [["λ head", lambda_head], ["λ tail", lambda_tail]].filter(([, value]) => value !== 0);
    const settings = [["β", beta], ...lambdas].map(([name, value]) => `${name} = ${fixed(value, 2)}`);
    if (lambda_head !== lambda_tail) settings.push(`k = ${shaping.top_k}`);
    const reading = form === "exponent" && beta !== 0 ? " (exponent form)" : "";
    const text =
        `${quoted(tokens[i])} follows ${quoted(prompt)} with frequency ${fixed(labels[i])}. ` +
        `Where does its probability end at ${settings.join(", ")}${reading}?`;
    return { text, right: end?.[i] ?? null };
}
