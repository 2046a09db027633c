// What each mark of the picture means.

import { shape } from "./dom.js";
import { arrowPath, diamondPath, textWidth, trianglePath } from "./shapes.js";

const rectangle = (kind, height, rx) => (x, y, group) =>
    shape("rect", { class: kind, x, y: y - height / 2, width: 22, height, ...rx }, group);

// The words, the width of the symbol, and what draws it with its left end at x and its middle at y.
const ENTRIES = [
    ["policy π, head", 22, rectangle("policy", 12, { rx: 2 })],
    ["policy π, tail", 22, rectangle("policy tail", 12, { rx: 2 })],
    ["labels q", 14, (x, y, group) => shape("circle", { class: "knob", cx: x + 7, cy: y, r: 6 }, group)],
    ["where training ends", 14, (x, y, group) => shape("path", { class: "end", d: trianglePath(x + 7, y - 4) }, group)],
    ["cross-entropy after as many steps", 22, rectangle("ghost", 14)],
    ["push on its logit z", 24, (x, y, group) => shape("path", { class: "push", d: arrowPath(x, x + 24, y) }, group)],
    ["your prediction", 18, (x, y, group) => shape("path", { class: "guess", d: diamondPath(x + 9, y) }, group)],
];

/** Draws the legend in as many lines as it takes and gives their height in px. */
export function drawLegend(svg, width, withPrediction) {
    const group = shape("g", { class: "legend", "aria-hidden": "true" }, svg);
    let [x, y] = [2, 12];
    for (const [words, symbolWidth, drawSymbol] of withPrediction ? ENTRIES : ENTRIES.slice(0, -1)) {
        const needed = symbolWidth + 6 + textWidth(svg, words, "13px");
        if (x > 2 && x + needed > width) [x, y] = [2, y + 24];
        drawSymbol(x, y, group);
        shape("text", { x: x + symbolWidth + 6, y }, group, words);
        x += needed + 18;
    }
    return y + 12;
}
