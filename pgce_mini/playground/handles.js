// The handles of the picture: a slider in each row, for a pointer and for keys. One of them is the tab stop.

import { setAttributes, setText, setVisible, shape } from "./dom.js";
import { clip } from "./dynamics.js";
import { place, probabilityAt, probabilityBeside } from "./frame.js";
import { diamondPath } from "./shapes.js";
import { handled } from "./state.js";
import { goesSideways } from "./touch.js";
import { fixed } from "./words.js";

const NEAR = 22; // px around a handle within which a press takes hold of it as it is

export function makeHandle(svg, { row }, mid) {
    const handle = shape("g", { role: "slider", "aria-valuemin": 0, "aria-valuemax": 1 }, svg);
    const height = Math.max(row, 24);
    shape("rect", { class: "hit", y: mid - height / 2, x: -14, width: 28, height }, handle);
    const knob = shape("circle", { class: "knob", cy: mid, r: 6.5 }, handle); // of a label
    const grip = shape("path", { class: "guess", d: diamondPath(0, mid) }, handle); // of a prediction
    return { handle, knob, grip };
}

export function drawHandle({ handle, knob, grip }, i, { frame, state, numbers: { hidden }, active }) {
    const value = handled(state)[i];
    setAttributes(handle, {
        transform: `translate(${place(frame, value)} 0)`,
        tabindex: i === active ? 0 : -1,
        "aria-label": `${hidden ? "your prediction for" : "frequency of"} “${state.tokens[i]}”`,
        "aria-valuenow": value.toFixed(4),
    });
    setVisible(knob, !hidden);
    setVisible(grip, hidden);
}

/** The value beside the handle that is dragged or has the focus. */
export function drawTip({ frame, rows, tip, state, dragging }) {
    const i = dragging ? dragging.index : rows.findIndex(({ handle }) => handle.matches(":focus-visible"));
    setVisible(tip, i >= 0);
    if (i < 0) return;
    const value = handled(state)[i];
    const x = place(frame, value);
    const flip = x > frame.left + frame.plot - 64;
    setAttributes(tip, { x: flip ? x - 14 : x + 14, y: rows[i].mid, "text-anchor": flip ? "end" : "start" });
    setText(tip, fixed(value));
}

/** Lets pointer and keys move the handles of a picture. */
export function listen(picture) {
    const pointer = { pointerdown: press, pointermove: drag, pointerup: release, pointercancel: cancel };
    for (const [type, listener] of Object.entries({ ...pointer, keydown: key }))
        picture.svg.addEventListener(type, (event) => listener(event, picture));
    for (const type of ["focusin", "focusout"])
        picture.svg.addEventListener(type, () => requestAnimationFrame(() => picture.redraw()));
}

function press(event, picture) {
    if (!event.isPrimary) return; // a second finger
    const { svg, frame, rows, state, instrument } = picture;
    const [x, y] = pointIn(svg, event);
    const index = Math.floor((y - frame.top) / frame.row);
    const isInside = index in rows && x >= frame.left - NEAR && x <= frame.left + frame.plot + NEAR;
    if (!isInside || event.button !== 0) return;
    const handleX = place(frame, handled(state)[index]);
    const offset = Math.abs(x - handleX) <= NEAR ? handleX - x : 0;
    const { labels, prediction } = instrument.state;
    const isFinger = event.pointerType === "touch";
    const from = [event.clientX, event.clientY];
    picture.dragging = { index, offset, from, moves: !isFinger, before: { labels, prediction } };
    picture.active = index;
    rows[index].handle.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    if (!isFinger && offset === 0 && handleX !== x) instrument.moveHandle(index, probabilityAt(frame, x));
    event.preventDefault();
}

function drag(event, { svg, frame, dragging, instrument }) {
    if (!dragging || !event.isPrimary) return;
    dragging.moves ||= goesSideways(dragging.from, event);
    if (!dragging.moves) return;
    const [x] = pointIn(svg, event);
    instrument.moveHandle(dragging.index, probabilityAt(frame, x + dragging.offset));
}

/** The browser has taken the finger's travel for scrolling: what it set is undone. */
function cancel(event, picture) {
    if (event.isPrimary && picture.dragging?.moves) picture.instrument.set(picture.dragging.before);
    release(event, picture);
}

function release(event, picture) {
    if (!picture.dragging || !event.isPrimary) return;
    picture.dragging = null;
    picture.instrument.redraw();
}

function key(event, picture) {
    const { frame, rows, instrument } = picture;
    const index = rows.findIndex(({ handle }) => handle === event.target);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const value = handled(instrument.state)[index]; // not the drawn one: two keys may come within a frame
    const beside = (size) => probabilityBeside(frame, value, size);
    const values = {
        ArrowRight: beside(1), ArrowLeft: beside(-1), PageUp: beside(10), PageDown: beside(-10), Home: 0, End: 1,
    };
    const moves = { ArrowDown: index + 1, ArrowUp: index - 1 };
    if (event.key in values) instrument.moveHandle(index, values[event.key]);
    else if (event.key in moves) picture.focusRow(clip(moves[event.key], 0, rows.length - 1));
    else return;
    event.preventDefault();
}

function pointIn(svg, event) {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}
