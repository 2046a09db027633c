// The page "Hidden rewards": the traces of `figures.hidden_rewards`, and `theory.hidden_rewards` behind them.

import { trueTokenWeight } from "./dynamics.js";
import { withMark, withTraces } from "./figure.js";

const shaped = (form) => (pi, beta) => trueTokenWeight(Math.log(pi), { beta, form });
const none = () => 0;
const second = (pi, tau, vocab) => 1 / (1 + (vocab - 1) * ((1 - pi) / ((vocab - 1) * pi)) ** (1 / tau)); // of GEM
const LOSSES = { // [π r of the true token, π r of a wrong one], each of (π, the loss's parameter, vocabulary)
    "cross-entropy": [() => 1, none],
    "shaped (product)": [shaped("product"), none],
    "shaped (exponent)": [shaped("exponent"), none],
    focal: [(pi, gamma) => (1 - pi) ** gamma - gamma * pi * (1 - pi) ** (gamma - 1) * Math.log(pi), none],
    "generalised cross-entropy": [(pi, q) => pi ** q, none],
    "dynamic fine-tuning": [(pi) => pi, none],
    "label smoothing": [(pi, epsilon, vocab) => 1 - epsilon + epsilon / vocab, (pi, epsilon, vocab) => epsilon / vocab],
    unlikelihood: [() => 1, (pi, alpha) => (-alpha * pi) / (1 - pi)],
    GEM: [(pi, tau, vocab) => 1 + pi - second(pi, tau, vocab), (pi, tau, vocab) => pi - second(pi, tau, vocab)],
    "direct coverage": [(pi, n) => (n * pi * (1 - pi) ** (n - 1)) / (1 - (1 - pi) ** n), none],
    MaxRL: [(pi, terms) => 1 - (1 - pi) ** terms, none],
};

/** given: { losses, vocab }; a loss is [name, key of its slider or null]. */
export function moved(figure, values, { losses, vocab }) {
    const probs = figure.data[0].x;
    const changes = {};
    const told = losses.map(([name, key], i) => {
        const [weight, wrong] = LOSSES[name].map((of) => (pi) => of(pi, values[key], vocab));
        changes[3 * i] = { y: probs.map((pi) => weight(pi) / pi) };
        changes[3 * i + 1] = { y: probs.map(weight) };
        changes[3 * i + 2] = { y: probs.map((pi) => wrong(pi) / pi) };
        return { name, weight: weight(values.pi), wrong: wrong(values.pi) / values.pi };
    });
    return { figure: withMark(withTraces(figure, changes), values.pi), takeaway: takeaway(told, values.pi) };
}

function takeaway(told, pi) {
    const others = told.filter(({ name }) => name !== "cross-entropy");
    const at = `At π = ${pi.toFixed(2)}`;
    if (!others.length)
        return `${at}, as anywhere, cross-entropy gives the true token the weight 1; wrong tokens earn nothing.`;
    const sorted = [...others].sort((a, b) => b.weight - a.weight);
    const [most, least] = [sorted[0], sorted.at(-1)];
    let said = `${at}, ${most.name} gives the true token ${most.weight.toFixed(2)} times the weight of cross-entropy`;
    if (least !== most) said += `, ${least.name} ${least.weight.toFixed(2)} times`;
    const wrong = (verb, those) =>
        those.map(({ name, wrong }) => `${verb} ${Math.abs(wrong).toFixed(2)} under ${name}`);
    const paid = [
        ...wrong("earns", others.filter(({ wrong }) => wrong > 0)), ...wrong("pays", others.filter(({ wrong }) => wrong < 0)),
    ];
    return `${said}; a wrong token of that π ${paid.join(" and ") || "earns nothing"}.`;
}
