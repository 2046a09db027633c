// The numbers of the picture. All of them follow from the state.

import {
    descend, entropy, expectedGradient, expectedReward, inHead, softmax, stationaryPolicy, sum, totalVariation,
} from "./dynamics.js";
import { isHidden, LIMITS, shapingOf, startLogits } from "./state.js";

const CROSS_ENTROPY = { beta: 0, lambda_head: 0, lambda_tail: 0, top_k: 1, form: "product" };
const AT_REST = 1e-4; // largest push at which training is said to have come to rest

const largest = (values) => Math.max(...values.map(Math.abs));
const negated = (values) => values.map((value) => -value);

/** derive(state) gives the numbers; what the state before had in common with this one is not computed again. */
export function deriver() {
    const [shapedRun, plainRun, findEnds] = [rememberedRun(), rememberedRun(), endFinder()];
    return (state) => {
        const { labels, prediction } = state;
        const shaping = shapingOf(state);
        const logits = shapedRun(state, shaping);
        const policy = softmax(logits);
        const head = inHead(policy, shaping.top_k);
        const { end, elsewhere, reason } = findEnds(labels, shaping, policy, head);
        const hidden = isHidden(state);
        const target = prediction && !hidden ? elsewhere ?? end ?? policy : null;
        const push = negated(expectedGradient(logits, labels, shaping));
        return {
            shaping, policy, head, push,
            startPush: negated(expectedGradient(startLogits(state), labels, shaping)),
            plain: softmax(plainRun(state, CROSS_ENTROPY)), // cross-entropy after as many steps
            end, // where training ends, null with a `reason` where it has no end
            reason,
            elsewhere, // where this run ends, when that is not the marked end
            entropy: entropy(policy),
            headMass: sum(policy.filter((_, a) => head[a])),
            tailMass: sum(policy.filter((_, a) => !head[a])),
            reward: expectedReward(logits, labels, shaping),
            distance: end && totalVariation(policy, end),
            resting: largest(push) < AT_REST,
            hidden, // the answer, until play is pressed
            target, // what a prediction is judged by
            miss: target && totalVariation(prediction, target),
        };
    };
}

/** run(state, shaping) gives the logits after the state's steps; one step more costs one step and not all of them. */
function rememberedRun() {
    let [key, steps, logits] = [null, 0, null];
    return (state, shaping) => {
        const wanted = JSON.stringify([state.labels, state.start, state.lr, shaping]);
        if (wanted !== key || state.steps < steps) [key, steps, logits] = [wanted, 0, startLogits(state)];
        logits = descend(logits, state.labels, shaping, state.steps - steps, state.lr);
        steps = state.steps;
        return logits;
    };
}

/**
 * find(labels, shaping, policy, head) gives { end, reason, elsewhere }. Being in the head may keep a token in it: then
 * a start in which others are in it leads to another end, and `elsewhere` is that one if the policy is nearer to it.
 */
function endFinder() {
    const fromLabels = remembered(stationaryPolicy);
    const fromHead = remembered((labels, shaping, head) => stationaryPolicy(labels, shaping, head.map(Number)).policy);
    return (labels, shaping, policy, head) => {
        const { policy: end, reason } = fromLabels(labels, shaping);
        const labelsHead = inHead(labels, shaping.top_k);
        const severalEnds = shaping.lambda_head > shaping.lambda_tail && head.some((is, a) => is !== labelsHead[a]);
        const here = severalEnds && end && fromHead(labels, shaping, head);
        const nearer = here && totalVariation(policy, here) < totalVariation(policy, end);
        return { end, reason, elsewhere: nearer ? here : null };
    };
}

/** The function, with its last result kept for inputs that are alike. */
export function remembered(compute) {
    let [key, value] = [null, null];
    return (...inputs) => {
        const wanted = JSON.stringify(inputs);
        if (wanted !== key) [key, value] = [wanted, compute(...inputs)];
        return value;
    };
}

/** The step at which training rests, or the last there may be. */
export function restingStep(state) {
    const shaping = shapingOf(state);
    let z = startLogits(state);
    for (let step = 0; step < LIMITS.steps[1]; step++) {
        const gradient = expectedGradient(z, state.labels, shaping);
        if (step > 0 && largest(gradient) < AT_REST) return step;
        z = z.map((value, a) => value - state.lr * gradient[a]);
    }
    return LIMITS.steps[1];
}
