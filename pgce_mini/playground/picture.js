// The picture: a row for each token, drawn in SVG. It is built for a vocabulary and a width, and drawn in each frame.

import { drawAxes } from "./axis.js";
import { element, setAttributes, shape } from "./dom.js";
import { fitted, framed } from "./frame.js";
import { drawHandle, drawTip, listen, makeHandle } from "./handles.js";
import { drawLegend } from "./legend.js";
import { drawRow, makeRow } from "./rows.js";
import { drawHatch, textWidth } from "./shapes.js";

export class Picture {
    constructor(instrument) {
        this.instrument = instrument;
        this.svg = shape("svg", { role: "group", class: "picture", "aria-describedby": "hint" });
        this.node = element("div", { class: "stage" }, this.svg);
        [this.state, this.numbers] = [null, null]; // what is drawn
        [this.width, this.built] = [0, null]; // px; what it was built for
        [this.frame, this.grid, this.rows, this.tip] = [null, null, [], null];
        this.active = 0; // the row whose handle is the tab stop
        this.dragging = null; // { index, offset }: the row, and the px from the pointer to the handle's middle
        listen(this);
        new ResizeObserver(([{ contentRect }]) => this.resize(Math.floor(contentRect.width))).observe(this.node);
    }

    resize(width) {
        this.width = width;
        this.redraw();
    }

    redraw() {
        if (this.state) this.draw(this.state, this.numbers);
    }

    draw(state, numbers) {
        [this.state, this.numbers] = [state, numbers];
        const label = numbers.hidden ? "Your prediction for each token" : "Labels and policy, token by token";
        setAttributes(this.svg, { "aria-label": label });
        if (this.width === 0) return;
        const wanted = [this.width, Boolean(state.prediction), ...state.tokens].join("\n");
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
        const { svg, width } = this;
        const { tokens, prediction } = this.state;
        svg.replaceChildren();
        drawHatch(svg);
        const top = drawLegend(svg, width, Boolean(prediction)) + 10;
        const nameWidth = Math.max(...tokens.map((token) => textWidth(svg, token)));
        const frame = (this.frame = framed({ width, top, nameWidth, rows: tokens.length }));
        const { height, row } = frame;
        setAttributes(svg, { width, height, viewBox: `0 0 ${width} ${height}` });
        this.grid = shape("g", { class: "grid", "aria-hidden": "true" }, svg);
        this.rows = tokens.map((token, i) => {
            const marks = makeRow(svg, frame, token, top + i * row);
            return { ...marks, ...makeHandle(svg, frame, marks.mid) };
        });
        this.tip = shape("text", { class: "tip", "aria-hidden": "true" }, svg);
    }

    /** Brings the scales to the numbers; the axis of probabilities keeps its length while a handle is dragged. */
    fit() {
        const { frame, dragging } = this;
        const scales = fitted(frame, this.state, this.numbers);
        if (dragging && frame.most > 0) scales.most = frame.most;
        const isNew = Object.keys(scales).some((name) => scales[name] !== frame[name]);
        if (!isNew) return;
        Object.assign(frame, scales);
        drawAxes(this.grid, frame);
    }

    /** Gives the focus to a row's handle. */
    focusRow(index) {
        this.active = index;
        this.rows[index].handle.focus();
        this.redraw();
    }
}
