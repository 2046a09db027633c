// PNG and SVG of a chart, made in the page as it is seen there, and the CSV of its numbers, which the server may make only
// when it is asked for (`data.csv` is null until then). `save` and `png` stand before it, from the playground's saving.js.

const SVG = "http://www.w3.org/2000/svg";

// Plotly stacks several SVGs; one picture has them all, without the controls that would be dead in it.
function picture(plot) {
    const { width, height } = plot.getBoundingClientRect();
    const svg = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({ xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` }))
        svg.setAttribute(name, value);
    const paper = svg.appendChild(document.createElementNS(SVG, "rect"));
    paper.setAttribute("width", "100%");
    paper.setAttribute("height", "100%");
    paper.setAttribute("fill", getComputedStyle(plot.closest(".stApp")).backgroundColor);
    for (const layer of plot.querySelectorAll("svg.main-svg")) {
        const texts = [...layer.querySelectorAll("text")].map((text) => getComputedStyle(text).fill);
        const copy = layer.cloneNode(true);
        copy.querySelectorAll("text").forEach((text, i) => text.style.setProperty("fill", texts[i]));
        copy.querySelectorAll(".slider-container, .updatemenu-container").forEach((control) => control.remove());
        svg.append(...copy.childNodes);
    }
    return { source: new XMLSerializer().serializeToString(svg), width, height };
}

let asked = 0; // the number of the last CSV, by which its answer is known

export default function ({ data, parentElement, setTriggerValue }) {
    const plot = () => document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
    const files = {
        csv: async () => new Blob(["\ufeff", data.csv], { type: "text/csv" }), // so that Excel reads UTF-8
        svg: async () => new Blob([picture(plot()).source], { type: "image/svg+xml" }),
        png: async () => png(picture(plot())),
    };
    const hand = async (kind) => save(await files[kind](), `${data.name}.${kind}`);
    for (const button of parentElement.querySelectorAll("button")) {
        const kind = button.dataset.kind;
        button.disabled = false; // only now a press is heard
        button.onclick = () => {
            if (kind === "csv" && data.csv === null) setTriggerValue("wanted", ++asked);
            else if (kind === "csv" || plot()) hand(kind);
        };
    }
    if (data.wanted !== asked) return;
    asked += 1; // it is handed over once
    hand("csv");
}
