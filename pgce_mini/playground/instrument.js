// The state object: the state that is shown and every way to change it. What is on the page is drawn from it.

import { softmax } from "./dynamics.js";
import { deriver, restingStep } from "./numbers.js";
import { rlDeriver } from "./rl_numbers.js";
import { handled, isHidden, LIMITS, presetsWith, startLogits, withPreset, withProbability } from "./state.js";

const QUIET = 250; // ms without a change after which the state is at rest

export class Instrument {
    /** `base` is what "All defaults" goes back to, `state` where it begins; `isShown()` is whether it is on a page. */
    constructor({ base, state, isShown }) {
        this.base = base;
        this.state = state;
        this.isShown = isShown;
        this.presets = presetsWith(base);
        this.numbers = null; // of the last frame
        this.playing = false;
        this.derive = deriver();
        this.deriveRL = rlDeriver();
        this.pinned = new Set(); // rows whose prediction was set by hand: it stays when another one is
        this.nextFrame = 0;
        this.restTimer = 0;
    }

    /** Draws the first frame. From then on a change is drawn with the next frame, and `rest` follows the last change. */
    start({ draw, rest }) {
        this.draw = draw;
        this.rest = rest;
        this.drawFrame();
        rest(this.state);
    }

    /** Changes the state at once, and the page with the next frame. */
    set(changes) {
        this.state = { ...this.state, ...changes };
        this.nextFrame ||= requestAnimationFrame(() => this.onFrame());
        clearTimeout(this.restTimer);
        if (!this.playing) this.restTimer = setTimeout(() => this.rest(this.state), QUIET);
    }

    /** A state from outside: an address, a notebook, the defaults. Nothing plays on and no diamond is held. */
    replace(state) {
        this.playing = false;
        this.pinned = new Set();
        this.set(state);
    }

    onFrame() {
        this.nextFrame = 0;
        if (this.playing) this.advance();
        this.drawFrame();
    }

    drawFrame() {
        this.numbers = this.derive(this.state);
        this.numbers.rl = this.state.rl ? this.deriveRL(this.state, this.numbers.policy) : null; // null: it is not shown
        this.draw(this.state, this.numbers);
    }

    redraw() {
        this.set({});
    }

    /** Which steps Play takes: those of pre-training or those of RL. */
    get clock() {
        return this.state.rl ? "rl_steps" : "steps";
    }

    /** One step of training, while it plays. */
    advance() {
        if (!this.isShown()) this.playing = false;
        else if (this.hasEnded()) this.pause();
        else this.set({ [this.clock]: this.state[this.clock] + 1 });
    }

    hasEnded() {
        const steps = this.state[this.clock];
        return steps >= LIMITS[this.clock][1] || (!this.state.rl && steps > 0 && this.numbers.resting);
    }

    play() {
        if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.goToEnd();
        this.playing = true;
        this.set({ [this.clock]: this.hasEnded() ? 0 : this.state[this.clock] });
    }

    pause() {
        this.goTo(this.state[this.clock]);
    }

    /** Pauses at this step. */
    goTo(steps) {
        this.playing = false;
        this.set({ [this.clock]: Math.min(steps, LIMITS[this.clock][1]) });
    }

    /** At once, without the frames between. */
    goToEnd() {
        this.goTo(this.state.rl ? LIMITS.rl_steps[1] : restingStep(this.state));
    }

    /** From pre-training to RL, or back. */
    showRL(rl) {
        this.playing = false;
        this.set({ rl });
    }

    toggleRight(row) {
        const { right } = this.state;
        const others = right.filter((other) => other !== row);
        this.set({ right: others.length < right.length ? others : [...right, row].sort((a, b) => a - b) });
    }

    togglePrediction() {
        this.pinned = new Set();
        this.playing = false;
        if (this.state.prediction) this.set({ prediction: null });
        else this.set({ prediction: softmax(startLogits(this.state)), steps: 0 });
    }

    /** Brings the handle of a row to a probability; the other rows share the rest. */
    moveHandle(row, probability) {
        const hidden = isHidden(this.state);
        const values = withProbability(handled(this.state), row, probability, hidden ? this.pinned : undefined);
        this.set(hidden ? { prediction: values } : { labels: values });
        if (hidden) this.pinned.add(row);
    }

    choosePreset(name, count = this.state.tokens.length) {
        this.set(withPreset(this.state, this.presets[name], count));
    }
}
