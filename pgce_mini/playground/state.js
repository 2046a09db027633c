// The state of the playground: what is in it, what it may be, and the states that follow from it.
//
// { prompt, tokens, labels, beta, lambda_head, lambda_tail, top_k, form, lr, start, steps, prediction, axis } and, of RL,
// { rl, right, group_size, scale_rewards, rl_lr, rl_steps, seed, rl_update, temperature, pass_k, rl_start }, named as in
// `PlaygroundState`. The policy is not part of it: it follows from the rest. An address may bring tokens of its own, with
// `marks`: other policies to compare with, name -> probabilities (address.js).

import { clip, sum } from "./dynamics.js";
import { PRESETS } from "./from_python.js";

export const LIMITS = {
    beta: [-1.5, 2],
    lambda_head: [-1, 1],
    lambda_tail: [-1, 1],
    lr: [0.1, 5],
    steps: [0, 500],
    tokens: [4, 50],
    group_size: [2, 64],
    rl_lr: [0.1, 10],
    rl_steps: [0, 200],
    seed: [0, 999],
    temperature: [0.1, 3],
    pass_k: [1, 64],
};
export const MOST_RL = LIMITS.rl_steps[1];
export const CHOICES = {
    form: ["product", "exponent"],
    start: ["uniform", "labels"],
    axis: ["linear", "log"],
    scale_rewards: ["none", "group"],
    rl_update: ["sampled", "expected"],
    rl_start: ["ce", "precision", "diversity", "temperature", "yours"],
};
export const MOST_MARKS = 6; // shapes that can be told apart (shapes.js)
const MOST = 0.999; // of a dragged probability: the rest keep their proportions in what is left

export const shapingOf = ({ beta, lambda_head, lambda_tail, top_k, form, tokens }) => ({
    beta, lambda_head, lambda_tail, form, top_k: Math.min(top_k, tokens.length),
});

export const startLogits = ({ start, labels }) => labels.map((q) => (start === "labels" ? Math.log(q) : 0));

/** Whether there is a prediction and the answer to it is still hidden. */
export const isHidden = ({ prediction, steps }) => Boolean(prediction) && steps === 0;

/** What the handles set: the prediction while the answer is hidden, else the labels. */
export const handled = (state) => (isHidden(state) ? state.prediction : state.labels);

export function normalised(values) {
    const total = sum(values);
    return values.map((value) => value / total);
}

/** The label distributions to choose from; prompt and tokens that none of them begins with are offered as "given". */
export function presetsWith(base) {
    const given = { prompt: base.prompt, tokens: base.tokens, weights: base.labels, marks: base.marks };
    return presetOf(base, PRESETS) ? PRESETS : { ...PRESETS, given };
}

/** The name of the preset that begins with these tokens, or null. */
export function presetOf({ prompt, tokens }, presets) {
    const isIt = (preset) => preset.prompt === prompt && tokens.every((token, i) => token === preset.tokens[i]);
    return Object.keys(presets).find((name) => isIt(presets[name])) ?? null;
}

/** The state with the first `count` tokens of a preset; a run begins anew. */
export function withPreset(state, { prompt, tokens, weights, marks }, count) {
    const n = Math.min(count, tokens.length);
    const labels = normalised(weights.slice(0, n));
    const top_k = Math.min(state.top_k, n);
    const shown = n === tokens.length ? marks : undefined; // of all tokens, or they would not sum to 1
    const begun = { steps: 0, rl_steps: 0, prediction: null, right: state.right.filter((row) => row < n) };
    return { ...state, ...begun, prompt, tokens: tokens.slice(0, n), labels, top_k, marks: shown };
}

/** The distribution with one probability changed. What is `pinned` stays if it can; the rest share in proportion. */
export function withProbability(probs, index, value, pinned = new Set()) {
    const fixed = probs.map((_, i) => i !== index && pinned.has(i));
    if (probs.every((_, i) => i === index || fixed[i])) fixed.fill(false); // all are pinned: none is
    const held = sum(probs.filter((_, i) => fixed[i]));
    const set = clip(value, 0, Math.min(MOST, 1 - held));
    const free = probs.map((_, i) => i !== index && !fixed[i]);
    const rest = sum(probs.filter((_, i) => free[i]));
    const share = 1 - held - set;
    const even = 1 / free.filter(Boolean).length;
    return probs.map((p, i) => {
        if (i === index) return set;
        if (!free[i]) return p;
        return share * (rest > 0 ? p / rest : even);
    });
}
