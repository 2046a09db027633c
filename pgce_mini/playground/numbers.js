// All that is shown follows from the state: the numbers, and their words, table and Python.

import {
    descend, entropy, expectedGradient, expectedReward, inHead, softmax, stationaryPolicy, sum, totalVariation,
} from "./dynamics.js";
import { LIMITS, shapingOf, startLogits } from "./state.js";

const PLAIN = { beta: 0, lambda_head: 0, lambda_tail: 0, top_k: 1, form: "product" };
const AT_REST = 1e-4; // largest push at which training is said to have come to rest
const SAME = 5e-4; // what three decimals do not show

const largest = (values) => Math.max(...values.map(Math.abs));

/** A run that is remembered, so that playing on costs one step and not all of them. */
function run() {
    let [key, steps, logits] = [null, 0, null];
    return (state, shaping) => {
        const wanted = JSON.stringify([state.labels, state.start, state.lr, shaping]);
        if (wanted !== key || state.steps < steps) [key, steps, logits] = [wanted, 0, startLogits(state)];
        logits = descend(logits, state.labels, shaping, state.steps - steps, state.lr);
        steps = state.steps;
        return logits;
    };
}

const memo = (compute) => {
    let [key, value] = [null, null];
    return (...inputs) => {
        const wanted = JSON.stringify(inputs);
        if (wanted !== key) [key, value] = [wanted, compute(...inputs)];
        return value;
    };
};

