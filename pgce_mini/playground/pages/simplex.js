// The page "Three tokens": the traces of `figures.simplex_flow`, and the flow of `theory.dynamics` behind them.

import {
    entropy, expectedGradient, expectedReward, inHead, indexOfMax, softmax, stationaryPolicy, sum,
} from "./dynamics.js";
import { percent, withTraces } from "./figure.js";

const HEIGHT = Math.sqrt(3) / 2; // of the triangle; the corners are (0, 0), (1, 0) and (1/2, HEIGHT)
const ARROW = 0.075; // length of the longest arrow, in sides of the triangle
const SAME = 5e-4; // nats

const xy = ([, second, third]) => [second + third / 2, third * HEIGHT]; // of a point or of a velocity

/** { x, y } of points in the plane, as a trace has them. */
const drawn = (points) => ({ x: points.map(([x]) => x), y: points.map(([, y]) => y) });

/** The probabilities of three tokens from that of the first and the second's share of the rest. */
const three = (first, share) => [first, (1 - first) * share, (1 - first) * (1 - share)];

/** Points inside the triangle, `resolution` to a side, and d pi/dt there. */
function field(labels, shaping, resolution) {
    const found = [];
    for (let i = 0; i < resolution; i++)
        for (let j = i; j < resolution; j++) {
            const point = [i, j - i, resolution - 1 - j].map((part) => (part + 1 / 3) / resolution);
            const gradient = expectedGradient(point.map(Math.log), labels, shaping);
            const mean = sum(point.map((pi, a) => pi * gradient[a]));
            found.push([point, point.map((pi, a) => pi * (mean - gradient[a]))]);
        }
    return found;
}

/** Arrows as one broken line; their length goes with the root of the speed. */
function arrows(found) {
    const flow = found.map(([, velocity]) => xy(velocity));
    const speeds = flow.map(([x, y]) => Math.hypot(x, y));
    const most = Math.max(...speeds, 1e-12);
    return found.flatMap(([point], i) => {
        const [x, y] = xy(point);
        const [dx, dy] = flow[i].map((part) => (ARROW * part) / Math.sqrt(Math.max(speeds[i], 1e-12) * most));
        const tip = [x + dx, y + dy];
        const barb = (side) => [tip[0] - 0.3 * dx - side * 0.2 * dy, tip[1] - 0.3 * dy + side * 0.2 * dx];
        return [[x, y], tip, barb(1), tip, barb(-1), [null, null]];
    });
}

/** The policy along plain gradient descent, the start included; as far as a double holds the logits. */
function pathOf(start, labels, shaping, steps, lr) {
    let logits = start.map(Math.log);
    const path = [start];
    for (let step = 0; step < steps; step++) {
        const gradient = expectedGradient(logits, labels, shaping);
        logits = logits.map((z, a) => z - lr * gradient[a]);
        if (!logits.every(Number.isFinite)) break;
        path.push(softmax(logits));
    }
    return path;
}

/** given: { tokens, form, steps, lr, resolution, betas }; `betas` are the steps of the slider in the picture. */
export function moved(figure, values, { tokens, form, steps, lr, resolution, betas }) {
    const { beta, lambda_head, lambda_tail, k } = values;
    const shaping = { beta, lambda_head, lambda_tail, top_k: k, form };
    const labels = three(values.labels, values.labels_rest);
    const start = three(values.start, values.start_rest);
    const path = pathOf(start, labels, shaping, steps, lr);
    const end = stationaryPolicy(labels, shaping).policy;
    const changes = [arrows(field(labels, shaping, resolution)), path.map(xy), end ? [xy(end)] : [[null, null]]];
    changes.push([xy(start)], [xy(labels)]);
    const now = withTraces(figure, Object.fromEntries(changes.map((points, i) => [2 + i, drawn(points)])));
    const active = betas.findIndex((value) => Math.abs(value - beta) < 1e-9);
    const sliders = figure.layout.sliders.map((slider) => ({ ...slider, active }));
    return {
        figure: { ...now, layout: { ...now.layout, sliders } },
        takeaway: takeaway({ beta, labels, start, shaping, path, end, tokens }),
    };
}

function takeaway({ beta, labels, start, shaping, path, end, tokens }) {
    const all = (probs) => probs.map((pi, a) => `${tokens[a]} ${percent(pi)}`).join(", ");
    const [last, steps] = [path.at(-1), path.length - 1];
    const at = `At β = ${beta.toFixed(2)}`;
    const heads = [last, labels].map((probs) => String(inHead(probs, shaping.top_k)));
    if (end && shaping.lambda_head > shaping.lambda_tail && heads[0] !== heads[1])
        return (
            `${at} training from q ends at ${all(end)}; from this start other tokens hold the head, with ` +
            `${all(last)} after ${steps} steps.`
        );
    if (end) {
        const change = entropy(end) - entropy(labels);
        const kind = Math.abs(change) < SAME ? "as certain as" : change < 0 ? "surer than" : "less sure than";
        return `${at} training ends at ${all(end)}: ${kind} the frequencies q (${all(labels)}).`;
    }
    if (beta > -1) return `${at} and these λ nothing is at rest: being in the head drives a token out of it.`;
    return (
        `${at} no end is marked: ${reason(start, labels, shaping, last, tokens)} After ${steps} steps ` +
        `${tokens[indexOfMax(last)]} has ${percent(Math.max(...last))}.`
    );
}

/** What decides: what each token earns at the start, said of the one that leads there and of the one that wins. */
function reason(start, labels, shaping, last, tokens) {
    const logits = start.map(Math.log);
    const mean = expectedReward(logits, labels, shaping);
    const gradient = expectedGradient(logits, labels, shaping);
    const [leader, winner] = [indexOfMax(start), indexOfMax(last)];
    const earned = (a) => (mean - gradient[a] / start[a]).toFixed(2);
    const other = leader === winner ? "" : `; ${tokens[winner]} earns ${earned(winner)}`;
    return (
        `a token grows while it earns more than the mean reward, at this start ${mean.toFixed(2)}. The leader, ` +
        `${tokens[leader]} with ${percent(start[leader])}, earns ${earned(leader)}${other}.`
    );
}
