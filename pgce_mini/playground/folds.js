// What is folded away until it is asked for: the numbers as a table, and as Python.

import { copyText } from "./clipboard.js";
import { button, element, setText } from "./dom.js";
import { pythonOf } from "./python.js";
import { rlPythonOf } from "./rl_python.js";
import { dataTable } from "./table.js";

export function dataFold(instrument) {
    const table = dataTable();
    const node = fold(instrument, "Data", table.node);
    return { node, draw: (state, numbers) => node.open && table.draw(state, numbers) };
}

export function pythonFold(instrument) {
    const code = element("code");
    const copied = element("span", { role: "status" });
    const copy = button("Copy", async () => {
        copied.textContent = (await copyText(code.textContent)) ? "Copied" : "Select the text and copy it";
    });
    const node = fold(
        instrument, "Copy as Python", element("div", { class: "row" }, copy, copied),
        element("pre", { tabindex: "0", role: "region", "aria-label": "Python" }, code),
    );
    const isRead = () => node.open && !instrument.playing;
    return { node, draw: (state, numbers) => isRead() && setText(code, codeOf(state, numbers)) };
}

const codeOf = (state, numbers) => (numbers.rl ? rlPythonOf(state, numbers.rl) : pythonOf(state, numbers));

const fold = (instrument, summary, ...children) =>
    element("details", { ontoggle: () => instrument.redraw() }, element("summary", {}, summary), ...children);
