// The page "Where training ends": the traces of `figures.endings_over`, in its order.

import { entropy, tempered } from "./dynamics.js";
import { percent, withMark, withTraces } from "./figure.js";
import { ending } from "./temperature.js";

const SAME = 5e-4; // nats or probability: what three digits do not show

/** given: { tokens, q, over, form }; `over` is the setting that the picture is over. */
export function moved(figure, values, { tokens, q, over, form }) {
    const { beta, lambda_head, lambda_tail, k } = values;
    const shaping = { beta, lambda_head, lambda_tail, top_k: k, form };
    const grid = figure.data[0].x;
    const found = grid.map((value) => ending(q, { ...shaping, [over]: value }));
    const each = (number) => found.map((end) => end && number(end));
    const curves = q.flatMap((_, a) => [each(({ policy }) => policy[a]), null]); // each with its frequency, dotted
    curves.push(each((end) => end.entropy));
    if (over === "beta") curves.push(grid.map((value) => entropy(tempered(q, 1 + value))));
    curves.push(null, each((end) => end.confidence - end.accuracy), each((end) => end.residual));
    const changes = Object.fromEntries(curves.flatMap((y, i) => (y ? [[i, { y }]] : [])));
    return {
        figure: withMark(withTraces(figure, changes), values[over]),
        takeaway: takeaway(q, ending(q, shaping), tokens),
    };
}

function takeaway(q, end, tokens) {
    if (!end) return "Nothing is at rest here: being in the head drives a token out of it, so training does not end.";
    const before = entropy(q);
    const change = end.entropy - before;
    const course = Math.abs(change) < SAME ? "stays" : change < 0 ? "falls" : "rises";
    const gap = end.confidence - end.accuracy;
    const trust = Math.abs(gap) < SAME ? "calibrated" : gap > 0 ? "overconfident" : "underconfident";
    const said =
        `Entropy ${course} (${before.toFixed(3)} → ${end.entropy.toFixed(3)} nats) and the model is ${trust}: it ` +
        `gives “${tokens[end.top]}” ${percent(end.confidence)} where ${percent(end.accuracy)} is right; `;
    if (end.temperature === null) return `${said}no temperature gives this entropy.`;
    const temperature = `temperature ${end.temperature.toFixed(2)}`;
    if (end.residual < 1e-4) return `${said}${temperature} gives the same policy.`;
    return (
        `${said}${temperature} gives the same entropy, but another policy: ${percent(end.residual, 2)} of the ` +
        "probability lies elsewhere."
    );
}
