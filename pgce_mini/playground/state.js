// The state of the playground: what is in it, what it may be, and its way into an address and back.
//
// { prompt, tokens, labels, beta, lambda_head, lambda_tail, top_k, form, lr, start, steps, prediction, axis }, named
// as in `PlaygroundState`. The policy is not part of it: it follows from the rest, which an address has, the labels
// to 6 digits.

import { clip, sum } from "./dynamics.js";

// PRESETS, labels to choose from, and ARMS, the paper's, are put here by pgce_mini/playground/__init__.py.

export const LIMITS = {
    beta: [-1.5, 2],
    lambda_head: [-1, 1],
    lambda_tail: [-1, 1],
    lr: [0.1, 5],
    steps: [0, 500],
    tokens: [4, 50],
};
const CHOICES = { form: ["product", "exponent"], start: ["uniform", "labels"], axis: ["linear", "log"] };
const MOST = 0.999; // of a dragged probability: the rest keep their proportions in what is left
const KEYS = ["labels", "tokens", "q", "beta", "lambda_head", "lambda_tail", "k", "form", "lr", "start", "steps"].concat(
    ["predict", "axis"],
);

export const shapingOf = ({ beta, lambda_head, lambda_tail, top_k, form, tokens }) => ({
    beta, lambda_head, lambda_tail, form, top_k: Math.min(top_k, tokens.length),
});

export const startLogits = ({ start, labels }) => labels.map((q) => (start === "labels" ? Math.log(q) : 0));

const normalised = (values) => {
    const total = sum(values);
    return values.map((value) => value / total);
};

const same = (a, b) => a?.length === b?.length && a.every((value, i) => value === b[i]);

/** The label distributions to choose from; one that none of them begins with is offered as "given". */
export function presetsWith(base) {
    const known = Object.values(PRESETS).some((p) => same(p.tokens.slice(0, base.tokens.length), base.tokens));
    return known ? PRESETS : { ...PRESETS, given: { prompt: base.prompt, tokens: base.tokens, weights: base.labels } };
}

/** The preset whose first tokens these are. */
export const presetOf = ({ prompt, tokens }, presets) =>
    Object.keys(presets).find((name) => {
        const preset = presets[name];
        return preset.prompt === prompt && same(preset.tokens.slice(0, tokens.length), tokens);
    }) ?? null;

/** The state with the first `count` tokens of a preset; a run begins anew. */
export function withPreset(state, { prompt, tokens, weights }, count) {
    const n = Math.min(count, tokens.length);
    const labels = normalised(weights.slice(0, n));
    const top_k = Math.min(state.top_k, n);
    return { ...state, prompt, tokens: tokens.slice(0, n), labels, top_k, steps: 0, prediction: null };
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

/** "beta=-0.25&k=2": what differs from `base`, after the parameters of `query` that are not ours. */
export function toQuery(state, base, query = "") {
    const parameters = new URLSearchParams(query);
    for (const key of KEYS) parameters.delete(key);
    const presets = presetsWith(base);
    const name = presetOf(state, presets);
    const put = (key, value, usual) => value !== usual && parameters.set(key, value);
    const digits = (values) => values.map((value) => Number(value.toPrecision(6))).join(",");
    put("labels", name, presetOf(base, presets));
    put("tokens", state.tokens.length, base.tokens.length);
    const usual = withPreset(state, presets[name] ?? PRESETS.peaked, state.tokens.length).labels;
    if (digits(state.labels) !== digits(usual)) parameters.set("q", digits(state.labels));
    for (const key of ["beta", "lambda_head", "lambda_tail", "form", "lr", "start", "steps", "axis"])
        put(key, state[key], base[key]);
    put("k", state.top_k, base.top_k);
    if (state.prediction) parameters.set("predict", digits(state.prediction));
    return parameters.toString().replaceAll("%2C", ",");
}

/** The state of an address; what makes no sense in it is as if it were not there. */
export function fromQuery(query, base) {
    const parameters = new URLSearchParams(query);
    const presets = presetsWith(base);
    const number = (key, [low, high], whole = false) => {
        const text = parameters.get(key) ?? "";
        const value = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : NaN;
        return value >= low && value <= high && (!whole || Number.isInteger(value)) ? value : null;
    };
    const distribution = (key, length) => {
        const values = (parameters.get(key) ?? "").split(",").map((text) => (text.trim() ? Number(text) : NaN));
        const sound = values.length === length && values.every((value) => value >= 0 && value <= 1);
        return sound && Math.abs(sum(values) - 1) < 1e-3 ? normalised(values) : null;
    };

    let state = { ...base };
    const name = parameters.get("labels");
    const count = number("tokens", LIMITS.tokens, true) ?? base.tokens.length;
    const chosen = Object.hasOwn(presets, name ?? "") ? name : presetOf(base, presets);
    if (chosen !== presetOf(base, presets) || count !== base.tokens.length)
        state = { ...withPreset(state, presets[chosen], count), steps: base.steps };
    const n = state.tokens.length;
    state.labels = distribution("q", n) ?? state.labels;
    for (const key of ["beta", "lambda_head", "lambda_tail", "lr"]) state[key] = number(key, LIMITS[key]) ?? state[key];
    state.steps = number("steps", LIMITS.steps, true) ?? state.steps;
    state.top_k = number("k", [1, n], true) ?? state.top_k;
    for (const [key, values] of Object.entries(CHOICES))
        state[key] = values.includes(parameters.get(key)) ? parameters.get(key) : state[key];
    state.prediction = distribution("predict", n) ?? state.prediction;
    return state;
}
