// The page: its parts, each { node, draw(state, numbers) }, and their places. A home (homes.js) shows it.

import { button, element, setText } from "./dom.js";
import { barePicture, fileButtons } from "./files.js";
import { dataFold, pythonFold } from "./folds.js";
import { STYLE } from "./from_python.js";
import { Instrument } from "./instrument.js";
import { rewardPanel, trainingPanel } from "./panels.js";
import { Picture } from "./picture.js";
import { pin } from "./pin.js";
import { captionLine, promptLine, takeawayLine, tiles } from "./readouts.js";
import { shareRow } from "./share.js";
import { classQuestion, caption as captionOf, takeaway } from "./words.js";

const HINT = "Left and right arrow keys change the value, up and down go to another token.";

/**
 * Builds the playground inside `host` and gives its Instrument. `base` is what "All defaults" goes back to, `state`
 * where it begins, and `keep(state)` is called when a change has come to rest. `link(state)`, its address (share.js), is
 * null where it has none; so is `ask(question)`, which puts { text, right } to a class.
 */
export function mount(host, { base, state, keep, link = null, ask = null }) {
    const instrument = new Instrument({ base, state, isShown: () => host.isConnected });
    const parts = {
        sentence: takeawayLine(),
        prompt: promptLine(),
        picture: new Picture(instrument),
        caption: captionLine(),
        tiles: tiles(),
        buttons: transport(instrument),
        reward: rewardPanel(instrument),
        training: trainingPanel(instrument),
        data: dataFold(instrument),
        python: pythonFold(instrument),
    };
    parts.sharing = sharing(parts.picture, link, ask);
    host.attachShadow({ mode: "open" }).append(element("style", {}, STYLE), layout(instrument, parts));
    host.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys
    instrument.start({
        draw: (drawn, numbers) => Object.values(parts).forEach((part) => part.draw(drawn, numbers)),
        rest(resting) {
            parts.sentence.readOut();
            keep(resting);
        },
    });
    parts.sharing.restore();
    keepAtHand(parts.reward.node.querySelector('[data-key="beta"]'));
    return instrument;
}

function layout(instrument, { sentence, prompt, picture, caption, tiles, buttons, reward, training, sharing, data, python }) {
    const pair = element("div", {}, picture.node); // a place for a kept picture beside it
    const main = [sentence, buttons, prompt].map(({ node }) => node);
    const defaults = button("All defaults", () => instrument.set(instrument.base), { class: "small last" });
    const files = element("div", { class: "row" }, "Download", ...fileButtons(picture), defaults);
    return element(
        "div", { class: "playground" }, sentence.spoken, element("p", { id: "hint", class: "unseen" }, HINT),
        element("div", { class: "main" }, ...main, pair, caption.node, tiles.node),
        element("div", { class: "side", onfocusin: ({ target }) => keepAtHand(target.closest(".control")) }, reward.node),
        element("div", { class: "more" }, training.node, files, sharing.node, data.node, python.node),
    );
}

/** On a narrow screen this control stays in view. */
function keepAtHand(control) {
    const controls = control.closest(".group").children;
    for (const other of controls) other.classList.toggle("at-hand", other === control);
}

/** What is shared: the state as it is when a button is pressed. */
function sharing(picture, link, ask) {
    const subject = () => ({
        name: "one_token",
        title: "One token",
        takeaway: takeaway(picture.state, picture.numbers),
        settings: captionOf(picture.state, picture.numbers),
        picture: () => barePicture(picture),
        link: () => link?.(picture.state) ?? null,
    });
    const kept = pin(picture.node, subject);
    const asking = button("Ask the class", () => ask(classQuestion(picture.state, picture.numbers)), { class: "small" });
    const more = ask ? [kept.button, asking] : [kept.button];
    return { ...kept, node: shareRow(subject, { linked: Boolean(link), more }) };
}

/** The buttons that train: Play, Step, Reset, and the one that asks for a prediction first. */
function transport(instrument) {
    const playOrPause = () => (instrument.playing ? instrument.pause() : instrument.play());
    const play = button("Play", playOrPause, { class: "primary" });
    const step = button("Step", () => instrument.goTo(instrument.state.steps + 1));
    const reset = button("Reset", () => instrument.goTo(0));
    const predict = button("Predict first", () => instrument.togglePrediction(), { "aria-pressed": "false" });
    return {
        node: element("div", { class: "row train" }, play, step, reset, predict),
        draw({ prediction }) {
            setText(play, instrument.playing ? "Pause" : "Play");
            predict.setAttribute("aria-pressed", String(Boolean(prediction)));
        },
    };
}
