// A frame: where things are in the picture, in px, and its scales.

import { clip } from "./dynamics.js";

const LOG_FLOOR = 1e-4; // where the logarithmic axis begins
const PROBABILITIES = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1]; // ends of the linear axis
const PUSHES = [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10]; // ends of the scale of pushes, times a power of ten
const AXIS_HEIGHT = 44; // under the rows: ticks and titles

/** A frame without its scales. Its columns are the names, the bars of probabilities, their values and the pushes. */
export function framed({ width, rows, nameWidth, top }) {
    const narrow = width < 480;
    const row = rows <= 8 ? 44 : rows <= 14 ? 36 : rows <= 24 ? 30 : 26;
    const names = clip(nameWidth + 4, 28, narrow ? 62 : 110);
    const [values, pushes] = narrow ? [0, 56] : [54, 116];
    const left = names + 16;
    const right = width - pushes - values - 18;
    const bottom = top + rows * row;
    return {
        width, narrow, row, top, bottom, left, pushes,
        height: bottom + AXIS_HEIGHT,
        plot: right - left, // width of the bars' axis
        names, // where names end
        values: right + values, // where values end
        middle: width - pushes / 2 - 2, // of the pushes
        axis: null, most: 0, force: 0, // the scales, see fitted()
    };
}

/** The scales for these numbers: kind and end of the axis of probabilities, end of the axis of pushes. */
export function fitted(frame, state, numbers) {
    const shown = [state.labels, numbers.policy, state.prediction ?? []];
    if (!numbers.hidden) shown.push(numbers.plain, numbers.end ?? [], ...Object.values(state.marks ?? {}));
    const most = upTo(1.04 * Math.max(...shown.flat()), PROBABILITIES);
    const stays = most <= frame.most && most >= frame.most / 2; // bars are not resized for little
    const force = roundUp(Math.max(...[numbers.push, numbers.startPush].flat().map(Math.abs), 0.01), PUSHES);
    return { axis: state.axis, most: stays ? frame.most : most, force };
}

/** Where a probability is. */
export function place({ axis, most, left, plot }, p) {
    const share = axis === "log" ? 1 - Math.log(clip(p, LOG_FLOOR, 1)) / Math.log(LOG_FLOOR) : p / most;
    return left + clip(share, 0, 1) * plot;
}

export function probabilityAt({ axis, most, left, plot }, x) {
    const share = clip((x - left) / plot, 0, 1);
    if (axis === "log") return share === 0 ? 0 : LOG_FLOOR ** (1 - share);
    return share * most;
}

/** The probability `size` keys to the right of p: a key is 1 % of a linear axis, or 10 % of p on a logarithmic one. */
export function probabilityBeside({ axis, most }, p, size) {
    return axis === "log" ? Math.max(p, LOG_FLOOR) * 1.1 ** size : p + (size * most) / 100;
}

export function ticksOf({ axis, most }, narrow) {
    if (axis === "log") return [0.0001, 0.001, 0.01, 0.1, 1];
    const step = roundUp(most / (narrow ? 3.01 : 5.01));
    return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(3)));
}

const upTo = (value, steps) => steps.find((step) => value <= step) ?? steps.at(-1);

/** The next of `steps` times a power of ten. */
function roundUp(value, steps = [1, 2, 5, 10]) {
    const power = 10 ** Math.floor(Math.log10(value));
    return steps.map((step) => step * power).find((step) => value <= step * (1 + 1e-9));
}
