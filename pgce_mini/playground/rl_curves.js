// The curves of RL: a line for each start, its mark at the step that is shown.

import { element, setAttributes, setText, shape } from "./dom.js";
import { clip } from "./dynamics.js";
import { rightInK } from "./group_rl.js";
import { drawLegend, sizeIn } from "./picture.js";
import { startText } from "./rl_words.js";
import { diamondPath, MARK_PATHS } from "./shapes.js";
import { MOST_RL } from "./state.js";

const PANEL = 116; // px, the height of a panel
const LEAST = 64; // and where there is little room: the last panels make way
const VALUES = { linear: 34, log: 50 }; // px for the ticks of the values
const AXIS = 14; // px for the steps under the last panel
const FLOOR = 1e-4; // where a logarithmic axis begins

const MARKS = {
    ce: MARK_PATHS[0],
    precision: MARK_PATHS[1],
    diversity: (x, y) => diamondPath(x, y, 6.5),
    temperature: (x, y) => `M${x} ${y - 6}l6 10.5h-12Z`,
    yours: (x, y) => `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`,
};

const PANELS = [
    { titleOf: () => "probability of being right", valuesOf: ({ mass }) => mass, topOf: () => 1 },
    {
        titleOf: () => "entropy, nats",
        valuesOf: ({ nats }) => nats,
        topOf: ({ lines }) => Math.max(1, Math.ceil(Math.max(...lines.flatMap(({ nats }) => nats)))),
        isEntropy: true,
    },
    {
        titleOf: ({ pass_k }) => `Pass@${pass_k}: of ${pass_k} draws one or more are right`,
        valuesOf: ({ mass }, { pass_k }) => mass.map((p) => rightInK(p, pass_k)),
        topOf: () => 1,
    },
];

export class RLCurves {
    constructor(instrument) {
        this.svg = shape("svg", { class: "picture curves" }); // an image once it shows something
        this.node = element("div", { class: "stage" }, this.svg);
        [this.width, this.height, this.scale] = [0, null, 1]; // in units; px a unit
        [this.built, this.panels] = [null, []];
        new ResizeObserver(([{ contentRect: { width, height } }]) => {
            Object.assign(this, sizeIn(this.node, width, height));
            instrument.redraw();
        }).observe(this.node);
    }

    draw(state, { rl }) {
        [this.state, this.numbers] = [state, { rl }]; // what is drawn
        if (this.width === 0) return;
        const names = rl.lines.map(({ name }) => startText(name, state));
        const tops = PANELS.map(({ topOf }) => topOf(rl));
        const wanted = [this.width, this.height, this.scale, state.axis, rl.isSampled, ...names, ...tops].join("\n");
        if (this.built !== wanted) this.build(state, rl, tops);
        this.built = wanted;
        const said = rl.lines.map(({ name, mass }) => `${startText(name, state)} ${mass[rl.step].toFixed(3)}`).join(", ");
        setAttributes(this.svg, {
            role: "img", "aria-label": `Curves over ${rl.step} steps of RL; probability of being right: ${said}`,
        });
        for (const panel of this.panels) drawPanel(panel, state, rl);
    }

    build(state, { lines, isSampled }, tops) {
        const { svg, width, scale } = this;
        svg.replaceChildren();
        const entries = lines.map(({ name }) => ({
            words: startText(name, state), width: 30, symbol: (x, y, group) => lineSymbol(name, x, y, group),
        }));
        if (isSampled) entries.push({ words: "expected, for the start in the rows", width: 30, symbol: expectedSymbol });
        let y = drawLegend(svg, width, entries) + 4;
        const room = this.height && this.height - y - AXIS;
        const shown = PANELS.slice(0, room ? Math.max(1, Math.floor(room / LEAST)) : PANELS.length);
        const step = room ? room / shown.length : PANEL;
        const frames = shown.map((panel, i) => {
            const frame = { ...panel, left: VALUES[state.axis], right: width - 10, y: y + 20, height: step - 28, most: tops[i] };
            y += step;
            return frame;
        });
        const height = y + AXIS;
        setAttributes(svg, { width: scale * width, height: scale * height, viewBox: `0 0 ${width} ${height}` });
        this.panels = frames.map((panel) => makePanel(svg, panel, state, lines));
        const { x } = this.panels[0].at;
        const tick = (step, anchor, words) => shape("text", { class: "tick", x: x(step), y: y + 4, "text-anchor": anchor }, svg, words);
        tick(0, "middle", 0);
        tick(MOST_RL / 2, "middle", MOST_RL / 2);
        tick(MOST_RL, "end", `${MOST_RL} steps of RL`);
    }
}

function lineSymbol(name, x, y, group) {
    shape("line", { class: `curve ${name}`, x1: x, x2: x + 30, y1: y, y2: y }, group);
    shape("path", { class: `curve-end ${name}`, d: MARKS[name](x + 15, y) }, group);
}

const expectedSymbol = (x, y, group) => shape("line", { class: "curve-expected", x1: x, x2: x + 30, y1: y, y2: y }, group);

function makePanel(svg, panel, state, lines) {
    const group = shape("g", {}, svg);
    const { left, right, y, most } = panel;
    const isLog = state.axis === "log" && !panel.isEntropy;
    const at = { x: (step) => left + (step / MOST_RL) * (right - left), y: heightOf(panel, isLog) };
    const title = shape("text", { class: "panel-title", x: left, y: y - 11 }, group);
    for (const value of isLog ? [FLOOR, 0.01, 1] : [0, most / 2, most]) {
        shape("line", { class: "rule", x1: left, x2: right, y1: at.y(value), y2: at.y(value) }, group);
        shape("text", { class: "tick", x: left - 6, y: at.y(value), "text-anchor": "end" }, group, String(value));
    }
    const expected = shape("path", { class: "curve-expected" }, group);
    const drawn = Object.fromEntries(lines.map(({ name }) => [name, shape("path", { class: `curve ${name}` }, group)]));
    const ends = Object.fromEntries(lines.map(({ name }) => [name, shape("path", { class: `curve-end ${name}` }, group)]));
    return { ...panel, at, title, expected, drawn, ends };
}

function heightOf({ y, height, most }, isLog) {
    if (isLog) return (value) => y + (height * Math.log(clip(value, FLOOR, 1))) / Math.log(FLOOR);
    return (value) => y + height * (1 - value / most);
}

function drawPanel({ title, titleOf, valuesOf, at, expected, drawn, ends }, state, { lines, step, shownExpected }) {
    setText(title, titleOf(state));
    for (const line of lines) {
        const values = valuesOf(line, state);
        setAttributes(drawn[line.name], { d: pathOf(values, step, at) });
        setAttributes(ends[line.name], { d: MARKS[line.name](at.x(step), at.y(values[step])) });
    }
    const faint = shownExpected ? pathOf(valuesOf(shownExpected, state), step, at) : "";
    setAttributes(expected, { d: faint });
}

function pathOf(values, step, at) {
    let path = "";
    for (let i = 0; i <= step; i++) path += `${i ? "L" : "M"}${at.x(i).toFixed(1)} ${at.y(values[i]).toFixed(1)}`;
    return path;
}
