// Under a chart: its files and what shares it, made in the page as it is seen there. Only the CSV may have to be asked
// for: `csv` is null then. The modules are the playground's.

import { pin } from "./pin.js";
import { csvFile, png, save } from "./saving.js";
import { linkOf, shareRow } from "./share.js";

const SVG = "http://www.w3.org/2000/svg";
const LONGEST_RUN = 2000; // ms

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

const plotOf = ({ chart }) => document.querySelector(`.st-key-${chart} .js-plotly-plot`);

/** What share.js and pin.js ask for; without a chart yet there is no picture. */
function subjectOf({ chart, name, settings, network, title }) {
    const link = () => linkOf({ query: location.search.slice(1) }, network);
    const takeaway = plotOf({ chart })?.ariaLabel ?? "";
    return { name, title, takeaway, settings, picture: () => plotOf({ chart }) && picture(plotOf({ chart })), link };
}

// While the page is made anew, its data may still be those of the last picture; one that never rests is not waited for.
async function settled() {
    const app = document.querySelector("[data-testid=stApp]");
    const until = performance.now() + LONGEST_RUN;
    while (app?.dataset.testScriptState === "running" && performance.now() < until)
        await new Promise(requestAnimationFrame);
}

/** The buttons of the files; what it returns hands the CSV over. */
function fileButtons(row, now, ask) {
    const files = {
        csv: async () => csvFile(now().csv),
        svg: async () => new Blob([picture(plotOf(now())).source], { type: "image/svg+xml" }),
        png: async () => png(picture(plotOf(now()))),
    };
    const hand = async (kind) => save(await files[kind](), `${now().name}.${kind}`);
    for (const button of row.querySelectorAll("button")) {
        const { kind } = button.dataset;
        button.disabled = false; // only now a press is heard
        button.onclick = async () => {
            await settled();
            if (kind === "csv" && now().csv === null) ask();
            else if (kind === "csv" || plotOf(now())) hand(kind);
        };
    }
    return () => hand("csv");
}

/** Streamlit calls this with each run of the page; the buttons are made in the first. */
export default function Downloads({ data, parentElement, setTriggerValue }) {
    const row = parentElement.querySelector(".row");
    const state = (row.pgce ??= { asked: 0 }); // the number of the last CSV that was asked for
    Object.assign(state, { data, tell: setTriggerValue });
    if (!state.pin) {
        const now = () => state.data;
        state.handCsv = fileButtons(row, now, () => state.tell("asked", ++state.asked));
        const stage = () => document.querySelector(`.st-key-${data.chart} .pgce-chart`);
        state.pin = pin(stage, () => subjectOf(now()));
        row.after(shareRow(() => subjectOf(now()), { linked: true, more: [state.pin.button] }));
        state.pin.restore();
    }
    state.pin.draw();
    if (data.asked !== state.asked) return;
    state.asked += 1; // it is handed over once
    state.handCsv();
}
