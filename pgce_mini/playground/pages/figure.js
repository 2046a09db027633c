// What the pages of the explorer that follow a slider have in common. Each page's module exports
//
//     moved(figure, values, given) -> { figure, takeaway }
//
// figure: as Python made it for other values of the sliders; it is not changed. values: of the sliders, by key.
// given: what else the page needs. The numbers are those of `pgce_mini.theory`; tests hold the two to 1e-9.

/** The figure with other numbers in some traces, by place. */
export function withTraces({ data, layout, ...rest }, changes) {
    return { ...rest, layout, data: data.map((trace, i) => (i in changes ? { ...trace, ...changes[i] } : trace)) };
}

/** The figure with its upright lines, all that it has of shapes, at x. */
export function withMark({ layout, ...rest }, x) {
    return { ...rest, layout: { ...layout, shapes: layout.shapes.map((line) => ({ ...line, x0: x, x1: x })) } };
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
