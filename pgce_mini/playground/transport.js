// The buttons that train: Play, Step, Reset, and the one that asks for a prediction first.

import { button, element, setText } from "./dom.js";

export function transport(instrument) {
    const playOrPause = () => (instrument.playing ? instrument.pause() : instrument.play());
    const play = button("Play", playOrPause, { class: "primary" });
    const step = button("Step", () => instrument.goTo(instrument.state.steps + 1));
    const reset = button("Reset", () => instrument.goTo(0));
    const predict = button("Predict first", () => instrument.togglePrediction(), { "aria-pressed": "false" });
    return {
        node: element("div", { class: "row" }, play, step, reset, predict),
        draw({ prediction }) {
            setText(play, instrument.playing ? "Pause" : "Play");
            predict.setAttribute("aria-pressed", String(Boolean(prediction)));
        },
    };
}
