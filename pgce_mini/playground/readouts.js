// What is said of the state: the takeaway and six numbers.

import { element, setText } from "./dom.js";
import { entropy } from "./dynamics.js";
import { rightText, rlCaption, rlTakeaway } from "./rl_words.js";
import { LIMITS } from "./state.js";
import { caption, fixed, promptText, takeaway } from "./words.js";

/** The takeaway; `readOut()` tells it to a screen reader, which would be told too much with every frame. */
export function takeawayLine() {
    const node = element("p", { class: "takeaway" });
    const spoken = element("p", { class: "unseen", role: "status" });
    return {
        node,
        spoken,
        draw: (state, numbers) => setText(node, sentenceOf(state, numbers)),
        readOut() {
            setText(spoken, node.textContent); // what was told is not told again
        },
    };
}

export const sentenceOf = (state, numbers) =>
    numbers.rl ? rlTakeaway(state, numbers.rl) : takeaway(state, numbers);

export const captionOf = (state, numbers) =>
    numbers.rl ? rlCaption(state, numbers.rl) : caption(state, numbers);

/** The settings in one line, for paper. */
export function captionLine() {
    const node = element("p", { class: "caption" });
    return { node, draw: (state, numbers) => setText(node, captionOf(state, numbers)) };
}

export function promptLine() {
    const node = element("p", { class: "prompt" });
    const rlText = (state) => `; right: ${rightText(state)}. Step ${state.rl_steps} of RL, seed ${state.seed}.`;
    return { node, draw: (state) => setText(node, promptText(state) + (state.rl ? rlText(state) : "")) };
}

// Of each tile its name, its number and what stands beside it.
const TILES = {
    "step": ({ steps }) => [String(steps), `of at most ${LIMITS.steps[1]}`],
    "entropy": ({ labels }, numbers) => [fixed(numbers.entropy), `nats; frequencies ${fixed(entropy(labels))}`],
    "mass of the head": (_, { headMass, shaping }) => [fixed(headMass), `the ${shaping.top_k} likeliest`],
    "mass of the tail": (_, { tailMass }) => [fixed(tailMass), "all others"],
    "mean reward": (_, { reward }) => [fixed(reward), "cross-entropy: 1"],
    "distance to end": (_, { hidden, distance }) => [hidden ? "?" : fixed(distance), "total variation"],
};

export function tiles() {
    const parts = Object.entries(TILES).map(([name, textsOf]) => {
        const [number, note] = [element("span", { class: "number" }), element("span", { class: "note" })];
        const node = element("div", { class: "tile" }, element("dt", {}, name), element("dd", {}, number, note));
        return { node, number, note, textsOf };
    });
    return {
        node: element("dl", { class: "tiles" }, ...parts.map(({ node }) => node)),
        draw(state, numbers) {
            for (const { number, note, textsOf } of parts) {
                const [value, beside] = textsOf(state, numbers);
                setText(number, value);
                setText(note, beside);
            }
        },
    };
}
