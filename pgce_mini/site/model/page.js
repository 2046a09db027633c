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
    let [scheduled, rest, trainedBeta] = [0, 0, null];
    let [wanted, onItsWay] = [false, false]; // there is something new to ask; a question has no answer yet
    let [count, question, answer] = [0, null, null]; // the last question, and what it was answered, with it

    const send = startEngine(engine, receive);
    const view = makeView({ state, prompts, set, ask });
    const [picture, written, training] = [bars(), texts(view.draws), lab(send, joined)];
    const root = placed(host, view, { picture, written, training });
    draw();
    load();

    function set(changed) {
        Object.assign(state, changed);
        draw();
        if ("task" in changed || "stage" in changed) {
            forget();
            load();
        } else if ("log" in changed) drawAnswer();
        else ask();
    }

    /** What was asked is of other models than those now chosen. */
    function forget() {
        question = null;
        send({ kind: "quiet" });
        setText(view.problem, "");
        showStale(true);
    }

    /** The last answer is not one to what is now asked: it keeps its room and is not seen. */
    function showStale(stale) {
        root.classList.toggle("stale", stale);
        clearTimeout(rest);
        if (stale) setText(view.spoken, "");
    }

    function setBusy(busy) {
        host.setAttribute("aria-busy", busy);
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
        setBusy(true);
        for (const name of names) if (!coming.has(name)) coming.set(name, bring(name));
        try {
            await Promise.all(names.map((name) => coming.get(name).then(countOne)));
        } catch (error) {
            if (!isShown()) return;
            view.loading.replaceChildren(`${error.message} `, button("Try again", load, { class: "small" }));
            return setBusy(false);
        }
        if (!isShown()) return;
        view.loading.hidden = true;
        ask();
    }

    async function bring(name) {
        try {
            const bytes = await loadModel(folder, name);
            ready.add(name);
            send({ kind: "model", name, bytes }, [bytes]);
        } catch (error) {
            coming.delete(name);
            throw error;
        }
    }

    /** Asks the models, at most once a frame and one question at a time: of those that wait, the newest. */
    function ask() {
        if (missing().length) return; // load() asks when they are here
        wanted = true;
        setBusy(true);
        scheduled ||= requestAnimationFrame(() => {
            scheduled = 0;
            sendQuestion();
        });
    }

    function sendQuestion() {
        if (!wanted || onItsWay || missing().length) return;
        const { task, temperature, beta, seed } = state;
        const sent = { id: ++count, names: shownNames(), prompt: prompts[task], temperature, beta, seed };
        question = { ...sent, task, trainedBeta };
        [wanted, onItsWay] = [false, true];
        send({ kind: "ask", ...sent });
    }

    function receive(message) {
        const { kind, id } = message;
        if (kind === "step" || kind === "trained") return training.receive(message);
        if (id === question?.id) answers[kind](message);
        if (kind !== "next" && kind !== "refused") return;
        onItsWay = false;
        if (!scheduled) sendQuestion();
    }

    const rested = () => wanted || setBusy(false);
    const answers = {
        refused({ sentence }) {
            setText(view.problem, sentence);
            showStale(true);
            rested();
        },
        next({ read, tokens, arms }) {
            answer = { tokens, arms, question };
            const task = TASKS[question.task];
            setText(view.problem, unseen(task, read));
            showStale(false);
            drawAnswer();
            written.begin(arms.map((_, place) => armName(place)), SAMPLES, Boolean(task.vocab));
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
        if (shownNames().includes(YOURS)) ask();
    }

    function drawAnswer() {
        if (!answer) return;
        const sentence = takeaway(answer);
        setText(view.sentence, sentence);
        clearTimeout(rest);
        rest = setTimeout(() => setText(view.spoken, sentence), REST);
        const label = `Bars; their numbers are in the table below. ${sentence}`;
        view.key.replaceChildren(...legend(answer));
        picture.draw({ ...answer, log: state.log, changed: isChanged(answer.question), label });
        view.arms.replaceChildren(armTable(answer));
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
        draws: button("Other draws", () => set({ seed: (state.seed + SAMPLES) % 1000 }), { class: "small" }),
        about: element("p", { class: "note" }),
        loading: element("div", { class: "loading", role: "status", hidden: true }),
        problem: element("p", { id: "problem", class: "problem", role: "alert" }),
        sentence: element("p", { class: "takeaway" }),
        key: element("p", { class: "key" }),
        answer: element("div", { class: "answer" }),
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
    view.answer.append(view.sentence, view.key, picture.node, view.log, view.arms);
    const asking = element(
        "div", { class: "asking group" }, view.task.node, view.stage.node,
        element("div", { class: "typed" }, element("label", { for: "prompt" }, "Prompt"), view.box, view.problem, view.examples, view.about),
        view.temperature.node, view.beta.node,
    );
    const answering = element("div", { class: "answering" }, view.loading, view.answer);
    const fold = element("details", {}, element("summary", {}, "The picture as a table"), view.table);
    const more = element("div", { class: "more" }, fold, written.node, training.node);
    const shadow = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // a strict policy refuses a style element
    sheet.replaceSync(STYLE + MODEL_STYLE);
    shadow.adoptedStyleSheets = [sheet];
    const root = element("div", { class: "playground" }, view.spoken, asking, answering, more);
    shadow.append(root);
    return root;
}
