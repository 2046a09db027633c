// Curves of trainings: cross-entropy and entropy over the steps, a line a run.

import { element, setAttributes, shape } from "./dom.js";
import { betaName } from "./looks.js";
import { stepsOf } from "./words.js";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM, WIDE] = [210, 44, 12, 26, 42, 560]; // px
const PANELS = [["crossEntropy", "cross-entropy (nats a token)"], ["entropy", "entropy (nats a token)"]];
const MOST = 4; // nats: a model that knows nothing has log 39 = 3.7
const DASHES = ["", "7 4", "2 3", "8 3 2 3"]; // of the newest run, and of those before it

/** { node, draw(runs, label) }; the newest last; a run is { beta, steps, rows: [{ step, crossEntropy, entropy }] } */
export function curves() {
    const svg = shape("svg", { class: "picture" }); // an image once it shows something
    const node = element("div", { class: "stage" }, svg);
    let shown = null;

    function draw() {
        const full = Math.floor(node.clientWidth);
        if (!shown || !full) return;
        const [runs, label] = shown;
        const beside = full >= WIDE;
        const width = beside ? full / 2 : full;
        svg.replaceChildren();
        const height = beside ? HEIGHT : 2 * HEIGHT;
        setAttributes(svg, { width: full, height, role: "img", "aria-label": label });
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
    const tick = (text, x, y, anchor = "middle") =>
        shape("text", { class: "tick", x, y, "text-anchor": anchor }, group, String(text));
    for (let nats = 0; nats <= MOST; nats++) {
        const ends = { x1: LEFT, x2: width - RIGHT, y1: y(nats), y2: y(nats) };
        shape("line", { class: nats ? "rule" : "zero", ...ends }, group);
        tick(nats, LEFT - 8, y(nats), "end");
    }
    for (const step of [0, longest / 2, longest]) tick(step, x(step), HEIGHT - BOTTOM + 14);
    tick("step", x(longest / 2), HEIGHT - 10);
    runs.forEach(({ rows }, i) => {
        const points = rows.map((row) => `${x(row.step).toFixed(1)} ${y(row[key]).toFixed(1)}`);
        if (points.length) runLine(group, `M${points.join("L")}`, runs.length - 1 - i);
    });
}

/** The newest run is drawn in ink, as the reader's own model in the bars; those before it are dashed. */
function runLine(parent, d, age) {
    shape("path", { class: age ? "run-line older" : "run-line", d, "stroke-dasharray": DASHES[age] }, parent);
}

/** The names of the runs, each with a piece of its line. */
export function runNames(runs) {
    return runs.map(({ beta, rows }, i) => {
        const svg = shape("svg", { width: 34, height: 10, "aria-hidden": "true" });
        runLine(svg, "M0 5H34", runs.length - 1 - i);
        return element("span", { class: "run" }, svg, `${betaName(beta)}, ${stepsOf(rows.at(-1)?.step ?? 0)}`);
    });
}
