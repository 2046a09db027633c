// The page: one prompt, read and continued by a model of each arm.

import { bars } from "./bars.js";
import { choice, slider } from "./controls.js";
import { button, element, setText } from "./dom.js";
import { ARMS as SHAPINGS, STYLE } from "./from_python.js";
import { lab } from "./lab.js";
import { loadModel, startEngine } from "./loading.js";
import { ARMS, betaName, checkbox, nats, swatch, tokenName } from "./looks.js";
import { MODEL_STYLE, SAMPLES, TASKS } from "./of_models.js";
import { texts } from "./texts.js";
import { fixed, signed } from "./words.js";

const YOURS = "yours"; // the model that the reader has trained
const STAGES = { priors: "after pre-training", policies: "after RL" };
const armName = (place) => ARMS[place] ?? YOURS;
const REST = 700; // ms without a change, after which the sentence is read out
const OWN = "A thin line across a bar: the model itself, at temperature 1 and β = 0.";
const ABOUT_BETA =
    "If a model's probabilities were the frequencies of tokens in a training text, training with this β would end at " +
    "what you see: it reshapes each distribution, and no model changes. 0 leaves them as they are.";

/** Fills the page's place; `script` is its element, `engine` the function that engine.js has become. */
export function mount(script, engine) {
    const folder = new URL(".", script.src).href;
    const host = document.querySelector(".pgce-tiny-gpts");
    const prompts = Object.fromEntries(Object.entries(TASKS).map(([task, { prompts }]) => [task, Object.values(prompts)[0]]));
    const state = { task: "chain-sum", stage: "priors", temperature: 1, beta: 0, seed: 1, log: false };
    const [ready, loading] = [new Set(), new Map()]; // names of models; name -> promise
    let [asked, answer, scheduled, rest, trainedBeta] = [0, null, 0, 0, null];

    const send = startEngine(engine, receive);
    const [picture, written, training] = [bars(), texts(), lab(send, trained)];
    const view = parts();
    draw();
    load();

    function parts() {
        const change = (key) => (value) => set({ [key]: value });
        const box = element("textarea", { id: "prompt", rows: 2, spellcheck: "false", autocapitalize: "off", "aria-describedby": "problem", oninput: () => {
            prompts[state.task] = box.value;
            ask();
        } });
        const made = {
            box,
            task: choice({ key: "task", name: "Models of", values: Object.keys(TASKS), value: () => state.task, change: (task) => {
                set({ task, stage: TASKS[task].stages.includes(state.stage) ? state.stage : "priors" });
            } }),
            stage: choice({ key: "stage", name: "Models", values: Object.keys(STAGES), texts: STAGES, value: () => state.stage, change: change("stage") }),
            temperature: slider({
                key: "temperature", name: "Temperature", value: () => state.temperature, limits: () => [0, 2], step: 0.05,
                format: (value) => fixed(value, 2), change: change("temperature"),
                words: "Below 1 sharper, above 1 flatter; at 0 the likeliest token is always taken.",
            }),
            beta: slider({
                key: "beta", name: "β", value: () => state.beta, limits: () => [-0.75, 1], step: 0.05,
                change: change("beta"), words: ABOUT_BETA,
            }),
            examples: element("div", { class: "row examples", role: "group", "aria-label": "Or one of these prompts" }),
            progress: element("div", { class: "loading", hidden: true }),
            problem: element("p", { id: "problem", class: "problem", role: "alert" }),
            sentence: element("p", { class: "takeaway" }),
            spoken: element("p", { class: "unseen", role: "status" }),
            arms: element("div", { class: "arms" }),
            table: element("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": "Table" }),
            about: element("p", { class: "note" }),
        };
        const draws = button("Other draws", () => set({ seed: (state.seed + 1) % 1000 }), { class: "small" });
        const side = element(
            "div", { class: "side" },
            element("div", { class: "group" }, made.temperature.node, made.beta.node, made.stage.node,
                element("div", { class: "control" }, checkbox("Logarithmic probabilities, for the tail", change("log"))),
                element("div", { class: "control" }, draws), made.about),
        );
        const main = element(
            "div", { class: "main" }, made.task.node, element("label", { for: "prompt", class: "label" }, "Prompt"), box,
            made.examples, made.problem, made.progress, made.sentence, picture.node, made.arms,
        );
        const fold = element("details", {}, element("summary", {}, "The picture as a table"), made.table);
        const more = element("div", { class: "more" }, fold, written.node, training.node);
        const root = host.attachShadow({ mode: "open" });
        const sheet = new CSSStyleSheet(); // a style element would need the leave of a strict policy
        sheet.replaceSync(STYLE + MODEL_STYLE);
        root.adoptedStyleSheets = [sheet];
        root.append(element("div", { class: "playground" }, made.spoken, main, side, more));
        return made;
    }

    function set(changed) {
        Object.assign(state, changed);
        draw();
        if (changed.task || changed.stage) load();
        else if ("log" in changed) drawAnswer();
        else ask();
    }

    function draw() {
        const task = TASKS[state.task];
        for (const part of [view.task, view.stage, view.temperature, view.beta]) part.draw(state);
        view.stage.node.hidden = task.stages.length < 2;
        setText(view.about, task.about);
        if (view.box.value !== prompts[state.task]) view.box.value = prompts[state.task];
        view.examples.replaceChildren(
            ...Object.entries(task.prompts).map(([name, prompt]) =>
                button(name, () => {
                    prompts[state.task] = view.box.value = prompt;
                    ask();
                }, { class: "small" }),
            ),
        );
    }

    /** The models that the picture compares: those of the arms and, where it fits, the reader's own. */
    function shownNames() {
        const names = ARMS.map((arm) => `${state.stage}-${state.task}-${arm}`);
        const joins = trainedBeta !== null && state.task === "chain-sum" && state.stage === "priors";
        return joins ? [...names, YOURS] : names;
    }

    /** Brings the models that are shown, each once, and then asks them. */
    async function load() {
        const names = shownNames().filter((name) => !ready.has(name));
        const wanted = `${state.stage} ${state.task}`;
        const isWanted = () => wanted === `${state.stage} ${state.task}`;
        let count = 0;
        const bar = element("progress", { max: names.length, value: 0, "aria-label": "Models that have arrived" });
        view.progress.replaceChildren(`Loading ${names.length} models of ${state.task} … `, bar);
        view.progress.hidden = !names.length;
        const bring = async (name) => {
            const bytes = await loadModel(folder, name);
            bar.value = ++count;
            ready.add(name);
            send({ kind: "model", name, bytes }, [bytes]);
        };
        try {
            for (const name of names) if (!loading.has(name)) loading.set(name, bring(name));
            await Promise.all(names.map((name) => loading.get(name)));
        } catch (error) {
            for (const name of names) if (!ready.has(name)) loading.delete(name);
            if (!isWanted()) return;
            view.progress.replaceChildren(`${error.message} `, button("Try again", load, { class: "small" }));
            return;
        }
        if (!isWanted()) return;
        view.progress.hidden = true;
        ask();
    }

    /** Asks the models, at most once a frame. */
    function ask() {
        if (scheduled || shownNames().some((name) => !ready.has(name))) return;
        scheduled = requestAnimationFrame(() => {
            scheduled = 0;
            if (shownNames().some((name) => !ready.has(name))) return;
            const { temperature, beta, seed, task } = state;
            send({ kind: "ask", id: ++asked, names: shownNames(), prompt: prompts[task], temperature, beta, seed });
        });
    }

    function receive(message) {
        if (message.kind === "step" || message.kind === "trained") return training.receive(message);
        if (message.id !== asked) return;
        if (message.kind === "refused") {
            setText(view.problem, message.sentence);
            host.setAttribute("aria-busy", "false");
        } else if (message.kind === "next") {
            answer = { ...message, task: state.task };
            setText(view.problem, unseen(TASKS[state.task], prompts[state.task]));
            drawAnswer();
            written.begin(message.arms.map((_, place) => armName(place)), SAMPLES, Boolean(TASKS[state.task].vocab));
            host.setAttribute("aria-busy", "true");
        } else if (message.kind === "wrote") written.add(message.pieces);
        else if (message.kind === "written") {
            written.end();
            host.setAttribute("aria-busy", "false");
        }
    }

    function trained(beta) {
        trainedBeta = beta;
        ready.add(YOURS);
        ask();
    }

    function drawAnswer() {
        if (!answer) return;
        const { tokens, arms } = answer;
        const words = takeaway(arms.map(({ entropy }) => entropy), state);
        const changed = state.beta !== 0 || state.temperature !== 1;
        setText(view.sentence, words);
        clearTimeout(rest);
        rest = setTimeout(() => setText(view.spoken, words), REST);
        picture.draw({ tokens, arms, log: state.log, changed, label: `Bars of the table below. ${words}` });
        view.arms.replaceChildren(armTable(arms, changed));
        view.table.replaceChildren(tokenTable(tokens, arms));
    }

    /** The models with their patterns: what each was rewarded for, and its entropy. */
    function armTable(arms, changed) {
        const rows = arms.map(({ entropy }, place) =>
            element("tr", {}, element("th", { scope: "row" }, swatch(place), armName(place)),
                element("td", { class: "meaning" }, ARMS[place] ? meaning(SHAPINGS[ARMS[place]]) : betaName(trainedBeta)),
                element("td", {}, nats(entropy))),
        );
        const head = ["arm", "its reward in pre-training", "entropy (nats)"].map((name) => element("th", { scope: "col" }, name));
        return element(
            "div", {}, element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
            changed ? element("p", { class: "note" }, OWN) : null,
        );
    }

    function tokenTable(tokens, arms) {
        const head = ["token", ...arms.map((_, place) => armName(place))].map((name) => element("th", { scope: "col" }, name));
        const rows = tokens.map((token, i) =>
            element("tr", {}, element("th", { scope: "row" }, tokenName(token)), ...arms.map(({ probs }) => element("td", {}, fixed(probs[i], 4)))),
        );
        return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
    }
}

