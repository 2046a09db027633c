// How an arm looks, in bars and in words: a colour and a pattern, never the colour alone.

import { element, shape } from "./dom.js";
import { COLOURS } from "./of_models.js";
import { fixed, signed } from "./words.js";

export const ARMS = Object.keys(COLOURS);
export const YOURS = "yours"; // the model that the reader has trained, behind those of the arms
export const armName = (place) => ARMS[place] ?? YOURS;

/** The marks of each arm's pattern on a square of 6 x 6; the first is plain. */
const PATTERNS = [
    null, "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", "M1 1.5h2v2h-2zM4 4.5h2v2h-2z", "M-1 -1L7 7M-1 5L1 7M5 -1L7 1", "M0 3h6M3 0v6",
    "M1 0v6M4 0v6",
];
const LONGEST = 14; // characters of a token in the picture

/** The colour of the arm in this place; of the reader's own model, which follows the five, the ink. */
export const colourOf = (place) => COLOURS[ARMS[place]] ?? "currentColor";

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

export function checkbox(text, change) {
    const input = element("input", { type: "checkbox", onchange: () => change(input.checked) });
    return element("label", { class: "check" }, input, text);
}
