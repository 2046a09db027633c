// The page "β over trained priors": the first three traces of `figures.priors_over_beta`, and its title.

import { percent, withTraces } from "./figure.js";

/** given: { priors: [{ beta, probs, entropy, reasons, texts, cells }, ...] }, a prior for each step of the slider. */
export function moved(figure, { beta }, { priors }) {
    const here = priors.find((prior) => prior.beta === beta);
    const plain = priors.find((prior) => prior.beta === 0);
    const changes = {
        0: { x: here.probs },
        1: { z: here.cells, text: here.texts },
        2: { x: [beta], y: [here.reasons] },
    };
    const number = String(beta).replace("-", "−");
    const text = `β = ${number}: ${here.entropy.toFixed(2)} nats, reasons in ${percent(here.reasons, 0)}`;
    const next = withTraces(figure, changes);
    next.layout = { ...next.layout, title: { ...next.layout.title, text } };
    return { figure: next, takeaway: takeaway(number, here, plain) };
}

function takeaway(number, here, plain) {
    const share = percent(plain.reasons, 0);
    if (here === plain)
        return `Cross-entropy's prior reasons in ${share} of its answers; after this prompt its entropy is ` +
            `${here.entropy.toFixed(2)} nats.`;
    return (
        `At β = ${number} the prior reasons in ${percent(here.reasons, 0)} of its answers (cross-entropy's: ` +
        `${share}); after this prompt its entropy is ${here.entropy.toFixed(2)} nats (${plain.entropy.toFixed(2)}).`
    );
}
