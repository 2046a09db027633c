// The files to save: the numbers as CSV; the picture, with its takeaway and settings above it, as SVG and PNG.

import { button, setAttributes, shape } from "./dom.js";
import { wrapped } from "./lines.js";
import { captionOf, sentenceOf } from "./readouts.js";
import { csvFile, png, save } from "./saving.js";
import { columnsOf, csv, curveColumns } from "./table.js";
import { promptText } from "./words.js";

const STYLES = [
    "fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "visibility", "font-family", "font-size",
    "font-weight", "text-anchor", "dominant-baseline", "paint-order",
];
const MARGIN = 16; // px, as all lengths here
const LINE = 18;

const MAKERS = {
    CSV: ({ state, numbers }) => csvFile(csv(rowsToSave(state, numbers))),
    PNG: (picture) => png(pictureFile(picture)),
    SVG: (picture) => new Blob([pictureFile(picture).source], { type: "image/svg+xml" }),
};

export const fileButtons = (picture) =>
    Object.entries(MAKERS).map(([kind, make]) =>
        button(kind, async () => save(await make(picture), fileName(picture, kind)), { class: "small" }),
    );

const rowsToSave = (state, numbers) =>
    numbers.rl ? curveColumns(state, numbers.rl) : columnsOf(state, numbers);

const fileName = ({ state }, kind) => `one_token${state.rl ? "_rl" : ""}.${kind.toLowerCase()}`;

function pictureFile({ svg, state, numbers }) {
    const inner = svg.clientWidth;
    const lineOf = (text, weight) => wrapped(text, inner - 8, `${weight} 14px system-ui, sans-serif`);
    const above = lineOf(sentenceOf(state, numbers), 600);
    const lines = [...above, "", ...lineOf(`${promptText(state)}: ${captionOf(state, numbers)}`, 400)];
    const headroom = lines.length * LINE + 12;
    const [width, height] = [inner + 2 * MARGIN, svg.clientHeight + headroom + 2 * MARGIN];
    const whole = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    const paper = getComputedStyle(svg.closest(".playground")).backgroundColor;
    shape("rect", { width: "100%", height: "100%", fill: paper }, whole);
    const { color, fontFamily } = getComputedStyle(svg);
    lines.forEach((line, i) => {
        const [weight, size] = i < above.length ? [600, 14] : [400, 13];
        const font = { "font-weight": weight, fill: color, "font-family": fontFamily, "font-size": size };
        shape("text", { x: MARGIN, y: MARGIN + 12 + LINE * i, ...font }, whole, line);
    });
    const copy = styledCopy(svg);
    setAttributes(copy, { x: MARGIN, y: MARGIN + headroom });
    whole.append(copy);
    return { source: new XMLSerializer().serializeToString(whole), width, height };
}

/** The picture alone, as cards and pins have it. */
export function barePicture({ svg }) {
    const [width, height] = [svg.clientWidth, svg.clientHeight];
    return { source: new XMLSerializer().serializeToString(styledCopy(svg)), width, height };
}

/** The picture with its styles written into it, without what only a pointer needs. */
function styledCopy(svg) {
    const copy = svg.cloneNode(true);
    const sources = svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((node, i) => {
        const seen = getComputedStyle(sources[i]);
        for (const name of STYLES) node.style.setProperty(name, seen.getPropertyValue(name));
        if (node.localName === "text") keepLength(node, sources[i]);
    });
    copy.querySelectorAll(".tip, .hit").forEach((node) => node.remove());
    return copy;
}

/** A picture alone has not the page's fonts, and another font is wider. */
function keepLength(text, seen) {
    const length = seen.getComputedTextLength();
    if (length) setAttributes(text, { textLength: length.toFixed(1), lengthAdjust: "spacingAndGlyphs" });
}
