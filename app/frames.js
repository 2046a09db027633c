// A slider over the frames of a chart: each is drawn while the thumb moves, and the server hears of the last one.

function show(chart, name) {
    const place = document.querySelector(`.st-key-${chart} .js-plotly-plot`);
    const now = { mode: "immediate", transition: { duration: 0 }, frame: { duration: 0, redraw: true } };
    if (place?._transitionData?._frameHash?.[name]) window.Plotly.animate(place, [name], now);
}

export default function ({ data, parentElement, setStateValue }) {
    const { chart, label, names, texts, at } = data;
    const [input, output, words] = ["input", "output", "span"].map((tag) => parentElement.querySelector(tag));
    words.textContent = label;
    const say = () => {
        output.textContent = texts[input.value];
        input.setAttribute("aria-valuetext", texts[input.value]);
    };
    Object.assign(input, { max: names.length - 1, value: at });
    say();
    input.oninput = () => {
        say();
        show(chart, names[input.value]);
    };
    input.onchange = () => setStateValue("at", Number(input.value));
}
