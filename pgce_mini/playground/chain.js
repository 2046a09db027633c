// What a chain-sum prior will do: `pgce_mini.theory.predict_chain`, in doubles, for beta alone.

import { stationaryPolicy, sum } from "./dynamics.js";

/**
 * { reasons, ifReasoned, ifDirect, right }, four shares. task: { share, slip, operands, totals, guesses }: how often
 * documents reason and slip, the numbers in a sum, the totals there are, and of the held-out sums
 * [{ total, count, q }], where q is the distribution of a direct answer.
 */
export function predictChain({ share, slip, operands, totals, guesses }, beta) {
    const shaping = { beta, lambda_head: 0, lambda_tail: 0, top_k: 1, form: "product" };
    const end = (q) => stationaryPolicy(q, shaping).policy;
    const step = new Array(totals).fill(slip / totals);
    step[0] += 1 - slip; // the right total, put first: its place makes no difference
    const [right, wrong] = end(step);
    const [guessing, started] = end([1 - share, ...step.map((q) => share * q)]);
    const reasons = 1 - guessing;
    let onTrack = reasons > 0 ? started / reasons : 0;
    for (let i = 1; i < operands; i++) onTrack = onTrack * right + (1 - onTrack) * wrong;
    const count = sum(guesses.map((guess) => guess.count));
    const ifDirect = sum(guesses.map(({ total, count: times, q }) => times * end(q)[total])) / count;
    return { reasons, ifReasoned: onTrack, ifDirect, right: reasons * onTrack + (1 - reasons) * ifDirect };
}
