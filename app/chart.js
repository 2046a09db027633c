// One Plotly picture that stays in its place: a new figure is drawn into the old one.
// LIBRARY, the address of Plotly on this server, is defined before this text.

let library; // of the page, for all its pictures

function load() {
    library ??= new Promise((done, fail) => {
        const script = document.createElement("script");
        script.src = LIBRARY;
        script.onload = () => done(window.Plotly);
        script.onerror = () => fail(new Error("The library that draws did not arrive: reload the page."));
        document.head.append(script);
    });
    return library;
}

const presented = () => document.documentElement.classList.contains("pgce-presenting");

// The figure with what it cannot know: how large its place is, and the colour that text has here.
function fitted({ data, layout, frames = [] }, place) {
    const { color } = getComputedStyle(place);
    const { clientWidth: width, clientHeight: height } = place;
    for (const trace of data) if (trace.texttemplate) trace.textfont = { color, ...trace.textfont };
    const size = Math.max(LEAST, (LEAST / 720) * window.innerHeight);
    if (presented()) projected({ data, layout }, { width, height, size });
    return {
        data,
        layout: { ...layout, width, font: { ...layout.font, color } },
        frames,
        config: { displayModeBar: false }, // its buttons cover the title; ours have names
    };
}

// What a picture looks like depends on these, too.
const look = (place) =>
    [getComputedStyle(place).color, presented() && [place.clientWidth, place.clientHeight, window.innerHeight]].join();

// Draws what is not drawn yet, where it can be seen.
async function draw(place, state) {
    const wanted = `${look(place)} ${state.json}`;
    if (state.gone || state.drawn === wanted || !place.clientWidth) return;
    const isFirst = !state.drawn;
    state.drawn = wanted;
    await Plotly.react(place, fitted(JSON.parse(state.json).figure, place));
    if (isFirst && !state.gone) listen(place, state);
}

function watch(place, state) {
    state.observer = new ResizeObserver(async () => {
        await draw(place, state); // it comes to the wall, or leaves it
        const width = place.clientWidth;
        if (width && width !== place.layout?.width) Plotly.relayout(place, { width });
    });
    state.observer.observe(place);
}

// What readers do to a picture goes to the server: a click on a point that has data, a slider let go.
function listen(place, state) {
    place.on("plotly_click", ({ points: [{ customdata }] }) => customdata && state.tell("click", customdata));
    place.on("plotly_sliderstart", () => (state.dragging = true));
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
    if (!state.observer) return; // nothing was drawn yet
    state.observer.disconnect();
    if (!state.release) return;
    for (const event of ["mouseup", "touchend", "blur"]) window.removeEventListener(event, state.release);
    Plotly.purge(place);
}

export default async function ({ data, parentElement, setTriggerValue }) {
    const place = parentElement.querySelector(".pgce-chart");
    const state = (place.pgce ??= {}); // lives as long as the picture
    const json = new TextDecoder().decode(data);
    const { alt, figure } = JSON.parse(json);
    Object.assign(state, { json, tell: setTriggerValue });
    place.setAttribute("aria-label", alt);
    place.style.minHeight = `${figure.layout.height}px`; // before there is something to see
    await load();
    if (state.json === json) { // not overtaken
        await draw(place, state);
        if (!state.observer && !state.gone) watch(place, state);
    }
    return () => place.isConnected || leave(place, state); // called for what was overtaken, too
}
