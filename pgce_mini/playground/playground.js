// The page: its parts, each { node, draw(state, numbers) }, and their places. A home (homes.js) shows it.

import { choice } from "./controls.js";
import { button, element, setText } from "./dom.js";
import { barePicture, fileButtons } from "./files.js";
import { dataFold, pythonFold } from "./folds.js";
import { STYLE } from "./from_python.js";
import { Instrument } from "./instrument.js";
import { rewardPanel, trainingPanel } from "./panels.js";
import { Picture } from "./picture.js";
import { pin } from "./pin.js";
import { captionLine, captionOf, promptLine, sentenceOf, takeawayLine, tiles } from "./readouts.js";
import { RLCurves } from "./rl_curves.js";
import { rlPanel, rlTextPanel } from "./rl_panels.js";
import { RLPicture } from "./rl_picture.js";
import { startsTable } from "./rl_readouts.js";
import { shareRow } from "./share.js";
import { classQuestion } from "./words.js";

const MODES = ["Pre-train", "Then RL"];
const HINT = "Left and right arrow keys change the value, up and down go to another token.";

/**
 * Builds the playground inside `host` and gives its Instrument. `base` is what "All defaults" goes back to, `state`
 * where it begins, and `keep(state)` is called when a change has come to rest. `link(state)`, its address (share.js), is
 * null where it has none; so is `ask(question)`, which puts { text, right } to a class.
 */
export function mount(host, { base, state, keep, link = null, ask = null }) {
    const instrument = new Instrument({ base, state, isShown: () => host.isConnected });
    const sentence = takeawayLine();
    const views = [pretraining(instrument, link, ask), reinforcement(instrument, link)];
    const slots = {
        main: element("div", { class: "slot" }),
        side: element("div", { class: "side", onfocusin: ({ target }) => keepAtHand(target.closest(".control")) }),
        more: element("div"),
    };
    let shown = null;
    const [prompt, buttons, python] = [promptLine(), transport(instrument), pythonFold(instrument)];
    host.attachShadow({ mode: "open" }).append(
        element("style", {}, STYLE),
        element(
            "div", { class: "playground" }, sentence.spoken, element("p", { id: "hint", class: "unseen" }, HINT),
            element("div", { class: "main" }, sentence.node, buttons.node, prompt.node, slots.main),
            slots.side, element("div", { class: "more" }, slots.more, python.node),
        ),
    );
    host.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys
    instrument.start({
        draw(drawn, numbers) {
            const view = views[Number(drawn.rl)];
            const isNew = view !== shown;
            if (isNew) for (const name of Object.keys(slots)) slots[name].replaceChildren(...view.places[name]);
            shown = view;
            for (const part of [sentence, buttons, prompt, python, ...view.parts]) part.draw(drawn, numbers);
            if (isNew) view.shared.restore();
        },
        rest(resting) {
            sentence.readOut();
            keep(resting);
        },
    });
    return instrument;
}

/** A view has parts, the three places of the page where their nodes stand, and what is shared of it. */
function pretraining(instrument, link, ask) {
    const picture = new Picture(instrument);
    const [caption, numbers, reward, training] = [captionLine(), tiles(), rewardPanel(instrument), trainingPanel(instrument)];
    const [data, shared] = [dataFold(instrument), sharing(picture, picture.node, link, ask)];
    const pair = element("div", {}, picture.node); // a place for a kept picture beside it
    keepAtHand(reward.node.querySelector('[data-key="beta"]'));
    return {
        parts: [picture, caption, numbers, reward, training, data, shared], shared,
        places: {
            main: [pair, caption.node, numbers.node],
            side: [reward.node],
            more: [training.node, files(instrument, picture), shared.node, data.node],
        },
    };
}

function reinforcement(instrument, link) {
    const [rows, curves, table] = [new RLPicture(instrument), new RLCurves(instrument), startsTable()];
    const [caption, settings, text] = [captionLine(), rlPanel(instrument), rlTextPanel(instrument)];
    const beside = element("div", { class: "beside" }, rows.node, curves.node);
    const [data, shared] = [dataFold(instrument), sharing(curves, beside, link)];
    keepAtHand(settings.node.querySelector('[data-key="group_size"]'));
    return {
        parts: [rows, curves, caption, table, settings, text, data, shared], shared,
        places: {
            main: [element("div", {}, beside), caption.node, table.node],
            side: [settings.node],
            more: [text.node, files(instrument, curves), shared.node, data.node],
        },
    };
}

function files(instrument, picture) {
    const defaults = button("All defaults", () => instrument.replace(instrument.base), { class: "small last" });
    return element("div", { class: "row" }, "Download", ...fileButtons(picture), defaults);
}

/** On a narrow screen this control stays in view. */
function keepAtHand(control) {
    const controls = control.closest(".group").children;
    for (const other of controls) other.classList.toggle("at-hand", other === control);
}

/** What is shared: the state as it is when a button is pressed; `stage` is what a kept picture stands beside. */
function sharing(picture, stage, link, ask = null) {
    const subject = () => ({
        name: "one_token",
        title: "One token",
        takeaway: sentenceOf(picture.state, picture.numbers),
        settings: captionOf(picture.state, picture.numbers),
        picture: () => barePicture(picture),
        link: () => link?.(picture.state) ?? null,
    });
    const kept = pin(() => stage, subject);
    const asking = button("Ask the class", () => ask(classQuestion(picture.state, picture.numbers)), { class: "small" });
    const more = ask ? [kept.button, asking] : [kept.button];
    return { ...kept, node: shareRow(subject, { linked: Boolean(link), more }) };
}

/** What trains: Play, Step, Reset, the button that asks for a prediction first; and of RL, its end and other draws. */
function transport(instrument) {
    const playOrPause = () => (instrument.playing ? instrument.pause() : instrument.play());
    const play = button("Play", playOrPause, { class: "primary" });
    const step = button("Step", () => instrument.goTo(instrument.state[instrument.clock] + 1));
    const reset = button("Reset", () => instrument.goTo(0));
    const predict = button("Predict first", () => instrument.togglePrediction(), { "aria-pressed": "false" });
    const end = button("To the end", () => instrument.goToEnd());
    const draws = button("Other draws", () => instrument.set({ seed: (instrument.state.seed + 1) % 1000 }));
    const mode = choice({
        key: "mode", name: "Training", values: MODES, value: ({ rl }) => MODES[Number(rl)],
        change: (name) => instrument.showRL(name === MODES[1]),
    });
    mode.node.classList.add("mode");
    const node = element("div", { class: "row train" }, mode.node, play, step, reset, predict, end, draws);
    return {
        node,
        draw(state) {
            node.classList.toggle("of-rl", state.rl);
            mode.draw(state);
            setText(play, instrument.playing ? "Pause" : "Play");
            predict.setAttribute("aria-pressed", String(Boolean(state.prediction)));
            predict.hidden = state.rl;
            end.hidden = draws.hidden = !state.rl;
        },
    };
}