function meaning({ beta, lambda_head, lambda_tail }) {
    if (beta) return `β = ${signed(beta)}`;
    if (lambda_head || lambda_tail) return lambda_head ? `λ head = ${signed(lambda_head)}` : `λ tail = ${signed(lambda_tail)}`;
    return "cross-entropy";
}

function takeaway(entropies, { temperature, beta }) {
    const [sharp, flat] = [Math.min(...entropies), Math.max(...entropies)];
    const name = (value) => armName(entropies.indexOf(value));
    const settings = [temperature !== 1 && `at temperature ${fixed(temperature, 2)}`, beta !== 0 && `with ${betaName(beta)}`].filter(Boolean);
    if (nats(sharp) === nats(flat)) return `After this prompt all models are equally sure (entropy ${nats(sharp)} nats).`;
    return (
        `After this prompt${settings.length ? `, ${settings.join(" and ")},` : ""} ${name(sharp)} is surest about the next ` +
        `token (entropy ${nats(sharp)} nats) and ${name(flat)} is least sure (${nats(flat)}).`
    );
}

/** Byte pairs can write any text, but not all of it was in the manual. */
function unseen({ characters }, prompt) {
    const strange = characters ? [...new Set(prompt)].filter((character) => !characters.includes(character)) : [];
    if (!strange.length) return "";
    const names = strange.slice(0, 8).map((character) => (/\p{C}/u.test(character) ? "�" : character)).join(" ");
    return `Not in the text that the models have read: ${names}${strange.length > 8 ? " …" : ""} — to them, bytes without a meaning.`;
}
