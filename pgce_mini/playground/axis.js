// The axes under the rows: probabilities at the left, pushes at the right, each with its lines through the rows.

import { shape } from "./dom.js";
import { place, ticksOf } from "./frame.js";

/** Draws both anew in `grid`. */
export function drawAxes(grid, frame) {
    grid.replaceChildren();
    const narrow = frame.plot < 260;
    drawProbabilities(grid, frame, narrow);
    drawPushes(grid, frame, narrow);
}

function drawProbabilities(grid, frame, narrow) {
    const { axis, top, bottom, left } = frame;
    for (const tick of ticksOf(frame, narrow)) {
        const x = place(frame, tick);
        shape("line", { class: "rule", x1: x, x2: x, y1: top, y2: bottom + 4 }, grid);
        shape("text", { class: "tick", x, y: bottom + 15, "text-anchor": "middle" }, grid, tick);
    }
    const title = axis === "log" ? "probability (log)" : "probability";
    shape("text", { class: "tick", x: left, y: bottom + 34 }, grid, title);
}

function drawPushes(grid, { top, bottom, middle, pushes, force }, narrow) {
    shape("line", { class: "zero", x1: middle, x2: middle, y1: top, y2: bottom + 4 }, grid);
    const end = Number(force.toPrecision(2));
    const ends = [
        [`−${end}`, middle - pushes / 2 + 2, "start"],
        [`+${end}`, middle + pushes / 2, "end"],
    ];
    for (const [text, x, anchor] of narrow ? ends.slice(1) : ends)
        shape("text", { class: "tick", x, y: bottom + 15, "text-anchor": anchor }, grid, text);
    const title = narrow ? "−∂L/∂z" : "push −∂L/∂z";
    shape("text", { class: "tick", x: middle, y: bottom + 34, "text-anchor": "middle" }, grid, title);
}
