// The picture: a row for each likely next token, in it a bar for each model.

import { element, setAttributes, shape } from "./dom.js";
import { place, ticksOf } from "./frame.js";
import { colourOf, patterns, tokenName } from "./looks.js";
import { shortened } from "./shapes.js";

const [BAR, GAP, AXIS, NARROW] = [8, 12, 42, 480]; // px
const FEW = 6; // tokens, where the others' bars would not be seen or have no room

/** { node, draw({ tokens, arms, log, changed, label }) }; arms: of each model `probs` and `own`, tokens in order. */
export function bars() {
    const svg = shape("svg", { class: "picture" }); // an image once it shows something
    const node = element("div", { class: "stage bars" }, svg);
    let shown = null;

    function draw() {
        const width = Math.floor(node.clientWidth);
        if (!shown || !width) return;
        const { tokens, arms, log, changed, label } = shown;
        const narrow = width < NARROW;
        const count = log && !narrow ? tokens.length : Math.min(FEW, tokens.length);
        const row = arms.length * BAR + GAP;
        const left = narrow ? 92 : 122;
        const frame = { axis: log ? "log" : "linear", left, plot: width - left - 20 };
        const bottom = count * row;
        svg.replaceChildren();
        setAttributes(svg, { width, height: bottom + AXIS, role: "img", "aria-label": label });
        patterns(svg);
        for (const tick of ticksOf(frame, narrow)) {
            const x = place(frame, tick);
            shape("line", { class: tick ? "rule" : "zero", x1: x, x2: x, y1: 0, y2: bottom }, svg);
            shape("text", { class: "tick", x, y: bottom + 12, "text-anchor": "middle" }, svg, String(tick));
        }
        const title = `probability of the next token${log ? " (log scale)" : ""}`;
        shape("text", { class: "tick", x: left + frame.plot / 2, y: bottom + 32, "text-anchor": "middle" }, svg, title);
        tokens.slice(0, count).forEach((token, i) => {
            const top = i * row;
            if (i) shape("line", { class: "rule", x1: 0, x2: width, y1: top, y2: top }, svg);
            const name = shortened(svg, tokenName(token), left - 12);
            shape("text", { class: "token", x: left - 10, y: top + row / 2, "text-anchor": "end" }, svg, name);
            arms.forEach(({ probs, own }, arm) => {
                const y = top + GAP / 2 + arm * BAR;
                const size = { width: Math.max(place(frame, probs[i]) - left, 0), height: BAR - 1.5 };
                const paint = { fill: `url(#arm${arm})`, stroke: colourOf(arm) };
                shape("rect", { x: left, y: y + 0.5, ...size, ...paint }, svg);
                if (!changed) return;
                const x = place(frame, own[i]); // what the model itself expects
                shape("line", { class: "own", x1: x, x2: x, y1: y - 0.5, y2: y + BAR - 0.5 }, svg);
            });
        });
    }
    new ResizeObserver(draw).observe(node);
    return {
        node,
        draw(picture) {
            shown = picture;
            draw();
        },
    };
}
