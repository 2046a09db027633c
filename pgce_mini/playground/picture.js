// The picture: a row for each token, drawn in SVG. It is built for a vocabulary and a width, and drawn in each frame.

import { element, setAttributes, shape } from "./dom.js";
import { fitted, framed, place, ticksOf } from "./frame.js";
import { drawHandle, drawTip, listen, makeHandle } from "./handles.js";
import { drawRow, makeRow } from "./rows.js";
import { arrowPath, diamondPath, drawHatch, MARK_PATHS, textWidth, trianglePath } from "./shapes.js";

export class Picture {
    constructor(instrument) {
        this.instrument = instrument;
        this.svg = shape("svg", { role: "group", class: "picture", "aria-describedby": "hint" });
        this.node = element("div", { class: "stage" }, this.svg);
        [this.state, this.numbers] = [null, null]; // what is drawn
        [this.width, this.height, this.scale] = [0, null, 1]; // in units; px a unit
        this.built = null; // what it was built for
        [this.frame, this.grid, this.rows, this.tip] = [null, null, [], null];
        this.active = 0; // the row whose handle is the tab stop
        this.dragging = null; // the row and how it is held, see handles.js
        listen(this);
        new ResizeObserver(([{ contentRect }]) => this.resize(contentRect)).observe(this.node);
    }

    resize({ width, height }) {
        Object.assign(this, sizeIn(this.node, width, height));
        this.redraw();
    }

    redraw() {
        if (this.state) this.draw(this.state, this.numbers);
    }

    draw(state, numbers) {
        [this.state, this.numbers] = [state, numbers];
        const label = numbers.hidden ? "Your prediction for each token" : "Frequencies and policy, token by token";
        setAttributes(this.svg, { "aria-label": label });
        if (this.width === 0) return;
        const compared = Object.keys(state.marks ?? {});
        const wanted = [this.width, this.height, this.scale, Boolean(state.prediction), ...state.tokens, ...compared].join("\n");
        if (this.built !== wanted) this.build();
        this.built = wanted;
        this.active = Math.min(this.active, this.rows.length - 1);
        this.fit();
        this.rows.forEach((row, i) => {
            drawRow(row, i, this);
            drawHandle(row, i, this);
        });
        drawTip(this);
    }

    build() {
        const { svg, width, scale } = this;
        const { tokens, prediction } = this.state;
        const compared = Object.keys(this.state.marks ?? {});
        svg.replaceChildren();
        drawHatch(svg);
        const entries = [...(prediction ? ENTRIES : ENTRIES.slice(0, -1)), ...compared.map(markEntry)];
        const top = drawLegend(svg, width, entries) + 10;
        const nameWidth = Math.max(...tokens.map((token) => textWidth(svg, token)));
        const frame = (this.frame = framed({ width, height: this.height, top, nameWidth, rows: tokens.length }));
        const { height, row } = frame;
        setAttributes(svg, { width: scale * width, height: scale * height, viewBox: `0 0 ${width} ${height}` });
        this.grid = shape("g", { class: "grid", "aria-hidden": "true" }, svg);
        this.rows = tokens.map((token, i) => {
            const marks = makeRow(svg, frame, token, top + i * row, compared.length);
            return { ...marks, ...makeHandle(svg, frame, marks.mid) };
        });
        this.tip = shape("text", { class: "tip", "aria-hidden": "true" }, svg);
    }

    /** Brings the scales to the numbers. */
    fit() {
        const { frame } = this;
        const scales = fitted(this.state, this.numbers);
        const isNew = Object.keys(scales).some((name) => scales[name] !== frame[name]);
        if (!isNew) return;
        Object.assign(frame, scales);
        drawAxes(this.grid, frame, frame.plot < 260 ? "−∂L/∂z" : "push −∂L/∂z");
    }

    /** Gives the focus to a row's handle. */
    focusRow(index) {
        this.active = index;
        this.rows[index].handle.focus();
        this.redraw();
    }
}

/** A presented picture is as high as its place, and its units are so large that text of 13 can be read. */
export function sizeIn(node, width, height) {
    const presented = node.getRootNode().host?.hasAttribute("presenting");
    const scale = presented ? Math.max(20, innerHeight / 36) / 13 : 1;
    return { scale, width: Math.floor(width / scale), height: presented ? Math.floor(height / scale) : null };
}

/** Draws the axes under the rows anew: probabilities at the left, pushes at the right, with lines through the rows. */
export function drawAxes(grid, frame, pushTitle) {
    grid.replaceChildren();
    const narrow = frame.plot < 260;
    drawProbabilities(grid, frame, narrow);
    drawPushes(grid, frame, narrow, pushTitle);
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

function drawPushes(grid, { top, bottom, middle, pushes, force }, narrow, title) {
    shape("line", { class: "zero", x1: middle, x2: middle, y1: top, y2: bottom + 4 }, grid);
    const end = Number(force.toPrecision(2));
    const ends = [
        [`−${end}`, middle - pushes / 2 + 2, "start"],
        [`+${end}`, middle + pushes / 2, "end"],
    ];
    for (const [text, x, anchor] of narrow ? ends.slice(1) : ends)
        shape("text", { class: "tick", x, y: bottom + 15, "text-anchor": anchor }, grid, text);
    shape("text", { class: "tick", x: middle, y: bottom + 34, "text-anchor": "middle" }, grid, title);
}

export const rectangle = (kind, height, rx) => (x, y, group) =>
    shape("rect", { class: kind, x, y: y - height / 2, width: 22, height, ...rx }, group);

// The words, the width of the symbol, and what draws it with its left end at x and its middle at y.
const ENTRIES = [
    { words: "policy π, head", width: 22, symbol: rectangle("policy", 12, { rx: 2 }) },
    { words: "policy π, tail", width: 22, symbol: rectangle("policy tail", 12, { rx: 2 }) },
    {
        words: "frequencies q", width: 14,
        symbol: (x, y, group) => shape("circle", { class: "knob", cx: x + 7, cy: y, r: 6 }, group),
    },
    {
        words: "where training ends", width: 14,
        symbol: (x, y, group) => shape("path", { class: "end", d: trianglePath(x + 7, y - 4) }, group),
    },
    { words: "cross-entropy after as many steps", width: 22, symbol: rectangle("ghost", 14) },
    {
        words: "push on its logit z", width: 24,
        symbol: (x, y, group) => shape("path", { class: "push", d: arrowPath(x, x + 24, y) }, group),
    },
    {
        words: "your prediction", width: 18,
        symbol: (x, y, group) => shape("path", { class: "guess", d: diamondPath(x + 9, y) }, group),
    },
];

const markEntry = (name, j) => ({
    words: `${name}, trained`, width: 12,
    symbol: (x, y, group) => shape("path", { class: `mark mark${j}`, d: MARK_PATHS[j](x + 6, y) }, group),
});

/** Draws the legend in as many lines as it takes and gives their height in px. */
export function drawLegend(svg, width, entries) {
    const group = shape("g", { class: "legend", "aria-hidden": "true" }, svg);
    let [x, y] = [2, 12];
    for (const entry of entries) {
        const needed = entry.width + 6 + textWidth(svg, entry.words, "13px");
        if (x > 2 && x + needed > width) [x, y] = [2, y + 24];
        entry.symbol(x, y, group);
        shape("text", { x: x + entry.width + 6, y }, group, entry.words);
        x += needed + 18;
    }
    return y + 12;
}
