// The end of training beside the frequencies at a temperature: `pgce_mini.theory.temperature`.

import { entropy, indexOfMax, stationaryPolicy, tempered, totalVariation } from "./dynamics.js";

const [COLDEST, HOTTEST] = [1e-4, 1e4];

/** The temperature at which q has the entropy `nats`, null if there is none. */
function matchedTemperature(q, nats) {
    const entropyAt = (temperature) => entropy(tempered(q, temperature));
    if (!(entropyAt(COLDEST) <= nats && nats <= entropyAt(HOTTEST))) return null;
    let [low, high] = [Math.log(COLDEST), Math.log(HOTTEST)];
    while (high - low > 1e-12) {
        const middle = (low + high) / 2;
        if (entropyAt(Math.exp(middle)) < nats) low = middle;
        else high = middle;
    }
    return Math.exp((low + high) / 2);
}

/** Where training ends, with the numbers that compare it; null where it does not end. */
export function ending(q, shaping) {
    const { policy } = stationaryPolicy(q, shaping);
    if (!policy) return null;
    const top = indexOfMax(policy);
    const nats = entropy(policy);
    const temperature = matchedTemperature(q, nats);
    const residual = temperature === null ? null : totalVariation(policy, tempered(q, temperature));
    return { policy, top, entropy: nats, confidence: policy[top], accuracy: q[top], temperature, residual };
}
