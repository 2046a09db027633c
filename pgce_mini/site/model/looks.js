// How an arm looks, in bars, in lines and in words: a colour, a pattern and a dash, never the colour alone.

import { element, shape } from "./dom.js";
import { LOOKS } from "./of_models.js";
import { fixed, signed } from "./words.js";

export const ARMS = Object.keys(LOOKS);
const COLOURS = Object.values(LOOKS).map(({ colour }) => colour);
const DASHES = { solid: "", dash: "7 4", dot: "2 3", dashdot: "8 3 2 3" };
/** The marks of each arm's pattern on a square of 6 x 6; the first is plain. */
const PATTERNS = [
    null, "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", "M1 1.5h2v2h-2zM4 4.5h2v2h-2z", "M-1 -1L7 7M-1 5L1 7M5 -1L7 1", "M0 3h6M3 0v6", "M1 0v6M4 0v6",
];
const LONGEST = 14; // characters of a token in the picture

/** The colour of the arm in this place; of the reader's own model, which follows the five, the ink. */
export const colourOf = (place) => COLOURS[place] ?? "currentColor";
export const dashOf = (place) => DASHES[Object.values(LOOKS)[place]?.dash] ?? "12 3";

/** The patterns of bars; in the same picture they are url(#arm0) and so on. */
export function patterns(svg) {
    const defs = shape("defs", {}, svg);
    PATTERNS.forEach((marks, place) => {
        const attributes = { id: `arm${place}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" };
        const pattern = shape("pattern", attributes, defs);
        shape("rect", { width: 6, height: 6, fill: colourOf(place), "fill-opacity": marks ? 0.3 : 1 }, pattern);
        if (!marks) return;
        const dots = marks.includes("z");
        const paint = { fill: dots ? colourOf(place) : "none", stroke: dots ? "none" : colourOf(place) };
        shape("path", { d: marks, ...paint, "stroke-width": 1.6 }, pattern);
    });
}

/** A small bar, to stand before an arm's name. */
export function swatch(place) {
    const svg = shape("svg", { class: "swatch", width: 26, height: 12, "aria-hidden": "true" });
    patterns(svg);
    shape("rect", { x: 0.5, y: 0.5, width: 25, height: 11, fill: `url(#arm${place})`, stroke: colourOf(place) }, svg);
    return svg;
}

/** A token as one line: white space as ␣, ↵, ⇥; long ones cut. */
export function tokenName(token) {
    if (token === "<eos>") return "end";
    const shown = token.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(/\p{C}/gu, "�");
    const characters = [...shown];
    return characters.length <= LONGEST ? shown : `${characters.slice(0, LONGEST - 1).join("")}…`;
}

export const nats = (value) => fixed(value, 2);
export const betaName = (beta) => `β = ${signed(beta)}`;
export const checkbox = (text, change, checked = false) =>
    element("label", { class: "check" }, element("input", { type: "checkbox", checked, onchange: ({ target }) => change(target.checked) }), text);
