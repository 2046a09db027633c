// The page: its parts, each { node, draw(state, numbers) }, and their places. A home (homes.js) shows it.

import { choice } from "./controls.js";
import { button, element, setText } from "./dom.js";
import { fileButtons } from "./files.js";
import { dataFold, pythonFold } from "./folds.js";
import { STYLE } from "./from_python.js";
import { Instrument } from "./instrument.js";
import { rewardPanel, trainingPanel } from "./panels.js";
import { Picture } from "./picture.js";
import { promptLine, takeawayLine, tiles } from "./readouts.js";
import { RLCurves } from "./rl_curves.js";
import { rlPanel, rlTextPanel, startChoice } from "./rl_panels.js";
import { RLPicture } from "./rl_picture.js";
import { startsTable } from "./rl_readouts.js";

const MODES = ["Pre-train", "Then RL"];
const HINT = "Left and right arrow keys change the value, up and down go to another token.";

/**
 * Builds the playground inside `host` and gives its Instrument. `base` is what "All defaults" goes back to, `state`
 * where it begins, and `keep(state)` is called when a change has come to rest.
 */
export function mount(host, { base, state, keep }) {
    const instrument = new Instrument({ base, state, isShown: () => host.isConnected });
    const sentence = takeawayLine();
    const views = [pretraining(instrument), reinforcement(instrument)];
    const slots = { main: element("div"), side: element("div", { class: "side" }), more: element("div") };
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
            if (view !== shown) for (const name of Object.keys(slots)) slots[name].replaceChildren(...view.places[name]);
            shown = view;
            for (const part of [sentence, buttons, prompt, python, ...view.parts]) part.draw(drawn, numbers);
        },
        rest(resting) {
            sentence.readOut();
            keep(resting);
        },
    });
    return instrument;
}

/** A view has parts and the three places of the page where their nodes stand. */
function pretraining(instrument) {
    const picture = new Picture(instrument);
    const [numbers, reward, training] = [tiles(), rewardPanel(instrument), trainingPanel(instrument)];
    const data = dataFold(instrument);
    const more = [training.node, files(instrument, picture), data.node];
    return {
        parts: [picture, numbers, reward, training, data],
        places: { main: [picture.node, numbers.node], side: [reward.node], more },
    };
}

function reinforcement(instrument) {
    const [rows, curves, table] = [new RLPicture(instrument), new RLCurves(instrument), startsTable()];
    const [start, settings, text] = [startChoice(instrument), rlPanel(instrument), rlTextPanel(instrument)];
    const data = dataFold(instrument);
    const beside = element("div", { class: "beside" }, rows.node, curves.node);
    const more = [text.node, files(instrument, curves), data.node];
    return {
        parts: [rows, curves, table, start, settings, text, data],
        places: { main: [start.node, beside, table.node], side: [settings.node], more },
    };
}

function files(instrument, picture) {
    const defaults = button("All defaults", () => instrument.set(instrument.base), { class: "small last" });
    return element("div", { class: "row" }, "Download", ...fileButtons(picture), defaults);
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
        name: "Training", values: MODES, value: ({ rl }) => MODES[Number(rl)],
        change: (name) => instrument.showRL(name === MODES[1]),
    });
    mode.node.classList.add("mode");
    return {
        node: element("div", { class: "row" }, mode.node, play, step, reset, predict, end, draws),
        draw(state) {
            mode.draw(state);
            setText(play, instrument.playing ? "Pause" : "Play");
            predict.setAttribute("aria-pressed", String(Boolean(state.prediction)));
            predict.hidden = state.rl;
            end.hidden = draws.hidden = !state.rl;
        },
    };
}
