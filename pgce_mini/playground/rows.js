// A row of the picture: the token and its marks. Elements are made once; a frame only sets their attributes.

import { setAttributes, setText, setVisible, shape } from "./dom.js";
import { place } from "./frame.js";
import { arrowPath, diamondPath, MARK_PATHS, shortened, trianglePath } from "./shapes.js";
import { fixed } from "./words.js";

/** The elements of a row whose upper edge is at y, those that lie below the others first; `count` of marks. */
export function makeRow(svg, frame, token, y, count) {
    const { width, left, row, names, values } = frame;
    const mid = y + row / 2;
    const marks = shape("g", { "aria-hidden": "true" }, svg);
    const bar = (kind, height) => shape("rect", { class: kind, x: left, y: mid - height / 2, height, rx: 2 }, marks);
    shape("line", { class: "rule", x1: 0, x2: width, y1: y + row, y2: y + row }, marks);
    const text = shortened(svg, token, names);
    const name = shape("text", { class: "token", x: names, y: mid, "text-anchor": "end" }, marks, text);
    if (text !== token) shape("title", {}, name, token);
    return {
        y, mid,
        policy: bar("policy", 0.4 * row),
        ghost: bar("ghost", 0.66 * row),
        value: shape("text", { class: "value", x: values, y: mid, "text-anchor": "end" }, marks),
        push: shape("path", { class: "push" }, marks),
        endLine: shape("line", { class: "end", y1: y + 3, y2: y + row - 3 }, marks),
        end: shape("path", { class: "end" }, marks),
        marks: MARK_PATHS.slice(0, count).map((_, j) => shape("path", { class: `mark mark${j}` }, marks)),
        miss: shape("line", { class: "miss", y1: mid, y2: mid }, marks),
        guess: shape("path", { class: "guess" }, marks),
        label: shape("circle", { class: "knob", cy: mid, r: 4.5 }, marks), // while the handle is the prediction's
    };
}

/** Sets the marks of row i. */
export function drawRow(row, i, picture) {
    for (const draw of [drawPolicies, drawPush, drawEnd, drawMarks, drawMiss, drawLabel]) draw(row, i, picture);
}

function drawPolicies(row, i, { frame, state, numbers: { policy, plain, head, hidden } }) {
    const reach = (p) => Math.max(place(frame, p) - frame.left, 0);
    setAttributes(row.policy, { width: reach(policy[i]), class: head[i] ? "policy" : "policy tail" });
    row.ghost.setAttribute("width", reach(plain[i]));
    setVisible(row.ghost, !hidden);
    const digits = state.axis === "log" && policy[i] < 0.01 ? 4 : 3;
    setText(row.value, frame.narrow ? "" : fixed(policy[i], digits));
}

function drawPush(row, i, { frame: { middle, pushes, force }, numbers: { push, hidden } }) {
    const length = (push[i] / force) * (pushes / 2 - 2);
    row.push.setAttribute("d", Math.abs(length) < 0.5 ? "" : arrowPath(middle, middle + length, row.mid));
    setVisible(row.push, !hidden);
}

function drawEnd(row, i, { frame, numbers: { end, hidden } }) {
    for (const part of [row.end, row.endLine]) setVisible(part, !hidden && end);
    if (!end) return;
    const x = place(frame, end[i]);
    row.end.setAttribute("d", trianglePath(x, row.y + 1));
    setAttributes(row.endLine, { x1: x, x2: x });
}

function drawMarks(row, i, { frame, state: { marks }, numbers: { hidden } }) {
    Object.values(marks ?? {}).forEach((probs, j) => {
        row.marks[j].setAttribute("d", MARK_PATHS[j](place(frame, probs[i]), row.y + frame.row - 6));
        setVisible(row.marks[j], !hidden);
    });
}

function drawMiss(row, i, { frame, state: { prediction }, numbers: { target } }) {
    for (const part of [row.miss, row.guess]) setVisible(part, target);
    if (!target) return;
    const guess = place(frame, prediction[i]);
    setAttributes(row.miss, { x1: guess, x2: place(frame, target[i]) });
    row.guess.setAttribute("d", diamondPath(guess, row.mid));
}

function drawLabel(row, i, { frame, state: { labels }, numbers: { hidden } }) {
    row.label.setAttribute("cx", place(frame, labels[i]));
    setVisible(row.label, hidden);
}
