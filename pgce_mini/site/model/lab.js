// Train one yourself: a new model learns chain sums here, by the shaped loss with the reader's beta.

import { slider, choice } from "./controls.js";
import { curves, runNames } from "./curves.js";
import { button, element, setText } from "./dom.js";
import { betaName, nats, YOURS } from "./looks.js";
import { stepsOf } from "./words.js";

const STEPS = ["100", "300", "600"];
const KEPT = 4; // runs in the picture
const AVERAGED = 10; // the last steps, for the numbers in the sentence
const INTRODUCTION =
    "The same code also trains. A new model of 85,000 parameters, as small as the smallest shipped, reads 32 new " +
    "documents of chain sums at each step, and the loss is the shaped one with your β: below 0 a true token " +
    "earns more than under cross-entropy, and the more so the likelier it already is; above 0 less. Cross-entropy and entropy are of documents that the model " +
    "has not seen before. Training waits while the models above write.";

/** { node, receive(message) }; `send` reaches the engine, `trained(beta)` is called when a model "yours" is there. */
export function lab(send, trained) {
    const state = { beta: 0.5, steps: "300" };
    const [runs, picture] = [[], curves()];
    let [running, begun] = [null, 0];

    const beta = slider({
        key: "train-beta", name: "β of the loss", value: () => state.beta, limits: () => [-0.75, 1],
        step: 0.05, change: (value) => set({ beta: value }), words: "0 is cross-entropy.",
    });
    const steps = choice({
        key: "steps", name: "Steps", values: STEPS, value: () => state.steps,
        change: (value) => set({ steps: value }),
    });
    const start = button("Train", () => (running ? stop() : begin()), { class: "primary" });
    const progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress of the training" });
    const note = element("p", { class: "note" });
    const sentence = element("p", { class: "takeaway" });
    const spoken = element("p", { class: "unseen", role: "status" });
    const names = element("p", { class: "runs" });
    const place = element("div", { hidden: true }, sentence, names, picture.node);
    const node = element(
        "section", { "aria-label": "Train one yourself" }, element("h2", {}, "Train one yourself"),
        element("p", { class: "note" }, INTRODUCTION), element("div", { class: "group" }, beta.node, steps.node),
        element("div", { class: "row" }, start, progress), note, spoken, place,
    );

    function set(changed) {
        Object.assign(state, changed);
        beta.draw();
        steps.draw();
    }

    function begin() {
        running = { beta: state.beta, steps: Number(state.steps), rows: [] };
        runs.push(running);
        if (runs.length > KEPT) runs.shift();
        begun = performance.now();
        place.hidden = progress.hidden = false;
        setText(start, "Stop");
        send({ kind: "train", name: YOURS, beta: running.beta, steps: running.steps, seed: 0 });
        draw();
    }

    function stop() {
        send({ kind: "stop" });
        start.disabled = true;
    }

    function draw() {
        const words = sentenceOf(runs);
        picture.draw(runs, words);
        setText(sentence, words);
        names.replaceChildren(...runNames(runs));
    }

    set({});
    return {
        node,
        receive(message) {
            if (message.kind === "step") {
                running.rows.push(message);
                const left = ((performance.now() - begun) / message.step) * (running.steps - message.step);
                progress.value = message.step / running.steps;
                setText(note, `Step ${message.step} of ${running.steps}, ${Math.ceil(left / 1000)} s left.`);
            } else {
                setText(note, "“yours”, the model that you trained, stands beside the five above, for chain sums before RL.");
                setText(start, "Train");
                start.disabled = false;
                progress.hidden = true;
                const { beta } = running;
                running = null;
                setText(spoken, sentenceOf(runs));
                trained(beta);
            }
            draw();
        },
    };
}

/** What the last run shows, beside the one before it after as many steps. */
function sentenceOf(runs) {
    const [run, other] = [runs.at(-1), runs.at(-2)];
    if (!run.rows.length) return "The first step is on its way.";
    const step = run.rows.at(-1).step;
    const numbers = ({ rows }) => {
        const last = rows.slice(0, step).slice(-AVERAGED);
        const mean = (key) => nats(last.reduce((total, row) => total + row[key], 0) / last.length);
        return [mean("crossEntropy"), mean("entropy")];
    };
    const [crossEntropy, entropy] = numbers(run);
    const said =
        `After ${stepsOf(step)} with ${betaName(run.beta)}: cross-entropy ${crossEntropy}, ` +
        `entropy ${entropy} nats a token`;
    if (!other || other.rows.length < step) return `${said}.`;
    return `${said}; with ${betaName(other.beta)} it was ${numbers(other).join(" and ")}.`;
}
