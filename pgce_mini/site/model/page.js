// The page: one prompt, read and continued by a model of each arm.

import { armTable, isChanged, legend, takeaway, tokenTable, unseen } from "./answers.js";
import { bars } from "./bars.js";
import { choice, slider } from "./controls.js";
import { button, element, setText } from "./dom.js";
import { STYLE } from "./from_python.js";
import { lab } from "./lab.js";
import { loadModel, startEngine } from "./loading.js";
import { ARMS, armName, checkbox, YOURS } from "./looks.js";
import { MODEL_STYLE, SAMPLES, TASKS } from "./of_models.js";
import { texts } from "./texts.js";
import { fixed } from "./words.js";

const STAGES = { priors: "after pre-training", policies: "after RL" };
const REST = 700; // ms without a change, after which the sentence is read out
const ABOUT_TEMPERATURE = "Below 1 sharper, above 1 flatter; at 0 the likeliest token is always taken.";
const ABOUT_BETA =
    "If a model's probabilities were the frequencies of tokens in a training text, training with this β would end at " +
    "what you see: it reshapes each distribution, and no model changes. 0 leaves them as they are.";

/** Fills the page's place; `script` is its element, `engine` the function that engine.js has become. */
export function mount(script, engine) {
    const folder = new URL(".", script.src).href;
    const host = document.querySelector(".pgce-tiny-gpts");
    const state = { task: "chain-sum", stage: "priors", temperature: 1, beta: 0, seed: 1, log: false };
    const firstPrompt = ([task, { prompts }]) => [task, Object.values(prompts)[0]];
    const prompts = Object.fromEntries(Object.entries(TASKS).map(firstPrompt)); // of each task
    const [ready, coming] = [new Set(), new Map()]; // names of models; name -> promise
    let [asked, scheduled, answer, rest, trainedBeta] = [0, 0, null, 0, null];

    const send = startEngine(engine, receive);
    const [picture, written, training] = [bars(), texts(), lab(send, joined)];
    const view = makeView({ state, prompts, set, ask });
    placed(host, view, { picture, written, training });
    draw();
    load();

    function set(changed) {
        Object.assign(state, changed);
        draw();
        if ("task" in changed || "stage" in changed) load();
        else if ("log" in changed) drawAnswer();
        else ask();
    }

    function draw() {
        for (const part of [view.task, view.stage, view.temperature, view.beta]) part.draw(state);
        view.stage.node.hidden = TASKS[state.task].stages.length < 2;
        setText(view.about, TASKS[state.task].about);
        view.drawPrompt();
    }

    /** The models that the picture compares: those of the arms and, where it fits, the reader's own. */
    function shownNames() {
        const names = ARMS.map((arm) => `${state.stage}-${state.task}-${arm}`);
        const joins = trainedBeta !== null && state.task === "chain-sum" && state.stage === "priors";
        return joins ? [...names, YOURS] : names;
    }

    function missing() {
        return shownNames().filter((name) => !ready.has(name));
    }

    /** Brings the models that are shown and not here, and then asks them. */
    async function load() {
        const [names, { task, stage }] = [missing(), state];
        const isShown = () => task === state.task && stage === state.stage;
        const arrived = element("progress", { max: names.length, value: 0, "aria-label": "Models that have arrived" });
        const countOne = () => (arrived.value += 1);
        view.loading.replaceChildren(`Loading ${names.length} models of ${task} … `, arrived);
        view.loading.hidden = !names.length;
        for (const name of names) if (!coming.has(name)) coming.set(name, bring(name));
        try {
            await Promise.all(names.map((name) => coming.get(name).then(countOne)));
        } catch (error) {
            for (const name of names) if (!ready.has(name)) coming.delete(name);
            if (isShown()) view.loading.replaceChildren(`${error.message} `, button("Try again", load, { class: "small" }));
            return;
        }
        if (!isShown()) return;
        view.loading.hidden = true;
        ask();
    }

    async function bring(name) {
        const bytes = await loadModel(folder, name);
        ready.add(name);
        send({ kind: "model", name, bytes }, [bytes]);
    }

    /** Asks the models, at most once a frame. */
    function ask() {
        scheduled ||= requestAnimationFrame(() => {
            scheduled = 0;
            if (missing().length) return; // load() asks when they are here
            const { task, temperature, beta, seed } = state;
            host.setAttribute("aria-busy", "true");
            send({ kind: "ask", id: ++asked, names: shownNames(), prompt: prompts[task], temperature, beta, seed });
        });
    }

    function receive(message) {
        if (message.kind === "step" || message.kind === "trained") return training.receive(message);
        if (message.id === asked) answers[message.kind](message);
    }

    const rested = () => host.setAttribute("aria-busy", "false");
    const answers = {
        refused({ sentence }) {
            setText(view.problem, sentence);
            view.answer.hidden = true; // it is that of another prompt
            rested();
        },
        next(message) {
            answer = message;
            view.answer.hidden = false;
            setText(view.problem, unseen(TASKS[state.task], prompts[state.task]));
            drawAnswer();
            const names = answer.arms.map((_, place) => armName(place));
            written.begin(names, SAMPLES, Boolean(TASKS[state.task].vocab));
        },
        wrote: ({ pieces }) => written.add(pieces),
        written() {
            written.end();
            rested();
        },
    };

    function joined(beta) {
        trainedBeta = beta;
        ready.add(YOURS);
        ask();
    }

    function drawAnswer() {
        if (!answer) return;
        const sentence = takeaway(answer, state);
        setText(view.sentence, sentence);
        clearTimeout(rest);
        rest = setTimeout(() => setText(view.spoken, sentence), REST);
        const label = `Bars; their numbers are in the table below. ${sentence}`;
        view.key.replaceChildren(...legend(answer));
        picture.draw({ ...answer, log: state.log, changed: isChanged(state), label });
        view.arms.replaceChildren(armTable(answer, state, trainedBeta));
        view.table.replaceChildren(tokenTable(answer));
    }
}

