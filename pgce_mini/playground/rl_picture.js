// The rows while RL is shown: a box to tick, the policy of one start, the group that is drawn and its push.

import { element, setAttributes, setText, shape } from "./dom.js";
import { clip } from "./dynamics.js";
import { framed, place } from "./frame.js";
import { drawAxes, drawLegend, rectangle, sizeIn } from "./picture.js";
import { arrowPath, circlePath, shortened, textWidth } from "./shapes.js";
import { fixed } from "./words.js";

const BOX = 30; // px for the box beside a name
const PUSHED = { none: 0.25, group: 0.5 }; // the most that a group can push a token

export class RLPicture {
    constructor(instrument) {
        this.instrument = instrument;
        this.svg = shape("svg", { role: "group", class: "picture", "aria-label": "Which tokens are right" });
        this.node = element("div", { class: "stage" }, this.svg);
        [this.width, this.height, this.scale] = [0, null, 1]; // in units; px a unit
        [this.built, this.frame, this.rows] = [null, null, []];
        this.active = 0; // the row whose box is the tab stop
        this.svg.addEventListener("keydown", (event) => this.key(event));
        new ResizeObserver(([{ contentRect: { width, height } }]) => {
            Object.assign(this, sizeIn(this.node, width, height));
            instrument.redraw();
        }).observe(this.node);
    }

    draw(state, { rl }) {
        if (this.width === 0) return;
        const wanted = [this.width, this.height, this.scale, state.axis, state.scale_rewards, rl.isSampled, ...state.tokens].join("\n");
        if (this.built !== wanted) this.build(state, rl);
        this.built = wanted;
        this.active = Math.min(this.active, this.rows.length - 1);
        const drawn = state.tokens.map(() => 0);
        for (const token of rl.group) drawn[token]++;
        this.rows.forEach((row, i) => drawRLRow(row, i, { frame: this.frame, rl, drawn, isActive: i === this.active }));
    }

    build({ tokens, axis, scale_rewards }, { isSampled }) {
        const { svg, width, scale } = this;
        svg.replaceChildren();
        const top = drawLegend(svg, width, isSampled ? RL_ENTRIES : RL_ENTRIES.filter((entry) => !entry.ofGroups)) + 10;
        const nameWidth = Math.max(...tokens.map((token) => textWidth(svg, token)));
        const frame = framed({ width, height: this.height, top, nameWidth, rows: tokens.length, before: BOX, narrowValues: 40 });
        this.frame = Object.assign(frame, { axis, force: PUSHED[scale_rewards] });
        setAttributes(svg, { width: scale * width, height: scale * frame.height, viewBox: `0 0 ${width} ${frame.height}` });
        drawAxes(shape("g", { "aria-hidden": "true" }, svg), frame, "push on z");
        this.rows = tokens.map((token, i) => makeRLRow(svg, frame, token, i, () => this.toggle(i)));
    }

    toggle(i) {
        this.active = i;
        this.instrument.toggleRight(i);
    }

    key(event) {
        const index = this.rows.findIndex(({ box }) => box === event.target);
        if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
        const to = { ArrowDown: index + 1, ArrowUp: index - 1 }[event.key];
        if (event.key === " ") this.toggle(index);
        else if (to !== undefined) {
            this.active = clip(to, 0, this.rows.length - 1);
            this.rows[this.active].box.focus();
            this.instrument.redraw();
        } else return;
        event.preventDefault();
    }
}

