// Curves of trainings: cross-entropy and entropy over the steps, a line a run.

import { element, shape } from "./dom.js";
import { betaName, colourOf, dashOf } from "./looks.js";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM, WIDE] = [210, 44, 12, 26, 42, 560]; // px
const PANELS = [["crossEntropy", "cross-entropy (nats a token)"], ["entropy", "entropy (nats a token)"]];
const MOST = 4; // nats: a model that knows nothing has log 39 = 3.7

/** { node, draw(runs, label) }; a run is { beta, place, steps, rows: [{ step, crossEntropy, entropy }] } */
export function curves() {
    const svg = shape("svg", { class: "picture", role: "img" });
    const node = element("div", { class: "stage" }, svg);
    let shown = null;

    function draw() {
        const full = Math.floor(node.clientWidth);
        if (!shown || !full) return;
        const [runs, label] = shown;
        const beside = full >= WIDE;
        const width = beside ? full / 2 : full;
        svg.replaceChildren();
        const size = { width: full, height: beside ? HEIGHT : 2 * HEIGHT, "aria-label": label };
        for (const [name, value] of Object.entries(size)) svg.setAttribute(name, value);
        const longest = Math.max(...runs.map(({ steps }) => steps));
        PANELS.forEach(([key, title], i) => {
            const offset = { transform: `translate(${beside ? i * width : 0} ${beside ? 0 : i * HEIGHT})` };
            panel(shape("g", offset, svg), { width, key, title, runs, longest });
        });
    }
    new ResizeObserver(draw).observe(node);
    return {
        node,
        draw(runs, label) {
            shown = [runs, label];
            draw();
        },
    };
}

function panel(group, { width, key, title, runs, longest }) {
    const x = (step) => LEFT + (step / longest) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (Math.min(value, MOST) / MOST) * (HEIGHT - BOTTOM - TOP);
    shape("text", { class: "panel-title", x: LEFT, y: 10 }, group, title);
    for (let nats = 0; nats <= MOST; nats++) {
        shape("line", { class: nats ? "rule" : "zero", x1: LEFT, x2: width - RIGHT, y1: y(nats), y2: y(nats) }, group);
        shape("text", { class: "tick", x: LEFT - 8, y: y(nats), "text-anchor": "end" }, group, String(nats));
    }
    for (const share of [0, 0.5, 1])
        shape("text", { class: "tick", x: x(share * longest), y: HEIGHT - BOTTOM + 14, "text-anchor": "middle" }, group, String(share * longest));
    shape("text", { class: "tick", x: x(longest / 2), y: HEIGHT - 10, "text-anchor": "middle" }, group, "step");
    for (const { place, rows } of runs) {
        const d = rows.map((row, i) => `${i ? "L" : "M"}${x(row.step).toFixed(1)} ${y(row[key]).toFixed(1)}`).join("");
        shape("path", { class: "curve", d, stroke: colourOf(place), "stroke-dasharray": dashOf(place) }, group);
    }
}

/** The names of the runs, each with a piece of its line. */
export function runNames(runs) {
    return runs.map(({ beta, place, rows }) => {
        const svg = shape("svg", { width: 34, height: 10, "aria-hidden": "true" });
        shape("path", { class: "curve", d: "M0 5H34", stroke: colourOf(place), "stroke-dasharray": dashOf(place) }, svg);
        return element("span", { class: "run" }, svg, `${betaName(beta)}, ${rows.at(-1)?.step ?? 0} steps`);
    });
}