/** What the reader sets and reads, without the pictures. */
function makeView({ state, prompts, set, ask }) {
    const box = element("textarea", {
        id: "prompt", rows: 2, spellcheck: "false", autocapitalize: "off", "aria-describedby": "problem",
        oninput: () => take(box.value),
    });
    const examples = element("div", { class: "row examples", role: "group", "aria-label": "Or one of these prompts" });

    function take(prompt) {
        prompts[state.task] = prompt;
        ask();
    }

    function takeTask(task) {
        const hasStage = TASKS[task].stages.includes(state.stage);
        set({ task, stage: hasStage ? state.stage : "priors" });
    }

    let drawn = null; // the task whose examples are there
    return {
        box, examples,
        task: choice({
            key: "task", name: "Models of", values: Object.keys(TASKS), value: () => state.task, change: takeTask,
        }),
        stage: choice({
            key: "stage", name: "Models", values: Object.keys(STAGES), texts: STAGES, value: () => state.stage,
            change: (stage) => set({ stage }),
        }),
        temperature: slider({
            key: "temperature", name: "Temperature", value: () => state.temperature, limits: () => [0, 2], step: 0.05,
            format: (value) => fixed(value, 2), change: (temperature) => set({ temperature }), words: ABOUT_TEMPERATURE,
        }),
        beta: slider({
            key: "beta", name: "β", value: () => state.beta, limits: () => [-0.75, 1], step: 0.05,
            change: (beta) => set({ beta }), words: ABOUT_BETA,
        }),
        log: checkbox("Logarithmic probabilities, for the tail", (log) => set({ log })),
        draws: button("Other draws", () => set({ seed: (state.seed + 1) % 1000 }), { class: "small" }),
        about: element("p", { class: "note" }),
        loading: element("div", { class: "loading", role: "status", hidden: true }),
        problem: element("p", { id: "problem", class: "problem", role: "alert" }),
        sentence: element("p", { class: "takeaway" }),
        key: element("p", { class: "key" }),
        answer: element("div", { hidden: true }),
        spoken: element("p", { class: "unseen", role: "status" }),
        arms: element("div", { class: "arms" }),
        table: element("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": "Table" }),
        drawPrompt() {
            if (drawn === state.task) return;
            drawn = state.task;
            box.value = prompts[drawn];
            const buttons = Object.entries(TASKS[drawn].prompts).map(([name, prompt]) =>
                button(name, () => take((box.value = prompt)), { class: "small" }),
            );
            examples.replaceChildren(...buttons);
        },
    };
}

/** Puts all of it into a shadow tree: the page around it keeps its looks, and this one its own. */
function placed(host, view, { picture, written, training }) {
    view.answer.append(view.sentence, view.key, picture.node, view.arms);
    const control = (...parts) => element("div", { class: "control" }, ...parts);
    const main = element(
        "div", { class: "main" }, view.task.node, element("label", { for: "prompt", class: "label" }, "Prompt"), view.box,
        view.examples, view.about, view.problem, view.loading, view.answer,
    );
    const settings = element(
        "div", { class: "group" }, view.temperature.node, view.beta.node, view.stage.node, control(view.log),
        control(view.draws),
    );
    const fold = element("details", {}, element("summary", {}, "The picture as a table"), view.table);
    const more = element("div", { class: "more" }, fold, written.node, training.node);
    const side = element("div", { class: "side" }, settings);
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // a strict policy refuses a style element
    sheet.replaceSync(STYLE + MODEL_STYLE);
    root.adoptedStyleSheets = [sheet];
    root.append(element("div", { class: "playground" }, view.spoken, main, side, more));
}
