// Native inputs with a name, a value and a line of plain words. Each is { node, draw(state) }.

import { element } from "./dom.js";
import { clip } from "./dynamics.js";
import { listenToRange } from "./touch.js";
import { signed } from "./words.js";

let made = 0; // for ids, which stay inside a shadow tree

/** A range input. `value(state)` is a number, `limits(state)` [low, high]; `step` is what a key moves. */
export function slider({ key, name, value, limits, change, step, format = signed, words = null, marks = null }) {
    const id = `s${++made}`;
    const input = element("input", { id, type: "range", step, "aria-describedby": words ? `${id}-words` : null });
    listenToRange(input, change);
    const output = element("span", { "aria-hidden": "true" }); // the input says it itself
    const head = element("div", { class: "head" }, element("label", { for: id }, name), output);
    const spans = marks?.map((mark) => element("span", {}, mark));
    const scale = marks && element("div", { class: "marks", "aria-hidden": "true" }, ...spans);
    const note = words && element("p", { id: `${id}-words`, class: "words" }, words);
    let drawn = null;
    return {
        node: element("div", { class: "control", "data-key": key }, head, input, scale, note),
        draw(state) {
            const [low, high] = limits(state);
            const number = value(state);
            const text = format(number, state);
            const wanted = `${low} ${number} ${high} ${text}`;
            if (drawn === wanted) return;
            drawn = wanted;
            Object.assign(input, { min: low, max: high });
            input.value = number;
            fill(input, number, low, high);
            input.setAttribute("aria-valuetext", text);
            output.textContent = text;
        },
    };
}

/** Colours the track from 0 to the value, or from its left end if 0 is not on it. */
function fill(input, value, low, high) {
    const share = (x) => (high > low ? (clip(x, low, high) - low) / (high - low) : 1);
    const zero = low < 0 ? share(0) : -0.1;
    const [from, to] = [zero, share(value)].sort((a, b) => a - b);
    input.style.setProperty("--from", from);
    input.style.setProperty("--to", to);
}

/** A row of radio buttons; `value(state)` is one of `values` or null, `texts` what is read in the place of a value. */
export function choice({ key, name, values, value, change, texts = {}, words = null }) {
    const id = `c${++made}`;
    const inputs = values.map((text) =>
        element("input", { type: "radio", name: id, value: text, onchange: () => change(text) }),
    );
    const textOf = ({ value: name }) => element("span", {}, texts[name] ?? name);
    const pills = inputs.map((input) => element("label", { class: "pill" }, input, textOf(input)));
    return {
        node: element(
            "fieldset", { class: "control", "data-key": key, "aria-describedby": words ? `${id}-words` : null },
            element("legend", {}, name), element("div", { class: "pills" }, ...pills),
            words && element("p", { class: "words", id: `${id}-words` }, words),
        ),
        draw(state) {
            for (const input of inputs) input.checked = input.value === value(state);
        },
    };
}
