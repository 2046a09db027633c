// The picture: a row for each token, drawn in SVG. Elements are made once; a frame only sets their attributes.

import { write } from "./controls.js";
import { clip } from "./dynamics.js";
import { fixed } from "./numbers.js";

const SVG = Object.assign(document.createElement("template"), { innerHTML: "<svg></svg>" }).content.firstChild
    .namespaceURI;
const LOG_FLOOR = 1e-4; // where the logarithmic axis begins
const SCALES = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1]; // ends of the linear axis
const FORCES = [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10]; // ends of the scale of pushes
const AXIS = 44; // px under the rows: ticks and titles
const NEAR = 22; // px around a handle within which a press takes hold of it as it is

function make(name, attributes = {}, parent = null, text = null) {
    const node = document.createElementNS(SVG, name);
    set(node, attributes);
    if (text !== null) node.textContent = text;
    parent?.append(node);
    return node;
}

function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes))
        if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value); // what is alike costs no repaint
}

const show = (node, shown) => set(node, { visibility: shown ? "visible" : "hidden" });
const upTo = (value, steps) => steps.find((step) => value <= step) ?? steps.at(-1);

/** The next of `steps` times a power of ten. */
function roundUp(value, steps = [1, 2, 5, 10]) {
    const power = 10 ** Math.floor(Math.log10(value));
    return steps.map((step) => step * power).find((step) => value <= step * (1 + 1e-9));
}

const arrowPath = (from, to, y) => {
    const head = Math.min(7, Math.abs(to - from)) * Math.sign(to - from);
    const neck = to - head;
    return `M${from} ${y - 1.5}H${neck}V${y - 5}L${to} ${y}L${neck} ${y + 5}V${y + 1.5}H${from}Z`;
};
const triangle = (x, y) => `M${x - 6} ${y}H${x + 6}L${x} ${y + 8}Z`;
const diamond = (x, y) => `M${x} ${y - 9}L${x + 9} ${y}L${x} ${y + 9}L${x - 9} ${y}Z`;

// What each mark means: the words, the width of its symbol and the symbol itself, drawn at (x, y) of a line's middle.
const LEGEND = [
    ["policy π, head", 22, (g, x, y) => make("rect", { class: "policy", x, y: y - 6, width: 22, height: 12, rx: 2 }, g)],
    [
        "policy π, tail", 22,
        (g, x, y) => make("rect", { class: "policy tail", x, y: y - 6, width: 22, height: 12, rx: 2 }, g),
    ],
    ["labels q", 14, (g, x, y) => make("circle", { class: "knob", cx: x + 7, cy: y, r: 6 }, g)],
    ["where training ends", 14, (g, x, y) => make("path", { class: "end", d: triangle(x + 7, y - 4) }, g)],
    [
        "cross-entropy after as many steps", 22,
        (g, x, y) => make("rect", { class: "ghost", x, y: y - 7, width: 22, height: 14 }, g),
    ],
    ["push on its logit z", 24, (g, x, y) => make("path", { class: "push", d: arrowPath(x, x + 24, y) }, g)],
    ["your prediction", 18, (g, x, y) => make("path", { class: "guess", d: diamond(x + 9, y) }, g)],
];

/**
 * picture(svg, { current, change, settle }): `current()` is the state, `change(index, value)` is called while a handle
 * is dragged or keyed, `settle()` on release. Gives draw(state, numbers), and layout(width) for another width.
 */
