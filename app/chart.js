// One Plotly picture that stays in its place: a new figure is drawn into the old one.
//
// A picture that follows the page's sliders has `moved` of the page's module: the figure comes once, and its numbers
// and the sentence above it are found here, with every step of a slider. Other pictures come whole from the server.

import { LIBRARY } from "./library.js"; // the address of Plotly on this server
import { moved } from "./moves.js"; // null for a picture that no slider moves
import { valuesOf, watch } from "./sliders.js";

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

// The figure with what it cannot know: how wide its place is, and the colour that text has here.
function fitted({ data, layout, frames = [] }, width, color) {
    for (const trace of data) if (trace.texttemplate) trace.textfont = { color, ...trace.textfont };
    return {
        data,
        layout: { ...layout, width, font: { ...layout.font, color } },
        frames,
        config: { displayModeBar: false }, // its buttons cover the title; ours have names
    };
}

// What readers do to a picture goes to the server: a click on a point that has data, a slider let go.
function listen(place, state) {
    place.on("plotly_click", ({ points: [{ customdata }] }) => customdata && state.tell("click", customdata));
    place.on("plotly_sliderstart", () => (state.dragging = true));
    place.on("plotly_sliderchange", ({ step }) => {
        if (!moved || !state.dragging) return;
        state.held = { [state.content.slider]: Number(step.label) };
        redraw(place, state);
    });
    place.on("plotly_sliderend", ({ step }) => {
        state.dragging = false;
        state.tell("slider", Number(step.label));
    });
    // Plotly itself hears of a slider let go only above the picture.
    state.release = () => state.dragging && place.dispatchEvent(new MouseEvent("mouseup"));
    for (const event of ["mouseup", "touchend", "blur"]) window.addEventListener(event, state.release);
    state.observer = new ResizeObserver(() => {
        const width = place.clientWidth;
        if (width && width !== place.layout.width) Plotly.relayout(place, { width });
    });
    state.observer.observe(place);
}

function leave(place, state) {
    state.gone = true;
    state.stop?.();
    if (!state.observer) return; // nothing was drawn yet
    state.observer.disconnect();
    for (const event of ["mouseup", "touchend", "blur"]) window.removeEventListener(event, state.release);
    Plotly.purge(place);
}

// Draws what is to be seen now; what changes meanwhile is drawn afterwards, once.
async function redraw(place, state) {
    state.stale = true;
    if (state.busy) return;
    state.busy = true;
    try {
        while (state.stale && !state.gone) {
            state.stale = false;
            await draw(place, state);
        }
    } finally {
        state.busy = false;
    }
}

async function draw(place, state) {
    const { alt, figure, keys, given } = state.content;
    const color = getComputedStyle(place).color;
    const values = moved && valuesOf(keys);
    if (moved && !values) return; // the sliders are still to come, and are watched
    Object.assign(values ?? {}, state.held);
    const news = `${color} ${JSON.stringify(values)} ${state.json}`;
    if (news === state.drawn) return;
    state.drawn = news;
    const now = moved ? moved(figure, values, given) : { figure, takeaway: alt };
    place.setAttribute("aria-label", now.takeaway);
    if (moved) place.parentElement.querySelector(".takeaway").textContent = now.takeaway;
    await window.Plotly.react(place, fitted(now.figure, place.clientWidth, color));
    if (!state.observer && !state.gone) listen(place, state);
}

// A slider that moves is followed with the next frame; what the slider in the picture held is then in the others.
function follow(place, state) {
    let frame = null;
    state.stop = watch(() => {
        if (!state.dragging) state.held = null;
        frame ??= requestAnimationFrame(() => {
            frame = null;
            if (window.Plotly) redraw(place, state);
        });
    });
}

export default async function chart({ data, parentElement, setTriggerValue }) {
    const place = parentElement.querySelector(".pgce-chart");
    const state = (place.pgce ??= {}); // lives as long as the picture
    const json = new TextDecoder().decode(data);
    Object.assign(state, { json, content: JSON.parse(json), tell: setTriggerValue });
    place.style.minHeight = `${state.content.figure.layout.height}px`; // before there is something to see
    if (moved && !state.stop) follow(place, state);
    await load();
    await redraw(place, state);
    return () => place.isConnected || leave(place, state); // called for what was overtaken, too
}
