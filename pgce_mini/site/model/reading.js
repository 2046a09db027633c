// A model that reads a prompt and writes on.

import { softmax, stationaryPolicy, tempered, indexOfMax } from "./dynamics.js";
import { KVCache, unembed } from "./gpt.js";
import { sampleTokens } from "./group_rl.js";
import { matrix } from "./ops.js";

/** Reads prompts that change little: tokens at the beginning that it has read already are not read again. */
export class Reader {
    constructor(model, capacity) {
        this.model = model;
        this.cache = new KVCache(model.config, capacity);
        this.ids = []; // read so far
        this.logits = null; // of the token after them
    }

    /** The logits of the token after `ids`, one id at least: (V) */
    read(ids) {
        let same = 0;
        while (same < ids.length && ids[same] === this.ids[same]) same++;
        if (same === ids.length && same === this.ids.length) return this.logits;
        this.cache.length = Math.min(same, ids.length - 1); // the last is read in any case: it has the logits
        this.logits = lastLogits(this.model, this.cache.extend(this.model, ids.slice(this.cache.length)));
        this.ids = ids;
        return this.logits;
    }

    /** A writer that goes on after what was read. */
    writer() {
        const [{ model }, cache] = [this, this.cache.copy(this.model.config)];
        return (id) => lastLogits(model, cache.extend(model, [id]));
    }
}

function lastLogits(model, { data, rows, width }) {
    return unembed(model, matrix(1, width, data.subarray((rows - 1) * width))).data;
}

/** What a model expects: its own distribution, in doubles. */
export const expected = (logits) => softmax(Array.from(logits));

/**
 * The distribution that a text is drawn from. If `probs` were the frequencies in a training text, training with `beta`
 * would end at their stationary policy; the temperature sharpens or flattens that.
 */
export function drawnFrom(probs, { beta, temperature }) {
    const shaping = { beta, lambda_head: 0, lambda_tail: 0, top_k: 1, form: "product" };
    const { policy: shaped, reason } = beta ? stationaryPolicy(probs, shaping) : { policy: probs };
    if (!shaped) throw new Error(reason); // none is known where this happens
    if (temperature === 1) return shaped;
    if (temperature > 0) return tempered(shaped, temperature);
    const likeliest = indexOfMax(shaped);
    return shaped.map((_, id) => Number(id === likeliest));
}

/** The token that a number in [0, 1) draws. */
export const draw = (probs, number) => sampleTokens(probs, [number])[0];
