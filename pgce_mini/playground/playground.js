// The instrument: picture, controls, transport and readouts around one state. A home (homes.js) shows and keeps it.

import { choice, dataTable, element, slider, write } from "./controls.js";
import { entropy, softmax } from "./dynamics.js";
import { copyText, pictureFile } from "./files.js";
import { caption, csv, deriver, fixed, python, restingStep, table, takeaway } from "./numbers.js";
import { picture } from "./picture.js";
import { png, save } from "./saving.js";
import { LIMITS, presetOf, presetsWith, startLogits, withPreset, withProbability } from "./state.js";

// STYLE, the text of playground.css, is put here by pgce_mini/playground/__init__.py.

const QUIET = 250; // ms without a change after which an address is written and a screen reader told
const HINT = "Left and right arrow keys change the value, up and down go to another token.";
const REWARD = {
    product: "The true token earns 1/π · (1−π)<sup>β</sup>, π being its probability.",
    exponent: "The true token earns (1/π)<sup>(1−π)<sup>β</sup></sup>, π being its probability.",
};

/**
 * Builds the playground inside `host`. `base` is what "Defaults" goes back to, `state` where it begins, and
 * `keep(state)` is called when a change has come to rest. Gives set(changes), for changes from outside.
 */
export function mount(host, { base, state, keep }) {
    const root = host.attachShadow({ mode: "open" });
    const presets = presetsWith(base);
    const derive = deriver();
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    let [numbers, playing, pinned, waiting, resting] = [null, false, new Set(), 0, 0];

    // --- Changes: of the state at once, of the page with the next frame --------------------------------------

    function set(changes) {
        state = { ...state, ...changes };
        waiting ||= requestAnimationFrame(frame);
        clearTimeout(resting);
        if (!playing) resting = setTimeout(settle, QUIET);
    }

    function frame() {
        waiting = 0;
        if (playing) {
            if (!host.isConnected) playing = false;
            else if (state.steps >= LIMITS.steps[1] || (state.steps > 0 && numbers.resting)) pause();
            else set({ steps: state.steps + 1 });
        }
        draw();
    }

    function settle() {
        spoken.textContent = sentence.textContent;
        keep(state);
    }

    function pause() {
        playing = false;
        set({});
    }

    function play() {
        const ended = state.steps >= LIMITS.steps[1] || (state.steps > 0 && numbers.resting);
        if (still.matches) return set({ steps: restingStep(state) }); // there at once, for those who asked for rest
        playing = true;
        set({ steps: ended ? 0 : state.steps });
    }

    function predict() {
        pinned = new Set();
        playing = false;
        if (state.prediction) set({ prediction: null });
        else set({ prediction: softmax(startLogits(state)), steps: 0 });
    }

    function drag(index, value) {
        if (!numbers.hidden) return set({ labels: withProbability(state.labels, index, value) });
        set({ prediction: withProbability(state.prediction, index, value, pinned) });
        pinned.add(index);
    }

    const takePreset = (name, count) => set(withPreset(state, presets[name], count));
    const value = (key, number) => set({ [key]: number });

    // --- The picture and what belongs to it -----------------------------------------------------------------

    const svg = element("template");
    svg.innerHTML = '<svg role="group" class="picture"></svg>';
    const drawing = svg.content.firstChild;
    const sentence = element("p", { class: "takeaway" });
    const spoken = element("p", { class: "unseen", role: "status" });
    const prompt = element("p", { class: "prompt" });
    const stage = element("div", { class: "stage" }, drawing);
    const chart = picture(drawing, { current: () => state, change: drag, settle: () => set({}) });
    drawing.setAttribute("aria-describedby", "hint");

    const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);
    const playButton = button("Play", () => (playing ? pause() : play()), { class: "primary" });
    const stepButton = button("Step", () => {
        playing = false;
        set({ steps: Math.min(state.steps + 1, LIMITS.steps[1]) });
    });
    const resetButton = button("Reset", () => {
        playing = false;
        set({ steps: 0 });
    });
    const predictButton = button("Predict first", predict, { "aria-pressed": "false" });

    const readouts = ["step", "entropy", "mass of the head", "mass of the tail", "mean reward", "distance to end"];
    const tiles = readouts.map((name) => {
        const [number, note] = [element("span", { class: "number" }), element("span", { class: "note" })];
        return { number, note, node: element("div", { class: "tile" }, element("dt", {}, name), element("dd", {}, number, note)) };
    });

    function readout(index, number, note) {
        const tile = tiles[index];
        write(tile.number, number);
        write(tile.note, note);
    }

    // --- Data, files, code -----------------------------------------------------------------------------------

    const data = dataTable();
    const code = element("code");
    const copied = element("span", { role: "status" });
    const copy = button("Copy", async () => {
        copied.textContent = (await copyText(code.textContent)) ? "Copied" : "Select the text and copy it";
    });
    const folds = [
        element("details", { ontoggle: () => set({}) }, element("summary", {}, "Data"), data.node),
        element(
            "details", { ontoggle: () => set({}) }, element("summary", {}, "Copy as Python"),
            element("div", { class: "row" }, copy, copied),
            element("pre", { tabindex: "0", role: "region", "aria-label": "Python" }, code),
        ),
    ];
    const file = () =>
        pictureFile(drawing, getComputedStyle(view).backgroundColor, sentence.textContent, `${prompt.textContent}: ${caption(state, numbers)}`);
    const downloads = {
        CSV: () => new Blob([csv(table(state, numbers))], { type: "text/csv" }),
        PNG: () => png(file()),
        SVG: () => new Blob([file().source], { type: "image/svg+xml" }),
    };
    const download = Object.entries(downloads).map(([kind, blob]) =>
        button(kind, async () => save(await blob(), `one_token.${kind.toLowerCase()}`), { class: "small" }),
    );

    // --- Controls --------------------------------------------------------------------------------------------

    const eq11 = Object.entries(REWARD).map(([form, html]) => {
        const node = element("p", { class: "words" });
        node.innerHTML = html;
        return { node, form };
    });
    const lambda = { step: 0.05, change: value };
    const beta = slider({
        name: "β", key: "beta", limits: () => LIMITS.beta, step: 0.05, change: value,
        marks: ["below 0: precision", "above 0: diversity"],
    });
    beta.node.append(...eq11.map(({ node }) => node));
    const rewards = [
        choice({
            name: "Arm of the paper",
            values: Object.keys(ARMS),
            chosen: (s) => Object.keys(ARMS).find((arm) => Object.entries(ARMS[arm]).every(([k, v]) => s[k] === v)) ?? null,
            words: "An arm leaves k as it is: the paper's k = 100 would be the whole vocabulary here.",
            change: (arm) => set(ARMS[arm]),
        }),
        beta,
        slider({
            ...lambda, name: "λ head", key: "lambda_head", limits: () => LIMITS.lambda_head,
            words: "what a wrong token of the head earns; the head is the k likeliest of π",
        }),
        slider({
            ...lambda, name: "λ tail", key: "lambda_tail", limits: () => LIMITS.lambda_tail,
            words: "what any other wrong token earns",
        }),
        slider({
            name: "k, tokens in the head", key: "top_k", step: 1, change: value,
            limits: (s) => [1, s.tokens.length],
            format: (k, s) => `${Math.min(k, s.tokens.length)} of ${s.tokens.length}`,
        }),
        choice({
            name: "Form of Eq. 11 (the paper's two versions)", values: ["product", "exponent"],
            chosen: (s) => s.form, change: (form) => set({ form }),
        }),
    ];
    const world = [
        choice({
            name: "Labels q (made up)", values: Object.keys(presets),
            chosen: (s) => presetOf(s, presets), change: (name) => takePreset(name, state.tokens.length),
            words: "how often each token follows the prompt; drag the circles to change it",
        }),
        slider({
            name: "Tokens", key: "tokens", step: 1, format: String,
            limits: (s) => {
                const most = presets[presetOf(s, presets)]?.tokens.length ?? s.tokens.length;
                return [Math.min(LIMITS.tokens[0], most), most];
            },
            change: (_, count) => takePreset(presetOf(state, presets) ?? "peaked", count),
        }),
        choice({
            name: "Training starts from", values: ["uniform", "labels"],
            chosen: (s) => s.start, change: (start) => set({ start, steps: 0 }),
            words: "from nothing known, or from where cross-entropy ends",
        }),
        slider({
            name: "Step size", key: "lr", step: 0.1, limits: () => LIMITS.lr, change: value, format: (lr) => fixed(lr, 1),
            words: "a step moves each logit z by it times the push",
        }),
        choice({
            name: "Axis", values: ["linear", "log"], chosen: (s) => s.axis, change: (axis) => set({ axis }),
            words: "log shows the tail",
        }),
    ];
    const controls = [...rewards, ...world];
    const group = (title, parts) =>
        element("section", { class: "group", "aria-label": title }, element("h2", {}, title), ...parts.map(({ node }) => node));

    const view = element(
        "div", { class: "playground" }, spoken, element("p", { id: "hint", class: "unseen" }, HINT),
        element(
            "div", { class: "main" }, sentence,
            element("div", { class: "row" }, playButton, stepButton, resetButton, predictButton), prompt, stage,
            element("dl", { class: "tiles" }, ...tiles.map(({ node }) => node)),
        ),
        element("div", { class: "side" }, group("Reward", rewards)),
        element(
            "div", { class: "more" }, group("Labels and training", world),
            element(
                "div", { class: "row" }, "Download", ...download,
                button("All defaults", () => set({ ...base }), { class: "small last" }),
            ),
            ...folds,
        ),
    );

    function draw() {
        numbers = derive(state);
        const { hidden } = numbers;
        write(sentence, takeaway(state, numbers));
        drawing.setAttribute("aria-label", hidden ? "Your prediction for each token" : "Labels and policy, token by token");
        write(prompt, `Next token after “${state.prompt}”`);
        chart.draw(state, numbers);
        readout(0, String(state.steps), `of at most ${LIMITS.steps[1]}`);
        readout(1, fixed(numbers.entropy), `nats; labels ${fixed(entropy(state.labels))}`);
        readout(2, fixed(numbers.headMass), `the ${numbers.shaping.top_k} likeliest`);
        readout(3, fixed(numbers.tailMass), "all others");
        readout(4, fixed(numbers.reward), "cross-entropy: 1");
        readout(5, hidden ? "?" : fixed(numbers.distance), "total variation");
        write(playButton, playing ? "Pause" : "Play");
        predictButton.setAttribute("aria-pressed", String(Boolean(state.prediction)));
        for (const control of controls) control.sync(state);
        for (const { node, form } of eq11) node.hidden = form !== state.form;
        if (folds[0].open) data.sync(table(state, numbers));
        if (folds[1].open && !playing) write(code, python(state, numbers));
    }

    root.append(element("style", {}, STYLE), view);
    host.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys
    new ResizeObserver(([{ contentRect }]) => chart.layout(Math.floor(contentRect.width))).observe(stage);
    draw();
    settle();
    return { set };
}
