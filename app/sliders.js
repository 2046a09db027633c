// Streamlit's sliders while they are dragged: its server hears of them only when they are let go.

const inputOf = (key) => document.querySelector(`.st-key-${key} input[type="range"]`);

/** key -> number, as the server will have them; null until all the sliders are there. */
export function valuesOf(keys) {
    const inputs = keys.map(inputOf);
    return inputs.includes(null) ? null : Object.fromEntries(inputs.map((input, i) => [keys[i], onStep(input)]));
}

/** An address may lie between two steps. */
function onStep({ value, min, step }) {
    const [low, size] = [Number(min), Number(step)];
    return Number((low + Math.round((Number(value) - low) / size) * size).toFixed(2)) || 0; // never -0
}

/** Calls `changed` whenever a slider has moved; returns what ends this. */
export function followSliders(changed) {
    const observer = new MutationObserver(changed);
    const attributeFilter = ["value", "aria-valuetext"];
    observer.observe(document.querySelector(".stMain"), { subtree: true, attributes: true, attributeFilter });
    return () => observer.disconnect();
}