/** derive(state) -> every number of the picture. */
export function deriver() {
    const [shaped, plain] = [run(), run()];
    const ending = memo(stationaryPolicy);
    const endingHere = memo((labels, shaping, head) => stationaryPolicy(labels, shaping, head.map(Number)).policy);
    return (state) => {
        const { labels, prediction, steps } = state;
        const shaping = shapingOf(state);
        const logits = shaped(state, shaping);
        const policy = softmax(logits);
        const end = ending(labels, shaping);
        const head = inHead(policy, shaping.top_k);
        const push = expectedGradient(logits, labels, shaping).map((g) => -g);
        const headMass = sum(policy.filter((_, a) => head[a]));
        const judged = prediction && steps > 0;
        // Being in the head may keep a token in it: then a start in which others are in it leads to another end.
        const labelsHead = inHead(labels, shaping.top_k);
        const severalEnds = shaping.lambda_head > shaping.lambda_tail && head.some((is, a) => is !== labelsHead[a]);
        const here = severalEnds && end.policy && endingHere(labels, shaping, head);
        const nearer = here && totalVariation(policy, here) < totalVariation(policy, end.policy);
        const elsewhere = nearer ? here : null;
        const target = elsewhere ?? end.policy ?? policy;
        return {
            policy, push, head, headMass, shaping,
            plain: softmax(plain(state, PLAIN)),
            startPush: expectedGradient(startLogits(state), labels, shaping).map((g) => -g),
            end: end.policy,
            elsewhere, // where this run ends, when that is not the marked end
            reason: end.reason,
            entropy: entropy(policy),
            tailMass: sum(policy.filter((_, a) => !head[a])),
            reward: expectedReward(logits, labels, shaping),
            distance: end.policy && totalVariation(policy, end.policy),
            resting: largest(push) < AT_REST,
            hidden: Boolean(prediction) && steps === 0, // the answer, until play is pressed
            target: judged ? target : null,
            miss: judged ? totalVariation(prediction, target) : null,
        };
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

export const fixed = (value, digits = 3) => (value === null ? "–" : value.toFixed(digits).replace("-", "−"));
const count = (n) => `${n} step${n === 1 ? "" : "s"}`;
const quoted = (token) => `“${token}”`;

/** One sentence about this state. */
export function takeaway(state, numbers) {
    const { labels, tokens, prediction, steps } = state;
    const { end, elsewhere, policy, target } = numbers;
    const widest = (a, b) => a.reduce((best, p, i) => (Math.abs(p - b[i]) > Math.abs(a[best] - b[best]) ? i : best), 0);
    if (numbers.hidden) return "Where will each token end? Drag the diamonds there, then press Play.";
    if (target) {
        const i = widest(prediction, target);
        const [what, verb] = end ? ["where training ends", "ends at"] : [`the policy after ${count(steps)}`, "is at"];
        return (
            `Your prediction misses ${what} by ${fixed(numbers.miss)} (total variation); the widest miss is ` +
            `${quoted(tokens[i])}: you said ${fixed(prediction[i])}, it ${verb} ${fixed(target[i])}.`
        );
    }
    if (!end) return `No end is marked: ${numbers.reason}.`;
    if (elsewhere) {
        const i = widest(elsewhere, end);
        return (
            `From this start other tokens hold the head, and training ends ${fixed(totalVariation(elsewhere, end))} ` +
            `from the marked end: ${quoted(tokens[i])} at ${fixed(elsewhere[i])}, not ${fixed(end[i])}.`
        );
    }
    const [before, after] = [entropy(labels), entropy(end)];
    if (totalVariation(labels, end) < SAME) {
        const plain = state.beta === 0 && state.lambda_head === 0 && state.lambda_tail === 0;
        const who = plain ? "Cross-entropy ends" : "As with cross-entropy, training ends";
        return `${who} at the labels themselves, with their entropy of ${fixed(before)} nats.`;
    }
    const i = widest(labels, end);
    const moves = `${quoted(tokens[i])} ends at ${fixed(end[i])} where the labels have ${fixed(labels[i])}`;
    if (Math.abs(after - before) < SAME) return `Training ends beside the labels, at the same entropy: ${moves}.`;
    const [shape, verb] = after < before ? ["sharper", "falls"] : ["flatter", "rises"];
    return (
        `Training ends ${shape} than the labels: entropy ${verb} from ${fixed(before)} to ${fixed(after)} nats, ` +
        `and ${moves}.`
    );
}

/** The settings in one line, for a picture that travels alone. */
export const caption = ({ beta, lambda_head, lambda_tail, form, lr, steps }, { shaping }) =>
    `β ${signed(beta)}, λ head ${signed(lambda_head)}, λ tail ${signed(lambda_tail)}, k ${shaping.top_k}, ` +
    `${form} form; ${count(steps)} of size ${lr}`;

export const signed = (value) => `${value > 0 ? "+" : ""}${fixed(value, 2)}`;

/** Column -> values: the numbers of the picture, without the answer while it is to be guessed. */
export function table(state, numbers) {
    const { hidden, end, target } = numbers;
    const shown = (values) => (hidden || !values ? null : values);
    const columns = {
        token: state.tokens,
        "label q": state.labels,
        "policy π": numbers.policy,
        rank: numbers.head.map((head) => (head ? "head" : "tail")),
        push: shown(numbers.push),
        "cross-entropy": shown(numbers.plain),
        end: shown(end),
        prediction: state.prediction,
        miss: target && state.prediction.map((p, a) => p - target[a]),
    };
    return Object.fromEntries(Object.entries(columns).filter(([, values]) => values));
}

export function csv(columns) {
    const cell = (value) => (/[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    const rows = Object.values(columns)[0].map((_, i) => Object.values(columns).map((values) => values[i]));
    return [Object.keys(columns), ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

const UNSEEN = 'np.seterr(divide="ignore")  # log 0: a token that is never the label has no probability\n';

/** A cell that makes the same numbers with the library. */
export function python(state, numbers) {
    const { beta, lambda_head, lambda_tail, form } = state;
    const unseen = state.start === "labels" && state.labels.includes(0);
    const logits = state.start === "labels" ? "np.log(labels)" : "np.zeros(len(labels))";
    const end = numbers.end
        ? "end = stationary_policy(labels, shaping)\n"
        : "end = None  # stationary_policy raises ValueError for this reward\n";
    const distance = numbers.end
        ? 'print("distance to the end (total variation)", np.abs(policy - end).sum() / 2)\n'
        : "";
    return `import numpy as np

from pgce_mini import RewardShaping, policy_flow, stationary_policy
from pgce_mini.dynamics import entropy, expected_gradient, expected_reward

tokens = [
${lines(state.tokens.map(literal))}
]
labels = np.array([
${lines(state.labels)}
])
shaping = RewardShaping(
    beta=${beta}, lambda_head=${lambda_head}, lambda_tail=${lambda_tail}, top_k=${state.top_k}, form="${form}"
)

${unseen ? UNSEEN : ""}logits = ${logits}
policy = policy_flow(logits, labels, shaping, steps=${state.steps}, lr=${state.lr})[-1]
cross_entropy = policy_flow(logits, labels, RewardShaping(), steps=${state.steps}, lr=${state.lr})[-1]
push = -expected_gradient(np.log(policy), labels, shaping)
${end}
print("entropy (nats)", entropy(policy))
print("mean reward", expected_reward(np.log(policy), labels, shaping))
print("mass of the head", np.sort(policy)[::-1][: shaping.top_k].sum())
${distance}for row in zip(tokens, labels, policy, push, strict=True):
    print(*row)
`;
}

/** Values between commas, in lines of a width that can be read. */
function lines(values) {
    const rows = [""];
    for (const value of values) {
        if (rows.at(-1).length > 80) rows.push("");
        rows[rows.length - 1] += ` ${value},`;
    }
    return rows.map((row) => `   ${row}`).join("\n");
}

/** A string as Python reads it: JSON's escapes are Python's, but for the halves of a surrogate pair. */
const literal = (text) => JSON.stringify(text).replace(/\p{Cs}/gu, "\\ufffd");
