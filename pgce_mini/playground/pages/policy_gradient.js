// The page "CE is a policy gradient": the traces of `figures.gradient_estimates` that follow the number of samples.
// A browser does not draw as NumPy does, so the draws of each number of samples come from Python.

import { sum } from "./dynamics.js";
import { percent, withTraces } from "./figure.js";

const [ESTIMATE, NOW] = [2, 5]; // places of its traces

/** REINFORCE's estimate of dJ/dz from counts of samples: `theory.reinforce_gradient`. */
function reinforce(policy, rewards, counts, baseline) {
    const drawn = sum(counts);
    const weights = counts.map((count, a) => (count / drawn) * (rewards[a] - baseline));
    const mean = sum(weights);
    return weights.map((weight, a) => weight - policy[a] * mean);
}

const norm = (values) => Math.sqrt(sum(values.map((value) => value * value)));

/** given: { policy, target, rewards, baseline, samples, counts, expected, gap }; values.n is a place in samples. */
export function moved(figure, { n }, given) {
    const { policy, target, rewards, baseline, samples } = given;
    const [size, counts] = [samples[n], given.counts[n]];
    const exact = policy.map((pi, a) => (a === target ? 1 : 0) - pi);
    const estimate = reinforce(policy, rewards, counts, baseline);
    const error = norm(estimate.map((value, a) => value - exact[a])) / norm(exact);
    const changes = { [ESTIMATE]: { x: estimate }, [NOW]: { x: [size], y: [error || null] } }; // 0 has no logarithm
    return { figure: withTraces(figure, changes), takeaway: takeaway(given, size, counts[target], error, given.expected[n]) };
}

function takeaway({ policy, target, gap }, size, hits, error, rms) {
    const many = (number) => number.toLocaleString("en");
    const exact =
        gap < 1e-12
            ? "Cross-entropy and the exact policy gradient are the same"
            : `Cross-entropy and the exact policy gradient differ by ${gap.toExponential(1)}`;
    const drew =
        size > 1 ? `${many(hits)} of ${many(size)} samples drew` : `the one sample ${hits ? "drew" : "missed"}`;
    const unseen = (1 - policy[target]) ** size;
    const seldom = unseen >= 0.005 ? `; in ${percent(unseen, 0)} of such draws none does` : "";
    return (
        `${exact}; REINFORCE is off by ${percent(error)} here (root mean square ${percent(rms)}): ${drew} the true ` +
        `token (π(x) = ${policy[target]}${seldom}).`
    );
}