function makeRLRow(svg, frame, token, i, onclick) {
    const { width, left, row, names, top } = frame;
    const y = top + i * row;
    const mid = y + row / 2;
    const marks = shape("g", { "aria-hidden": "true" }, svg);
    shape("line", { class: "rule", x1: 0, x2: width, y1: y + row, y2: y + row }, marks);
    const upper = y + 0.4 * row; // of the bars: the dots are below them
    const bar = (kind, height) => shape("rect", { class: kind, x: left, y: upper - height / 2, height, rx: 2 }, marks);
    const policy = bar("policy", 0.34 * row);
    const before = bar("ghost", 0.56 * row);
    const box = shape("g", { role: "checkbox", "aria-label": `“${token}” is right`, class: "tick-box" }, svg);
    shape("rect", { class: "hit", x: 0, y, width: names, height: row }, box);
    const side = Math.min(16, row - 3);
    shape("rect", { class: "square", x: 11 - side / 2, y: mid - side / 2, width: side, height: side, rx: 3 }, box);
    const at = (across, down) => `${11 + across * side} ${mid + down * side}`;
    const tick = shape("path", { class: "tick-mark", d: `M${at(-0.3, 0)}L${at(-0.05, 0.28)}L${at(0.35, -0.28)}` }, box);
    const text = shortened(svg, token, names - BOX + 4);
    const name = shape("text", { class: "token", x: names, y: mid, "text-anchor": "end", "aria-hidden": "true" }, box, text);
    if (text !== token) shape("title", {}, name, token);
    box.addEventListener("click", onclick);
    return {
        y, mid, policy, before, box, tick,
        value: shape("text", { class: "value", x: frame.values, y: mid, "text-anchor": "end" }, marks),
        dots: shape("path", { class: "dots" }, marks),
        expected: shape("path", { class: "push-expected" }, marks),
        push: shape("path", { class: "push" }, marks),
    };
}

function drawRLRow(row, i, { frame, rl, drawn, isActive }) {
    const reach = (p) => Math.max(place(frame, p) - frame.left, 0);
    const isRight = rl.right[i];
    setAttributes(row.box, { "aria-checked": isRight, tabindex: isActive ? 0 : -1, class: isRight ? "tick-box ticked" : "tick-box" });
    setAttributes(row.policy, { width: reach(rl.policy[i]) });
    setAttributes(row.before, { width: reach(rl.before[i]) });
    setText(row.value, fixed(rl.policy[i]));
    setAttributes(row.dots, { d: dotsPath(frame, row, drawn[i], rl.group.length), class: isRight ? "dots earns" : "dots" });
    const { middle, pushes, force } = frame;
    const arrow = (push) => {
        const length = (push / force) * (pushes / 2 - 2);
        return Math.abs(length) < 0.5 ? "" : arrowPath(middle, middle + length, row.mid);
    };
    setAttributes(row.push, { d: rl.isSampled ? arrow(rl.push[i]) : "" });
    setAttributes(row.expected, { d: arrow(rl.expectedPush[i]) });
}

/** As many dots as tokens were drawn, in a line under the bar. */
function dotsPath({ left, plot, row: height }, { y }, count, size) {
    const step = Math.min(9, (plot - 8) / size);
    const radius = Math.min(2.6, 0.15 * height);
    return Array.from({ length: count }, (_, j) => circlePath(left + 5 + j * step, y + 0.8 * height, radius)).join("");
}

const RL_ENTRIES = [
    { words: "policy π", width: 22, symbol: rectangle("policy", 12, { rx: 2 }) },
    { words: "before RL", width: 22, symbol: rectangle("ghost", 14) },
    { words: "drawn, earns 1", width: 8, symbol: dotSymbol("dots earns"), ofGroups: true },
    { words: "drawn, earns 0", width: 8, symbol: dotSymbol("dots"), ofGroups: true },
    { words: "push of the group", width: 24, symbol: arrowSymbol("push"), ofGroups: true },
    { words: "expected push", width: 24, symbol: arrowSymbol("push-expected") },
];

function dotSymbol(kind) {
    return (x, y, group) => shape("path", { class: kind, d: circlePath(x + 4, y, 2.75) }, group);
}

function arrowSymbol(kind) {
    return (x, y, group) => shape("path", { class: kind, d: arrowPath(x, x + 24, y) }, group);
}