export function picture(svg, { current, change, settle }) {
    let [width, built, rows, frame] = [0, null, [], null]; // `frame` is where things are: measures in px
    let [state, numbers] = [null, null];
    let [active, dragging] = [0, null];

    const guessing = () => numbers.hidden;
    const handled = (now = state) => (guessing() ? now.prediction : now.labels);

    // --- Scales: probability to px and back; held still while dragging ---------------------------------------

    function place(p) {
        const share = state.axis === "log" ? 1 - Math.log(clip(p, LOG_FLOOR, 1)) / Math.log(LOG_FLOOR) : p / frame.most;
        return frame.left + clip(share, 0, 1) * frame.plot;
    }

    function probabilityAt(x) {
        const share = clip((x - frame.left) / frame.plot, 0, 1);
        if (state.axis === "log") return share === 0 ? 0 : LOG_FLOOR ** (1 - share);
        return share * frame.most;
    }

    function fitScales() {
        const shown = [state.labels, numbers.policy, state.prediction ?? []];
        if (!numbers.hidden) shown.push(numbers.plain, numbers.end ?? []);
        const most = upTo(1.04 * Math.max(...shown.flat()), SCALES);
        if (!dragging && (most > frame.most || most < frame.most / 2)) { // bars are not resized for little
            frame.most = most;
            frame.axis = null;
        }
        const force = roundUp(Math.max(...[numbers.push, numbers.startPush].flat().map(Math.abs), 0.01), FORCES);
        if (frame.force !== force) {
            frame.force = force;
            frame.axis = null;
        }
        if (frame.axis !== state.axis) drawAxis();
    }

    // --- Building: once for a vocabulary and a width --------------------------------------------------------

    function build() {
        const n = state.tokens.length;
        const narrow = width < 480;
        const row = n <= 8 ? 44 : n <= 14 ? 36 : n <= 24 ? 30 : 26;
        svg.replaceChildren();
        const pattern = make("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse" });
        set(pattern, { patternTransform: "rotate(45)" });
        make("rect", { class: "hatch", width: 2, height: 5 }, pattern);
        make("defs", {}, svg).append(pattern);

        const longest = Math.max(...state.tokens.map((token) => textWidth(token)));
        const names = clip(longest + 4, 28, narrow ? 62 : 110);
        const [values, pushes] = narrow ? [0, 56] : [54, 116];
        const left = names + 16;
        const right = width - pushes - values - 18;
        const top = drawLegend() + 10;
        frame = { left, plot: right - left, row, top, names, pushes, bottom: top + n * row, most: 0, force: 0 };
        frame.values = right + values; // where the numbers end
        frame.middle = width - pushes / 2 - 2; // of the lane of pushes
        const height = frame.bottom + AXIS;
        set(svg, { width, height, viewBox: `0 0 ${width} ${height}` });
        frame.grid = make("g", { class: "grid", "aria-hidden": "true" }, svg);
        rows = state.tokens.map((token, i) => buildRow(token, top + i * row));
        frame.tip = make("text", { class: "tip", "aria-hidden": "true" }, svg);
        built = [width, Boolean(state.prediction), ...state.tokens].join("\n");
    }

    function buildRow(token, y) {
        const { left, row, names, values } = frame;
        const mid = y + row / 2;
        const marks = make("g", { "aria-hidden": "true" }, svg);
        make("line", { class: "rule", x1: 0, x2: width, y1: y + row, y2: y + row }, marks);
        const name = make("text", { class: "token", x: names, y: mid, "text-anchor": "end" }, marks, shorten(token, names));
        if (name.textContent !== token) make("title", {}, name, token);
        const bar = (kind, high) =>
            make("rect", { class: kind, x: left, y: mid - high / 2, height: high, rx: 2 }, marks);
        const parts = {
            policy: bar("policy", 0.4 * row),
            ghost: bar("ghost", 0.66 * row),
            value: make("text", { class: "value", x: values, y: mid, "text-anchor": "end" }, marks),
            push: make("path", { class: "push" }, marks),
            endLine: make("line", { class: "end", y1: y + 3, y2: y + row - 3 }, marks),
            end: make("path", { class: "end" }, marks),
            miss: make("line", { class: "miss", y1: mid, y2: mid }, marks),
            guess: make("path", { class: "guess" }, marks),
            label: make("circle", { class: "knob", cy: mid, r: 4.5 }, marks), // while the handle is a prediction's
        };
        const handle = make("g", { role: "slider", "aria-valuemin": 0, "aria-valuemax": 1 }, svg);
        make("rect", { class: "hit", y: mid - Math.max(row, 24) / 2, x: -14, width: 28, height: Math.max(row, 24) }, handle);
        const knob = make("circle", { class: "knob", cy: mid, r: 6.5 }, handle);
        const grip = make("path", { class: "guess", d: diamond(0, mid) }, handle);
        return { ...parts, handle, knob, grip, mid, y };
    }

    function textWidth(text, font = "14px") {
        const pen = (textWidth.pen ??= document.createElement("canvas").getContext("2d"));
        pen.font = `${font} ${getComputedStyle(svg).fontFamily}`;
        return pen.measureText(text).width;
    }

    function shorten(token, room) {
        const letters = [...token];
        let kept = letters.length;
        while (kept > 1 && textWidth(letters.slice(0, kept).join("") + (kept < letters.length ? "…" : "")) > room) kept--;
        return kept === letters.length ? token : letters.slice(0, kept).join("") + "…";
    }

    /** Draws the legend in as many lines as it takes; their height. */
    function drawLegend() {
        const group = make("g", { class: "legend", "aria-hidden": "true" }, svg);
        let [x, y] = [2, 12];
        for (const [words, symbol, draw] of state.prediction ? LEGEND : LEGEND.slice(0, -1)) {
            const needed = symbol + 6 + textWidth(words, "13px");
            if (x > 2 && x + needed > width) [x, y] = [2, y + 24];
            draw(group, x, y);
            make("text", { x: x + symbol + 6, y }, group, words);
            x += needed + 18;
        }
        return y + 12;
    }

    function drawAxis() {
        const { grid, top, bottom, left, plot, middle, pushes, most, force } = frame;
        frame.axis = state.axis;
        grid.replaceChildren();
        const few = plot < 260;
        let ticks = [0.0001, 0.001, 0.01, 0.1, 1];
        if (state.axis === "linear") {
            const step = roundUp(most / (few ? 3.01 : 5.01));
            ticks = Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(3)));
        }
        for (const tick of ticks) {
            const x = place(tick);
            make("line", { class: "rule", x1: x, x2: x, y1: top, y2: bottom + 4 }, grid);
            make("text", { class: "tick", x, y: bottom + 15, "text-anchor": "middle" }, grid, tick);
        }
        make("text", { class: "tick", x: left, y: bottom + 34 }, grid, `probability${state.axis === "log" ? " (log)" : ""}`);
        make("line", { class: "zero", x1: middle, x2: middle, y1: top, y2: bottom + 4 }, grid);
        const ends = [
            [-force, middle - pushes / 2 + 2, "start"],
            [force, middle + pushes / 2, "end"],
        ];
        for (const [value, x, anchor] of few ? ends.slice(1) : ends)
            make("text", { class: "tick", x, y: bottom + 15, "text-anchor": anchor }, grid, signedShort(value));
        const title = few ? "−∂L/∂z" : "push −∂L/∂z";
        make("text", { class: "tick", x: middle, y: bottom + 34, "text-anchor": "middle" }, grid, title);
    }

    const signedShort = (value) => `${value < 0 ? "−" : "+"}${Number(Math.abs(value).toPrecision(2))}`;

    // --- Drawing: every frame -------------------------------------------------------------------------------

    function draw(nextState, nextNumbers) {
        [state, numbers] = [nextState, nextNumbers];
        if (width === 0) return;
        active = Math.min(active, state.tokens.length - 1);
        if (built !== [width, Boolean(state.prediction), ...state.tokens].join("\n")) build();
        fitScales();
        rows.forEach(drawRow);
        drawTip();
    }

    function drawRow(row, i) {
        const { policy, plain, push, end, head, hidden, target } = numbers;
        const { left, middle, pushes, force } = frame;
        const reach = (p) => Math.max(place(p) - left, 0);
        set(row.policy, { width: reach(policy[i]), class: head[i] ? "policy" : "policy tail" });
        row.ghost.setAttribute("width", reach(plain[i]));
        const digits = state.axis === "log" && policy[i] < 0.01 ? 4 : 3;
        write(row.value, width < 480 ? "" : fixed(policy[i], digits));
        const length = (push[i] / force) * (pushes / 2 - 2);
        row.push.setAttribute("d", Math.abs(length) < 0.5 ? "" : arrowPath(middle, middle + length, row.mid));
        for (const part of [row.ghost, row.push]) show(part, !hidden);
        for (const part of [row.end, row.endLine]) show(part, !hidden && end);
        if (end) {
            const x = place(end[i]);
            row.end.setAttribute("d", triangle(x, row.y + 1));
            set(row.endLine, { x1: x, x2: x });
        }
        const judged = target !== null;
        for (const part of [row.miss, row.guess]) show(part, judged);
        if (judged) {
            const guess = place(state.prediction[i]);
            set(row.miss, { x1: guess, x2: place(target[i]) });
            row.guess.setAttribute("d", diamond(guess, row.mid));
        }
        drawHandle(row, i);
    }

    function drawHandle(row, i) {
        const value = handled()[i];
        const what = guessing() ? "your prediction for" : "label probability of";
        set(row.handle, {
            transform: `translate(${place(value)} 0)`,
            tabindex: i === active ? 0 : -1,
            "aria-label": `${what} “${state.tokens[i]}”`,
            "aria-valuenow": value.toFixed(4),
        });
        row.label.setAttribute("cx", place(state.labels[i]));
        show(row.label, guessing());
        show(row.knob, !guessing());
        show(row.grip, guessing());
    }

    function drawTip() {
        const focused = rows.findIndex(({ handle }) => handle.matches(":focus-visible"));
        const i = dragging ? dragging.index : focused;
        show(frame.tip, i >= 0);
        if (i < 0) return;
        const x = place(handled()[i]);
        const flip = x > frame.left + frame.plot - 64;
        set(frame.tip, { x: flip ? x - 14 : x + 14, y: rows[i].mid, "text-anchor": flip ? "end" : "start" });
        write(frame.tip, fixed(handled()[i]));
    }

    // --- Handles: pointer and keys --------------------------------------------------------------------------

    function point(event) {
        const box = svg.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
    }

    svg.addEventListener("pointerdown", (event) => {
        const [x, y] = point(event);
        const index = Math.floor((y - frame.top) / frame.row);
        const inside = index >= 0 && index < rows.length && x >= frame.left - NEAR && x <= frame.left + frame.plot + NEAR;
        if (!inside || event.button !== 0) return;
        const at = place(handled()[index]);
        const offset = Math.abs(x - at) <= NEAR ? at - x : 0;
        dragging = { index, offset };
        active = index;
        rows[index].handle.focus({ preventScroll: true });
        svg.setPointerCapture(event.pointerId);
        // A finger may be about to scroll, so it sets nothing before it moves sideways.
        if (offset === 0 && at !== x && event.pointerType !== "touch") change(index, probabilityAt(x));
        event.preventDefault();
    });

    svg.addEventListener("pointermove", (event) => {
        if (dragging) change(dragging.index, probabilityAt(point(event)[0] + dragging.offset));
    });

    for (const ending of ["pointerup", "pointercancel"])
        svg.addEventListener(ending, () => {
            if (!dragging) return;
            dragging = null;
            settle();
        });

    svg.addEventListener("keydown", (event) => {
        const index = rows.findIndex(({ handle }) => handle === event.target);
        if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
        const value = handled(current())[index]; // two keys may come within a frame
        const step = (size) =>
            state.axis === "log" ? Math.max(value, LOG_FLOOR) * 1.1 ** size : value + (size * frame.most) / 100;
        const values = {
            ArrowRight: step(1), ArrowLeft: step(-1), PageUp: step(10), PageDown: step(-10), Home: 0, End: 1,
        };
        const moves = { ArrowDown: index + 1, ArrowUp: index - 1 };
        if (event.key in values) change(index, values[event.key]);
        else if (event.key in moves) {
            active = clip(moves[event.key], 0, rows.length - 1);
            rows[active].handle.focus();
            draw(state, numbers);
        } else return;
        event.preventDefault();
    });

    for (const event of ["focusin", "focusout"]) svg.addEventListener(event, () => requestAnimationFrame(redraw));
    const redraw = () => state && draw(state, numbers);

    return {
        draw,
        layout(next) {
            width = next;
            redraw();
        },
    };
}
