// The mathematics of one state: `pgce_mini.theory`, formula by formula, in doubles. Tests hold the two to 1e-9.
//
// The true token x of a state is random, x ~ q, and the policy is pi = softmax(z). A shaping is
// { beta, lambda_head, lambda_tail, top_k, form }, as `RewardShaping`. Vectors are plain arrays over the tokens.

export const MIN_COMPLEMENT = 1e-6; // least value of 1 - pi inside a weight, so that a negative beta stays finite
const MOST_LOG_WEIGHT = 700; // of the exponent form with beta below -1: exp overflows a double a little above
const RESIDUAL_TOLERANCE = 1e-9; // largest gradient that a stationary policy may have left
const RARE = 0.01; // most of (1 + |beta|) x for which eight terms of a series in x have all digits
const NO_END_BETA = {
    product: "below β = −1 a token that leads far enough takes all, at −1 one that is the true token more often than not",
    exponent: "for the exponent form with β at −1 or below none is known",
};
const NO_END_HEAD = "being in the head drives a token out of it, so nothing can come to rest";

export function sum(values) {
    let total = 0;
    for (let a = 0; a < values.length; a++) total += values[a];
    return total;
}
export const indexOfMax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
export const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** Shannon entropy in nats, with 0 log 0 = 0. */
export const entropy = (probs) => -sum(probs.map((p) => (p > 0 ? p * Math.log(p) : 0)));

/** Half of the summed differences: the probability that would have to move. */
export const totalVariation = (p, q) => sum(p.map((value, i) => Math.abs(value - q[i]))) / 2;

/** [pi, log pi]. Plain loops here and in the gradient: a drag may cost a thousand steps in a frame. */
function policyOf(logits) {
    const size = logits.length;
    let [most, norm] = [-Infinity, 0];
    for (let a = 0; a < size; a++) if (logits[a] > most) most = logits[a];
    const probs = new Array(size);
    const logProbs = new Array(size);
    for (let a = 0; a < size; a++) norm += probs[a] = Math.exp(logits[a] - most);
    const logNorm = Math.log(norm);
    for (let a = 0; a < size; a++) {
        probs[a] /= norm;
        logProbs[a] = logits[a] - most - logNorm;
    }
    return [probs, logProbs];
}

export const softmax = (logits) => policyOf(logits)[0];

/** q^(1/T), normalised: sharper than q below T = 1, flatter above. */
export const tempered = (labels, temperature) => softmax(labels.map((q) => Math.log(q) / temperature));

/** Which tokens are the top_k most probable, ties going to the lowest index. */
export function inHead(probs, topK) {
    const least = Float64Array.from(probs).sort()[Math.max(probs.length - topK, 0)];
    let ties = topK - probs.filter((p) => p > least).length; // of those equal to the least, so many are in
    return probs.map((p) => p > least || (p === least && ties-- > 0));
}

/** The reward of each token when it is not the label (paper Eq. 12). */
function rankLambda(probs, { lambda_head, lambda_tail, top_k }) {
    if (lambda_head === lambda_tail) return new Array(probs.length).fill(lambda_head);
    return inHead(probs, top_k).map((head) => (head ? lambda_head : lambda_tail));
}

/** omega(pi) = pi r_pos(pi) from log pi: the weight of a true token (paper Eq. 11). */
export function trueTokenWeight(logProb, { beta, form }) {
    if (beta === 0) return 1;
    const scale = Math.max(-Math.expm1(logProb), MIN_COMPLEMENT) ** beta; // (1 - pi)^beta
    if (form === "product" || scale === 1) return scale; // not -Infinity * 0 where pi = 0
    return Math.exp(Math.min(logProb * (1 - scale), MOST_LOG_WEIGHT));
}

/** [pi_a, w_a] with w_a = q_a omega(pi_a) + (1 - q_a) pi_a lambda_a */
function expectedWeights(logits, labels, shaping) {
    const [probs, logProbs] = policyOf(logits);
    const lambdas = rankLambda(probs, shaping);
    const weights = new Array(probs.length);
    for (let a = 0; a < probs.length; a++)
        weights[a] = labels[a] * trueTokenWeight(logProbs[a], shaping) + (1 - labels[a]) * probs[a] * lambdas[a];
    return [probs, weights];
}

/** dL/dz of the shaped loss averaged over the labels: pi_a W - w_a, in closed form. */
export function expectedGradient(logits, labels, shaping) {
    const [probs, weights] = expectedWeights(logits, labels, shaping);
    const mean = sum(weights);
    for (let a = 0; a < probs.length; a++) weights[a] = probs[a] * mean - weights[a];
    return weights;
}

/** W = sum_a w_a: the reward that a token drawn from the policy earns on average. */
export const expectedReward = (logits, labels, shaping) => sum(expectedWeights(logits, labels, shaping)[1]);

/** The logits after `steps` steps of plain gradient descent. */
export function descend(logits, labels, shaping, steps, lr) {
    const z = [...logits];
    for (let step = 0; step < steps; step++) {
        const gradient = expectedGradient(z, labels, shaping);
        for (let a = 0; a < z.length; a++) z[a] -= lr * gradient[a];
    }
    return z;
}

/**
 * Where training ends from the cross-entropy policy q, whose top_k are then the head: { policy, reason }, one of them
 * null. `reason` says why there is no such policy. With `ranked`, where it ends while the top_k of that are the head.
 */
