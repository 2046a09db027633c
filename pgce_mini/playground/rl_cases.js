// Prepared cases of RL: a preset, as many tokens of it, and what else differs from one case to another.

import { PRESETS } from "./from_python.js";
import { withPreset } from "./state.js";

const CASES = {
    "right token leads": { preset: "peaked", count: 8, beta: 0, steps: 0, right: [0], rl_lr: 0.5, seed: 0 },
    "right token is rare": { preset: "peaked", count: 10, beta: -1.25, steps: 40, right: [9], rl_lr: 1.5, seed: 0 },
    "two are right": { preset: "peaked", count: 8, beta: 0, steps: 0, right: [0, 1], rl_lr: 1, seed: 0 },
};
const COMMON = {
    lambda_head: 0, lambda_tail: 0, form: "product", start: "uniform", lr: 1, group_size: 8, scale_rewards: "none",
    rl_update: "sampled", temperature: 0.7, rl_start: "ce",
};

export const caseNames = Object.keys(CASES);

/** The state of a case, before the first step of RL. */
export function withCase(state, name) {
    const { preset, count, ...changes } = CASES[name];
    return { ...withPreset(state, PRESETS[preset], count), ...COMMON, ...changes, rl: true };
}

/** The case that the state shows, whatever its step, or null. */
export function caseOf(state) {
    const parts = (other) => {
        const { rl_steps, pass_k, rl_start, rl_update, axis, prediction, top_k, marks, ...rest } = other;
        return JSON.stringify(Object.entries(rest).sort());
    };
    return caseNames.find((name) => parts(withCase(state, name)) === parts(state)) ?? null;
}
