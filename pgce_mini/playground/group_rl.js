// RL with a verifier on one state: `pgce_mini.theory.group_rl`, formula by formula, in doubles. Tests hold the two to
// 1e-9, and the same seed draws the same tokens. `right` is a boolean for each token.

import { softmax, sum } from "./dynamics.js";

const STD_EPSILON = 1e-4; // added to the standard deviation of a group's rewards

/** `count` numbers in [0, 1) from the generator mulberry32, a hash of a counter. */
export function uniforms(seed, count) {
    return Array.from({ length: count }, (_, i) => {
        const state = (seed + Math.imul(0x6d2b79f5, i + 1)) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    });
}

/** The token at which the cumulated probabilities first exceed each number of `draws`: the inverse CDF. */
export function sampleTokens(probs, draws) {
    const cumulated = [];
    let total = 0;
    for (const p of probs) cumulated.push((total += p));
    const last = probs.findLastIndex((p) => p > 0); // the sum may round to less than 1
    return draws.map((draw) => {
        let a = 0;
        while (a < last && cumulated[a] <= draw) a++;
        return a;
    });
}

/** What divides the advantages of a group whose rewards have this variance. */
const scaleOf = (variance, size, scaleRewards) =>
    scaleRewards === "group" ? Math.sqrt((variance * size) / (size - 1)) + STD_EPSILON : 1;

/** The push on the logits that a group of drawn tokens gives: 1/G sum_i A_i onehot(y_i). */
export function groupPush(tokens, right, scaleRewards) {
    const size = tokens.length;
    const mean = tokens.filter((a) => right[a]).length / size;
    const scale = size * scaleOf(mean * (1 - mean), size, scaleRewards);
    const push = new Array(right.length).fill(0);
    for (const a of tokens) push[a] += ((right[a] ? 1 : 0) - mean) / scale;
    return push;
}

/** `groupPush` averaged over all groups that the policy may draw, in closed form. */
export function expectedGroupPush(probs, right, size, scaleRewards) {
    const [p, wrong] = [sum(probs.filter((_, a) => right[a])), sum(probs.filter((_, a) => !right[a]))];
    if (p <= 0 || wrong <= 0) return probs.map(() => 0);
    let [logWays, force] = [0, 0]; // of choosing the k right ones; E[f(k)]
    for (let k = 0; k <= size; k++) {
        if (k > 0) logWays += Math.log((size - k + 1) / k);
        const chance = Math.exp(logWays + k * Math.log(p) + (size - k) * Math.log(wrong));
        const variance = (k * (size - k)) / size ** 2; // of the group's rewards
        force += (chance * variance) / scaleOf(variance, size, scaleRewards);
    }
    return probs.map((value, a) => force * (right[a] ? value / p : -value / wrong));
}

/** The logits after a step of size lr along the push. */
export const pushed = (logits, push, lr) => logits.map((z, a) => z + lr * push[a]);

/** Pass@k of one state: that of k new tokens one or more are right. */
export const rightInK = (p, k) => -Math.expm1(k * Math.log1p(-p));

/** RL, step by step: { policies, tokens, teaches } as `GroupRun`. */
export function groupRun(logits, right, { size, steps, lr, seed, scaleRewards }) {
    const draws = uniforms(seed, steps * size);
    const run = { policies: [softmax(logits)], tokens: [], teaches: [] };
    for (let [step, z] = [0, logits]; step < steps; step++) {
        const tokens = sampleTokens(run.policies[step], draws.slice(step * size, (step + 1) * size));
        z = pushed(z, groupPush(tokens, right, scaleRewards), lr);
        run.policies.push(softmax(z));
        run.tokens.push(tokens);
        run.teaches.push(tokens.some((a) => right[a]) && tokens.some((a) => !right[a]));
    }
    return run;
}

/** The policies along RL that takes the expected push in each step. */
export function expectedGroupRun(logits, right, { size, steps, lr, scaleRewards }) {
    const policies = [softmax(logits)];
    for (let [step, z] = [0, logits]; step < steps; step++) {
        z = pushed(z, expectedGroupPush(policies[step], right, size, scaleRewards), lr);
        policies.push(softmax(z));
    }
    return policies;
}
