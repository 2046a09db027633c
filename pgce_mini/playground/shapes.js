// The shapes of the marks, as paths, and the width of text. Lengths are px.

import { shape } from "./dom.js";

export function arrowPath(from, to, y) {
    const head = Math.min(7, Math.abs(to - from)) * Math.sign(to - from);
    const neck = to - head;
    return `M${from} ${y - 1.5}H${neck}V${y - 5}L${to} ${y}L${neck} ${y + 5}V${y + 1.5}H${from}Z`;
}
export const trianglePath = (x, y) => `M${x - 6} ${y}H${x + 6}L${x} ${y + 8}Z`;
export const diamondPath = (x, y, r = 9) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`;
export const circlePath = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;


/** The shapes of the marks, in their order: each the path of one around a place. */
export const MARK_PATHS = [
    (x, y) => `M${x - 5} ${y}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z`,
    (x, y) => `M${x - 4.5} ${y - 4.5}h9v9h-9Z`,
    (x, y) => `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z`,
    (x, y) => `M${x - 5.5} ${y + 4.5}H${x + 5.5}L${x} ${y - 5.5}Z`,
    (x, y) => `M${x - 5} ${y - 2}h3v-3h4v3h3v4h-3v3h-4v-3h-3Z`,
    (x, y) => `M${x - 5} ${y - 4.5}H${x + 5}L${x + 2} ${y}L${x + 5} ${y + 4.5}H${x - 5}L${x - 2} ${y}Z`,
];

/** The pattern that fills bars of the tail. */
export function drawHatch(svg) {
    const size = { width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
    const pattern = shape("pattern", { id: "hatch", ...size }, shape("defs", {}, svg));
    shape("rect", { class: "hatch", width: 2, height: 5 }, pattern);
}

export function textWidth(svg, text, size = "14px") {
    const pen = (textWidth.pen ??= document.createElement("canvas").getContext("2d"));
    pen.font = `${size} ${getComputedStyle(svg).fontFamily}`;
    return pen.measureText(text).width;
}

/** The text, or as much of its beginning as there is room for and an ellipsis. */
export function shortened(svg, text, room) {
    const letters = [...text];
    const first = (count) => letters.slice(0, count).join("") + (count < letters.length ? "…" : "");
    let count = letters.length;
    while (count > 1 && textWidth(svg, first(count)) > room) count--;
    return first(count);
}
