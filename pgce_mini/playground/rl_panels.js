// The controls of RL.

import { choice, slider } from "./controls.js";
import { axisChoice, choiceOf, frequenciesChoice, numberOf, panel, tokensSlider } from "./panels.js";
import { caseNames, caseOf, withCase } from "./rl_cases.js";
import { fixed } from "./words.js";

/** Which start the rows show. */
const startChoice = (instrument) =>
    choice({
        ...choiceOf(instrument, "rl_start"), name: "The rows show RL from",
        value: ({ rl_start, steps }) => (rl_start === "yours" && steps === 0 ? "ce" : rl_start),
        texts: { temperature: "temperature T" },
        words: "ce, precision, diversity: where pre-training on q ends; yours: your own policy, once you have pre-trained",
    });

export function rlPanel(instrument) {
    return panel("RL on this state", [
        choice({
            key: "case", name: "A case to begin with", values: caseNames, value: caseOf,
            change: (name) => instrument.set(withCase(instrument.state, name)),
        }),
        startChoice(instrument),
        slider({
            ...numberOf(instrument, "temperature"), name: "Temperature T", step: 0.05, format: (t) => fixed(t, 2),
            words: "of the start q^(1/T): below 1 sharper than q, above 1 flatter",
        }),
        slider({
            ...numberOf(instrument, "group_size"), name: "G, tokens in a group", step: 1, format: String,
            words: "drawn from π in each step; a right one earns 1, any other 0",
        }),
        choice({
            ...choiceOf(instrument, "scale_rewards"), name: "Advantage: reward minus the group's mean",
            texts: { none: "as it is", group: "divided by its std" },
            words: "as it is: Dr. GRPO; divided by the group's standard deviation: GRPO",
        }),
        choice({
            ...choiceOf(instrument, "rl_update"), name: "A step follows",
            texts: { sampled: "the group drawn", expected: "the mean over all groups" },
        }),
        slider({
            ...numberOf(instrument, "rl_lr"), name: "Step size of RL", step: 0.1, format: (lr) => fixed(lr, 1),
        }),
        slider({
            ...numberOf(instrument, "pass_k"), name: "k of Pass@k", step: 1, format: String,
            words: "the probability that of k draws one or more are right: 1 − (1 − p)^k",
        }),
    ]);
}

export const rlTextPanel = (instrument) =>
    panel("Frequencies and picture", [frequenciesChoice(instrument), tokensSlider(instrument), axisChoice(instrument)]);
