// The state in an address: "beta=-0.25&k=2". Only what differs from a base is there, probabilities to 6 digits.

import { sum } from "./dynamics.js";
import { CHOICES, LIMITS, MOST_MARKS, normalised, presetOf, presetsWith, withPreset } from "./state.js";

const SAME_NAME = ["beta", "lambda_head", "lambda_tail", "form", "lr", "start", "steps", "axis"]; // as in the state
const RL = ["group_size", "scale_rewards", "rl_lr", "rl_steps", "seed", "rl_update", "temperature", "pass_k", "rl_start"];
const KEYS = ["labels", "tokens", "q", ...SAME_NAME, "k", "predict", "rl", "right", ...RL];

/** What differs from `base`, after the parameters of `query` that are not ours. */
export function toQuery(state, base, query = "") {
    const parameters = new URLSearchParams(query);
    for (const key of KEYS) parameters.delete(key);
    const presets = presetsWith(base);
    const name = presetOf(state, presets);
    const put = (key, value, usual) => value !== usual && parameters.set(key, value);
    put("labels", name, presetOf(base, presets));
    put("tokens", state.tokens.length, base.tokens.length);
    const usual = withPresetOf(parameters, base); // what the address says so far
    put("q", digits(state.labels), digits(usual.labels));
    for (const key of SAME_NAME) put(key, state[key], usual[key]);
    put("k", state.top_k, usual.top_k);
    put("predict", digits(state.prediction ?? []), digits(usual.prediction ?? [])); // "" is none
    put("rl", Number(state.rl), Number(usual.rl));
    put("right", state.right.join(), usual.right.join());
    for (const key of RL) put(key, state[key], usual[key]);
    return parameters.toString().replaceAll("%2C", ",");
}

const digits = (values) => values.map((value) => Number(value.toPrecision(6))).join(",");

/** The state of an address; what makes no sense in it is as if it were not there. */
export function fromQuery(query, base) {
    const parameters = new URLSearchParams(query);
    const state = withPresetOf(parameters, base);
    const n = state.tokens.length;
    state.labels = readDistribution(parameters.get("q"), n) ?? state.labels;
    for (const key of ["beta", "lambda_head", "lambda_tail", "lr", "rl_lr", "temperature"])
        state[key] = readNumber(parameters, key, LIMITS[key]) ?? state[key];
    for (const key of ["steps", "group_size", "rl_steps", "seed", "pass_k"])
        state[key] = readWhole(parameters, key, LIMITS[key]) ?? state[key];
    state.rl = Boolean(readWhole(parameters, "rl", [0, 1]) ?? state.rl);
    state.right = readRows(parameters, "right", n) ?? state.right;
    state.top_k = readWhole(parameters, "k", [1, n]) ?? state.top_k;
    for (const [key, values] of Object.entries(CHOICES))
        if (values.includes(parameters.get(key))) state[key] = parameters.get(key);
    state.prediction = readDistribution(parameters.get("predict"), n) ?? state.prediction;
    if (parameters.get("predict") === "") state.prediction = null;
    return state;
}

/**
 * The base with the tokens that an address brings: their prompt, the tokens (a parameter each), how often each follows
 * and, by name, other policies to mark: "prompt=2+%2B+2&token=4&token=5&given=0.7,0.3&mark=precision:0.8,0.2".
 * `given_query` writes it.
 */
export function withGiven(query, base) {
    const parameters = new URLSearchParams(query);
    const tokens = parameters.getAll("token").filter(Boolean);
    const labels = readDistribution(parameters.get("given"), tokens.length);
    if (!labels || tokens.length < 2 || tokens.length > LIMITS.tokens[1] || new Set(tokens).size < tokens.length)
        return base;
    const found = parameters.getAll("mark").map((text) => {
        const end = text.lastIndexOf(":");
        return [text.slice(0, Math.max(end, 0)), readDistribution(text.slice(end + 1), tokens.length)];
    });
    const marks = Object.fromEntries(found.filter(([name, probs]) => name && probs).slice(0, MOST_MARKS));
    const top_k = Math.min(base.top_k, tokens.length);
    return { ...base, prompt: parameters.get("prompt") ?? "", tokens, labels, marks, top_k };
}

/** The part of an address that `withGiven` reads. */
export function givenPart(query) {
    const entries = [...new URLSearchParams(query)];
    return String(new URLSearchParams(entries.filter(([key]) => ["prompt", "token", "given", "mark"].includes(key))));
}

function withPresetOf(parameters, base) {
    const presets = presetsWith(base);
    const usual = presetOf(base, presets);
    const name = parameters.get("labels") ?? "";
    const chosen = Object.hasOwn(presets, name) ? name : usual;
    const count = readWhole(parameters, "tokens", LIMITS.tokens) ?? base.tokens.length;
    if (chosen === usual && count === base.tokens.length) return { ...base };
    return { ...withPreset(base, presets[chosen], count), steps: base.steps };
}

function readNumber(parameters, key, [low, high]) {
    const text = parameters.get(key) ?? "";
    const value = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : NaN;
    return value >= low && value <= high ? value : null;
}

function readWhole(parameters, key, limits) {
    const value = readNumber(parameters, key, limits);
    return Number.isInteger(value) ? value : null;
}

/** Different whole numbers below n, perhaps none. */
function readRows(parameters, key, n) {
    const text = parameters.get(key) ?? "-";
    const rows = text ? text.split(",").map((part) => (/^\d{1,2}$/.test(part) ? Number(part) : n)) : [];
    return rows.every((row) => row < n) ? [...new Set(rows)].sort((a, b) => a - b) : null;
}

function readDistribution(text, length) {
    const values = (text ?? "").split(",").map((text) => (text.trim() ? Number(text) : NaN));
    const sound = values.length === length && values.every((value) => value >= 0 && value <= 1);
    return sound && Math.abs(sum(values) - 1) < 1e-3 ? normalised(values) : null;
}
