// A frame: where things are in the picture, in px, and its scales.

import { clip } from "./dynamics.js";

const LOG_FLOOR = 1e-4; // where the logarithmic axis begins
const PUSHES = [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10]; // ends of the scale of pushes, times a power of ten
const AXIS_HEIGHT = 44; // under the rows: ticks and titles

/**
 * A frame without its scales. Its columns are the names, the bars of probabilities, their values and the pushes.
 * `height`: what it has to fit into, if anything; `before`: px that are kept free before the names; `narrowValues`: px
 * for the values where there is little room.
 */
export function framed({ width, height, rows, nameWidth, top, before = 0, narrowValues = 0 }) {
    const narrow = width < 480;
    const usual = rows <= 8 ? 44 : rows <= 14 ? 36 : rows <= 24 ? 30 : 26;
    const row = height ? (height - top - AXIS_HEIGHT) / rows : usual;
    const names = before + clip(nameWidth + 4, 28, narrow ? 62 : 110);
    const [values, pushes] = narrow ? [narrowValues, 56] : [54, 116];
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
        axis: null, force: 0, // the scales, see fitted()
    };
}

/** The scales for these numbers. That of probabilities ends at 1 whatever they are: a mark moves if its number does. */
export function fitted(state, numbers) {
    const force = roundUp(Math.max(...[numbers.push, numbers.startPush].flat().map(Math.abs), 0.01), PUSHES);
    return { axis: state.axis, force };
}

/** Where a probability is. */
export function place({ axis, left, plot }, p) {
    const share = axis === "log" ? 1 - Math.log(clip(p, LOG_FLOOR, 1)) / Math.log(LOG_FLOOR) : p;
    return left + clip(share, 0, 1) * plot;
}

export function probabilityAt({ axis, left, plot }, x) {
    const share = clip((x - left) / plot, 0, 1);
    return axis === "log" && share > 0 ? LOG_FLOOR ** (1 - share) : share;
}

/** The probability `size` keys to the right of p: a key is 0.01, or 10 % of p on a logarithmic axis. */
export function probabilityBeside({ axis }, p, size) {
    return axis === "log" ? Math.max(p, LOG_FLOOR) * 1.1 ** size : p + size / 100;
}

export function ticksOf({ axis }, narrow) {
    if (axis === "log") return [0.0001, 0.001, 0.01, 0.1, 1];
    return narrow ? [0, 0.5, 1] : [0, 0.2, 0.4, 0.6, 0.8, 1];
}

/** The next of `steps` times a power of ten. */
function roundUp(value, steps) {
    const power = 10 ** Math.floor(Math.log10(value));
    return steps.map((step) => step * power).find((step) => value <= step * (1 + 1e-9));
}
