// The numbers of the picture as a table, on the page and in a file.

import { element, setText } from "./dom.js";
import { rightInK } from "./group_rl.js";

/** Column -> values, token by token, without the answer while it is to be guessed. */
export function columnsOf(state, numbers) {
    return numbers.rl ? rlColumns(state, numbers.rl) : pretrainingColumns(state, numbers);
}

function rlColumns({ tokens, labels }, { right, before, policy, group, push, expectedPush, isSampled }) {
    const drawn = isSampled && { drawn: tokens.map((_, a) => group.filter((token) => token === a).length), push };
    return {
        token: tokens, right: right.map((is) => (is ? "right" : "wrong")), "frequency q": labels, "before RL": before,
        "policy π": policy, ...drawn, "expected push": expectedPush,
    };
}

function pretrainingColumns(state, numbers) {
    const { hidden, end, target } = numbers;
    const shown = (values) => (hidden || !values ? null : values);
    const columns = {
        token: state.tokens,
        "frequency q": state.labels,
        "policy π": numbers.policy,
        rank: numbers.head.map((head) => (head ? "head" : "tail")),
        push: shown(numbers.push),
        "cross-entropy": shown(numbers.plain),
        end: shown(end),
        ...Object.fromEntries(
            Object.entries(state.marks ?? {}).map(([name, probs]) => [`${name}, trained`, shown(probs)]),
        ),
        prediction: state.prediction,
        miss: target && state.prediction.map((p, a) => p - target[a]),
    };
    return Object.fromEntries(Object.entries(columns).filter(([, values]) => values));
}

/** Column -> values, start by start and step by step: the curves of RL. */
export function curveColumns({ pass_k }, { lines, step }) {
    const rows = lines.flatMap(({ name, mass, nats }) =>
        mass.slice(0, step + 1).map((p, i) => [name, i, p, rightInK(p, pass_k), nats[i]]),
    );
    const names = ["start", "step", "right", `Pass@${pass_k}`, "entropy"];
    return Object.fromEntries(names.map((name, j) => [name, rows.map((row) => row[j])]));
}

export function csv(columns) {
    const cell = (value) => (/[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    const rows = Object.values(columns)[0].map((_, i) => Object.values(columns).map((values) => values[i]));
    return [Object.keys(columns), ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

/** A table that keeps its cells while its columns and its length stay the same. */
export function dataTable() {
    const node = element("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": "Data" });
    let [drawn, cells] = [null, []];
    return {
        node,
        draw(state, numbers) {
            const columns = columnsOf(state, numbers);
            const names = Object.keys(columns);
            const wanted = [state.tokens.length, ...names].join("\n");
            if (drawn !== wanted) {
                drawn = wanted;
                cells = emptyCells(names, state.tokens.length);
                const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
                const body = element("tbody", {}, ...cells.map((row) => element("tr", {}, ...row)));
                node.replaceChildren(element("table", {}, element("thead", {}, head), body));
            }
            names.forEach((name, j) => cells.forEach((row, i) => setText(row[j], cellText(columns[name][i]))));
        },
    };
}

const emptyCells = (names, length) =>
    Array.from({ length }, () => names.map((_, j) => (j ? element("td") : element("th", { scope: "row" }))));

const cellText = (value) => (typeof value === "number" ? value.toPrecision(4).replace("-", "−") : String(value));