export function stationaryPolicy(labels, shaping, ranked = labels) {
    if (shaping.beta <= -1) return { policy: null, reason: NO_END_BETA[shaping.form] };
    const policy = equalRewards(labels, rankLambda(ranked, shaping), shaping);
    const residual = Math.max(...expectedGradient(policy.map(Math.log), labels, shaping).map(Math.abs));
    return residual <= RESIDUAL_TOLERANCE ? { policy, reason: null } : { policy: null, reason: NO_END_HEAD };
}

/**
 * The policy under which all tokens alive earn the same, with the ranks held fixed. A token's reward falls in its own
 * probability, so each mean reward W gives one probability to each, and W is sought. Only the likeliest token may earn
 * more again above pi = 1/2: it is given what the others leave.
 */
function equalRewards(q, lambdas, shaping) {
    const asWrong = q.map((value, a) => (1 - value) * lambdas[a]); // from the labels that are not it
    const top = indexOfMax(q);
    const seen = q.flatMap((value, a) => (value > 0 ? [a] : []));
    const others = seen.filter((a) => a !== top);
    const floor = Math.max(...seen.map((a) => asWrong[a])); // W lies above: its margin is sought, exact near 0
    const ofRare = shaping.form === "product" ? probOfRare(shaping.beta) : null;
    const mostRare = ofRare ? RARE / (1 + Math.abs(shaping.beta)) : -1;
    function probEarning(margin, a) {
        const reward = margin + (floor - asWrong[a]);
        const x = q[a] / reward;
        return x <= mostRare ? ofRare(x) : probOfLogReward(Math.log(reward) - Math.log(q[a]), shaping);
    }

    function topExcess(margin) {
        let rest = 0;
        for (const a of others) if ((rest += probEarning(margin, a)) >= 1) return Infinity;
        const weight = trueTokenWeight(Math.log1p(-rest), shaping);
        return (q[top] * weight) / (1 - rest) - margin - (floor - asWrong[top]);
    }

    const margin = Math.exp(rootOfFalling((logMargin) => topExcess(Math.exp(logMargin)), -700, 40));
    const probs = new Array(q.length).fill(0);
    const bestUnseen = Math.max(...lambdas.filter((_, a) => q[a] === 0), -Infinity); // never the label
    if (bestUnseen > floor + margin) {
        for (const a of seen) probs[a] = probEarning(bestUnseen - floor, a);
        const left = 1 - sum(probs);
        const sharing = lambdas.flatMap((lambda, a) => (q[a] === 0 && lambda === bestUnseen ? [a] : []));
        for (const a of sharing) probs[a] = left / sharing.length;
    } else {
        for (const a of others) probs[a] = probEarning(margin, a);
        probs[top] = 1 - sum(probs);
    }
    return probs;
}

/** Where a falling function reaches 0, from above: by bisection and, once near, the Illinois method. */
function rootOfFalling(f, low, high) {
    let [atLow, atHigh, side] = [f(low), f(high), 0];
    for (let round = 0; round < 200 && atHigh !== 0 && high - low > 1e-15 * (1 + Math.abs(high)); round++) {
        let middle = (low + high) / 2;
        if (high - low < 1 && Number.isFinite(atLow))
            middle = clip(high + (atHigh * (high - low)) / (atLow - atHigh), low, high);
        const value = f(middle);
        if (value > 0) {
            [low, atLow] = [middle, value];
            if (side === 1) atHigh /= 2;
            side = 1;
        } else {
            [high, atHigh] = [middle, value];
            if (side === -1) atLow /= 2;
            side = -1;
        }
    }
    return high;
}

/** pi = x (1 - pi)^beta for a small x, by Lagrange's series: a vocabulary is mostly rare tokens, and they are quick. */
function probOfRare(beta) {
    const terms = [];
    for (let n = 1; n <= 8; n++) {
        let term = 1 / n; // (-1)^(n - 1) / n times the binomial coefficient of n beta and n - 1
        for (let k = 1; k < n; k++) term *= -(n * beta - k + 1) / k;
        terms.unshift(term);
    }
    return (x) => x * terms.reduce((total, term) => total * x + term, 0);
}

const logOnePlusExp = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** The probability at which a true token earns exp(logReward): Newton's method on its logit, inside a bracket. */
function probOfLogReward(logReward, { beta, form }) {
    let low = -Math.max(logReward, 0) * 2 ** Math.max(beta, 0) - Math.max(beta, 0); // log r_pos is larger there
    const turningPoint = form === "product" && beta < 0 ? -Math.log(-beta) : Infinity; // r_pos rises beyond it
    let high = Math.min(turningPoint, 40); // pi rounds to 1 at a logit of 40
    let logit = clip(-logReward, low, high);
    for (let round = 0; round < 100; round++) {
        const [minusLog, logComplement] = [logOnePlusExp(-logit), -logOnePlusExp(logit)];
        const [prob, complement] = [Math.exp(-minusLog), Math.exp(logComplement)];
        let [value, slope] = [minusLog + beta * logComplement, -complement - beta * prob];
        if (form === "exponent") {
            const scale = Math.exp(beta * logComplement);
            [value, slope] = [minusLog * scale, -scale * (complement + beta * prob * minusLog)];
        }
        const gap = value - logReward;
        if (gap > 0) low = logit;
        else high = logit;
        const newton = logit - gap / slope; // the slope is 0 at the turning point
        const following = low <= newton && newton <= high ? newton : (low + high) / 2;
        const done = Math.abs(following - logit) <= 1e-15 * (1 + Math.abs(logit));
        logit = following;
        if (done) break;
    }
    return Math.exp(-logOnePlusExp(-logit));
}
