// Native inputs with a name, a value and a line of plain words. Each gives its element and sync(state).

import { clip } from "./dynamics.js";
import { signed } from "./numbers.js";

let made = 0; // for ids, which stay inside a shadow tree

export function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (value === true) node.setAttribute(name, "");
        else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
}

/** Sets a text; one that is alike costs no layout. */
export function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

/** A range input; `limits(state)` gives [low, high], `step` what a key moves. */
export function slider({ name, key, limits, step, words = null, marks = null, format = signed, change }) {
    const id = `s${++made}`;
    const input = element("input", {
        id, type: "range", step, "aria-describedby": words ? `${id}-words` : null,
        oninput: () => change(key, Number(input.value)),
    });
    const output = element("span", { "aria-hidden": "true" }); // the input says it itself
    const scale = marks && element("div", { class: "marks", "aria-hidden": "true" }, ...marks.map((m) => element("span", {}, m)));
    const head = element("div", { class: "head" }, element("label", { for: id }, name), output);
    const note = words && element("p", { id: `${id}-words`, class: "words" }, words);
    let seen = null;
    return {
        node: element("div", { class: "control" }, head, input, scale, note),
        sync(state) {
            const [low, high] = limits(state);
            const value = key === "tokens" ? state.tokens.length : state[key];
            const text = format(value, state);
            if (seen === `${low} ${value} ${high} ${text}`) return;
            seen = `${low} ${value} ${high} ${text}`;
            Object.assign(input, { min: low, max: high });
            input.value = value;
            const share = (x) => (high > low ? (clip(x, low, high) - low) / (high - low) : 1);
            const zero = low < 0 ? share(0) : -0.1; // filled from 0 if it is on the scale, else from the edge
            const [from, to] = [zero, share(value)].sort((a, b) => a - b);
            input.style.setProperty("--from", from);
            input.style.setProperty("--to", to);
            input.setAttribute("aria-valuetext", text);
            output.textContent = text;
        },
    };
}

/** A row of radio buttons; `chosen(state)` is one of `values` or null. */
export function choice({ name, values, chosen, words = null, change }) {
    const id = `c${++made}`;
    const inputs = values.map((value) => {
        const input = element("input", { type: "radio", name: id, value, onchange: () => change(value) });
        return { input, label: element("label", { class: "pill" }, input, element("span", {}, value)) };
    });
    const note = words && element("p", { class: "words", id: `${id}-words` }, words);
    const row = element("div", { class: "pills" }, ...inputs.map(({ label }) => label));
    const node = element("fieldset", { class: "control", "aria-describedby": words ? `${id}-words` : null });
    node.append(element("legend", {}, name), row, ...(note ? [note] : []));
    return {
        node,
        sync(state) {
            for (const { input } of inputs) input.checked = input.value === chosen(state);
        },
    };
}

/** A table that keeps its cells; sync(columns) fills them. */
export function dataTable() {
    const node = element("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": "Data" });
    let [shape, cells] = [null, []];
    const text = (value) => (typeof value === "number" ? value.toPrecision(4).replace("-", "−") : String(value));
    return {
        node,
        sync(columns) {
            const names = Object.keys(columns);
            const count = columns[names[0]].length;
            if (shape !== [count, ...names].join("\n")) {
                shape = [count, ...names].join("\n");
                const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
                cells = Array.from({ length: count }, () =>
                    names.map((_, j) => (j ? element("td") : element("th", { scope: "row" }))),
                );
                const body = element("tbody", {}, ...cells.map((row) => element("tr", {}, ...row)));
                node.replaceChildren(element("table", {}, element("thead", {}, head), body));
            }
            names.forEach((name, j) => cells.forEach((row, i) => write(row[j], text(columns[name][i]))));
        },
    };
}
