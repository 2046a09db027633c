// One Plotly picture that stays in its place: a new figure is drawn into the old one.
//
// A picture that follows the page's sliders has `moved` of the page's module: the figure comes once, and its numbers
// and the sentence above it are found here, with every step of a slider. Other pictures come whole from the server.

import { setText } from "./dom.js";
import { LIBRARY } from "./library.js"; // the address of Plotly on this server
import { moved } from "./moves.js"; // null for a picture that no slider moves
import { LEAST, projected } from "./projector.js";
import { followSliders, valuesOf } from "./sliders.js";

const REST = 700; // ms without a change, after which the sentence is read out

function load() {
    window.pgceLibrary ??= new Promise((done, fail) => {
        const script = document.createElement("script");
        script.src = LIBRARY;
        script.onload = () => done(window.Plotly);
        script.onerror = () => fail(new Error("The library that draws did not arrive: reload the page."));
        document.head.append(script);
    });
    return window.pgceLibrary; // once for all pictures, whichever module draws them
}

const presented = () => document.documentElement.classList.contains("pgce-presenting");

// The figure with what it cannot know: how large its place is, and the colour that text has here.
function fitted({ data, layout, frames = [] }, place) {
    const { color } = getComputedStyle(place);
    const { clientWidth: width, clientHeight: height } = place;
    for (const trace of data) if (trace.texttemplate) trace.textfont = { color, ...trace.textfont };
    const size = Math.max(LEAST, (LEAST / 720) * window.innerHeight);
    if (presented()) projected({ data, layout, frames }, { width, height, size });
    else data.forEach((trace) => trace.type === "heatmap" && trace.text && intoCells(trace, width - layout.margin.l - 40));
    return {
        data,
        layout: { ...layout, width, font: { ...layout.font, color } },
        frames,
        config: { displayModeBar: false }, // its buttons cover the title; ours have names
    };
}

const [END, SIGN] = ["end", "■"]; // of a completion (figures/text.py); where there is no room for the word

// The texts of a heat map's cells, in columns that share `width` px.
function intoCells(cells, width) {
    if (width / cells.x.length >= 26) return;
    cells.text = cells.text.map((row) => row.map((text) => text.replace(END, SIGN)));
    cells.textfont.size = 12;
}

// What a picture looks like depends on these, too.
function look(place) {
    const { color } = getComputedStyle(place);
    return [color, place.clientWidth, ...(presented() ? [place.clientHeight, innerHeight] : [])].join();
}

// Draws what is not drawn yet, where it can be seen; what changes meanwhile is drawn afterwards, once.
async function draw(place, state) {
    state.stale = true;
    if (state.busy) return;
    state.busy = true;
    try {
        while (state.stale && !state.gone) {
            state.stale = false;
            await drawNow(place, state);
        }
    } finally {
        state.busy = false; // a state that cannot be drawn does not hold up the next
    }
}

async function drawNow(place, state) {
    const values = moved && valuesOf(state.keys); // null while the sliders are still to come
    if (!place.clientWidth || (moved && !values)) return;
    if (moved) Object.assign(values, state.held);
    const wanted = `${look(place)} ${JSON.stringify(values)} ${state.json}`;
    if (wanted === state.drawn) return;
    const isFirst = !state.drawn;
    state.drawn = wanted;
    const { alt, figure, given } = JSON.parse(state.json);
    const now = moved ? moved(figure, values, given) : { figure, takeaway: alt };
    place.setAttribute("aria-label", now.takeaway);
    if (moved) say(place, state, now.takeaway);
    await Plotly.react(place, fitted(now.figure, place));
    if (isFirst && !state.gone) listen(place, state);
}

// The sentence, and what a screen reader is told: it would be too much with every frame.
function say(place, state, sentence) {
    const block = place.closest(".stVerticalBlock");
    setText(block.querySelector(".takeaway"), sentence);
    clearTimeout(state.rest);
    state.rest = setTimeout(() => setText(block.querySelector(".unseen"), sentence), REST);
}

// A slider that moves is followed with the next frame; what the slider in the picture held is then in the others.
function follow(place, state) {
    let frame = null;
    state.stop = followSliders(() => {
        if (!state.dragging) state.held = null;
        frame ??= requestAnimationFrame(() => {
            frame = null;
            if (window.Plotly) draw(place, state);
        });
    });
}

function watch(place, state) {
    state.observer = new ResizeObserver(() => requestAnimationFrame(() => draw(place, state)));
    state.observer.observe(place);
}

// What readers do to a picture goes to the server: a click on a point that has data, a slider let go.
function listen(place, state) {
    place.on("plotly_click", ({ points: [{ customdata }] }) => customdata && state.tell("click", customdata));
    place.on("plotly_sliderstart", () => (state.dragging = true));
    place.on("plotly_sliderchange", ({ step }) => {
        if (!moved || !state.dragging) return;
        state.held = { [state.slider]: Number(step.label) };
        draw(place, state);
    });
    place.on("plotly_sliderend", ({ step }) => {
        state.dragging = false;
        state.tell("slider", Number(step.label));
    });
    // Plotly itself hears of a slider let go only above the picture.
    state.release = () => state.dragging && place.dispatchEvent(new MouseEvent("mouseup"));
    for (const event of ["mouseup", "touchend", "blur"]) window.addEventListener(event, state.release);
}

function leave(place, state) {
    state.gone = true;
    clearTimeout(state.rest);
    state.stop?.();
    if (!state.observer) return; // nothing was drawn yet
    state.observer.disconnect();
    if (!state.release) return;
    for (const event of ["mouseup", "touchend", "blur"]) window.removeEventListener(event, state.release);
    Plotly.purge(place);
}

export default async function chart({ data, parentElement, setTriggerValue }) {
    const place = parentElement.querySelector(".pgce-chart");
    const state = (place.pgce ??= {}); // lives as long as the picture
    const json = new TextDecoder().decode(data);
    const { alt, figure, keys, slider } = JSON.parse(json);
    Object.assign(state, { json, keys, slider, tell: setTriggerValue });
    if (alt) place.setAttribute("aria-label", alt);
    place.style.minHeight = `${figure.layout.height}px`; // before there is something to see
    if (moved && !state.stop) follow(place, state);
    await load();
    if (state.json === json) { // not overtaken
        await draw(place, state);
        if (!state.observer && !state.gone) watch(place, state);
    }
    return () => place.isConnected || leave(place, state); // called for what was overtaken, too
}
