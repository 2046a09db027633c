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
    if (!state.observer) return; // nothing was drawn yet
    state.observer.disconnect();
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
    const { react } = await load();
    const color = getComputedStyle(place).color;
    const news = state.json === json && `${color} ${json}` !== state.drawn; // neither overtaken nor seen already
    if (news && !state.gone) {
        state.drawn = `${color} ${json}`;
        await react(place, fitted(figure, place.clientWidth, color));
        if (!state.observer) listen(place, state);
    }
    return () => place.isConnected || leave(place, state); // called for what was overtaken, too
}
