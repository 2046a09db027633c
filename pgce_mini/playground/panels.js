// The controls: which there are, and what each changes. A panel is { node, draw(state) }.

import { choice, slider } from "./controls.js";
import { element } from "./dom.js";
import { ARMS } from "./from_python.js";
import { CHOICES, LIMITS, presetOf } from "./state.js";
import { fixed } from "./words.js";

const EQ_11 = {
    product: "The true token earns 1/π · (1−π)<sup>β</sup>, π being its probability.",
    exponent: "The true token earns (1/π)<sup>(1−π)<sup>β</sup></sup>, π being its probability.",
};

export function rewardPanel(instrument) {
    return panel("Reward", [
        choice({
            key: "arm", name: "Arm of the paper", values: Object.keys(ARMS), value: armOf,
            change: (name) => instrument.set(ARMS[name]),
            words: "An arm leaves k as it is: the paper's k = 100 would be the whole vocabulary here.",
        }),
        betaControl(instrument),
        slider({
            ...numberOf(instrument, "lambda_head"), name: "λ head", step: 0.05,
            words: "what a wrong token of the head earns; the head is the k likeliest of π",
        }),
        slider({
            ...numberOf(instrument, "lambda_tail"), name: "λ tail", step: 0.05,
            words: "what any other wrong token earns",
        }),
        slider({
            ...numberOf(instrument, "top_k"), name: "k, tokens in the head", step: 1,
            limits: ({ tokens }) => [1, tokens.length],
            format: (k, { tokens }) => `${Math.min(k, tokens.length)} of ${tokens.length}`,
        }),
        choice({ ...choiceOf(instrument, "form"), name: "Form of Eq. 11 (the paper's two versions)" }),
    ]);
}

export function trainingPanel(instrument) {
    return panel("Frequencies and training", [
        frequenciesChoice(instrument, "; drag the circles to change it"),
        tokensSlider(instrument),
        choice({
            ...choiceOf(instrument, "start"), name: "Training starts from", texts: { labels: "frequencies" },
            change: (start) => instrument.set({ start, steps: 0 }),
            words: "from the uniform policy, or from q, where cross-entropy ends",
        }),
        slider({
            ...numberOf(instrument, "lr"), name: "Step size", step: 0.1, format: (lr) => fixed(lr, 1),
            words: "a step moves each logit z by it times the push",
        }),
        axisChoice(instrument),
    ]);
}

export const frequenciesChoice = (instrument, more = "") =>
    choice({
        key: "labels", name: "Frequencies q (made up)", values: Object.keys(instrument.presets),
        value: (state) => presetOf(state, instrument.presets),
        change: (name) => instrument.choosePreset(name),
        words: `how often each token follows the prompt${more}`,
    });

export function tokensSlider(instrument) {
    const { presets } = instrument;
    return slider({
        key: "tokens", name: "Tokens", step: 1, format: String, value: ({ tokens }) => tokens.length,
        limits(state) {
            const most = presets[presetOf(state, presets)]?.tokens.length ?? state.tokens.length;
            return [Math.min(LIMITS.tokens[0], most), most];
        },
        change: (count) => instrument.choosePreset(presetOf(instrument.state, presets) ?? "peaked", count),
    });
}

export const axisChoice = (instrument) =>
    choice({ ...choiceOf(instrument, "axis"), name: "Axis", words: "log shows the tail" });

export function panel(title, controls) {
    const nodes = controls.map(({ node }) => node);
    return {
        node: element("section", { class: "group", "aria-label": title }, element("h2", {}, title), ...nodes),
        draw(state) {
            for (const control of controls) control.draw(state);
        },
    };
}

export const numberOf = (instrument, key) => ({
    key,
    value: (state) => state[key],
    limits: () => LIMITS[key],
    change: (number) => instrument.set({ [key]: number }),
});

export const choiceOf = (instrument, key) => ({
    key,
    values: CHOICES[key],
    value: (state) => state[key],
    change: (value) => instrument.set({ [key]: value }),
});

/** The name of the arm that has these settings, or null. */
function armOf(state) {
    const isIt = (arm) => Object.entries(arm).every(([key, value]) => state[key] === value);
    return Object.keys(ARMS).find((name) => isIt(ARMS[name])) ?? null;
}

/** The slider of β and, below it, Eq. 11 in the form that is chosen. */
function betaControl(instrument) {
    const marks = ["below 0: precision", "above 0: diversity"];
    const beta = slider({ ...numberOf(instrument, "beta"), name: "β", step: 0.05, marks });
    const equations = Object.entries(EQ_11).map(([form, html]) => {
        const node = element("p", { class: "words" });
        node.innerHTML = html;
        return { form, node };
    });
    beta.node.append(...equations.map(({ node }) => node));
    return {
        node: beta.node,
        draw(state) {
            beta.draw(state);
            for (const { form, node } of equations) node.hidden = form !== state.form;
        },
    };
}
