// A decoder-only language model with Qwen3's architecture, to be read beside gpt/model.py, whose parts and names it
// has: RMSNorm, rotary positions, grouped-query attention with QK-norm, SwiGLU, no biases, a tied unembedding.
//
// N tokens, width d, V tokens in the vocabulary. A model is { config, weights, angles }, weights by their names in
// the file. `tape` is for training: see ops.js.

import { add, attention, embed, linear, matrix, rmsNorm, rotate, swiGlu } from "./ops.js";

/** The model of a config, in the words of `GPTConfig`, and of weights: name -> { shape, data }. */
export function makeModel(config, tensors) {
    const weights = {};
    for (const [name, { shape, data }] of Object.entries(tensors))
        weights[name] = matrix(shape.length > 1 ? shape[0] : 1, shape.at(-1), data);
    return { config, weights, angles: rotaryAngles(config) };
}

/** Cosine and sine of each position's angle for each pair: (max_position_embeddings, head_dim / 2), as in float32. */
function rotaryAngles({ head_dim, rope_theta, max_position_embeddings }) {
    const half = head_dim / 2;
    const [cos, sin] = [0, 0].map(() => new Float32Array(max_position_embeddings * half));
    for (let pair = 0; pair < half; pair++) {
        const frequency = Math.fround(1 / Math.fround(rope_theta ** Math.fround((2 * pair) / head_dim)));
        for (let position = 0; position < max_position_embeddings; position++) {
            const angle = Math.fround(position * frequency);
            cos[position * half + pair] = Math.cos(angle);
            sin[position * half + pair] = Math.sin(angle);
        }
    }
    return { cos, sin, half };
}

/** Each position reads softmax(q k^T / sqrt(head_dim)) v of the positions that `attend` lets it see. */
function selfAttention(model, layer, x, positions, attend, tape) {
    const weight = (name) => model.weights[`model.layers.${layer}.self_attn.${name}.weight`];
    const eps = model.config.rms_norm_eps;
    const q = rmsNorm(linear(x, weight("q_proj"), tape), weight("q_norm"), eps, tape); // (N, heads * head_dim)
    const k = rmsNorm(linear(x, weight("k_proj"), tape), weight("k_norm"), eps, tape); // (N, key heads * head_dim)
    const v = linear(x, weight("v_proj"), tape); // as k
    const [turnedQ, turnedK] = [q, k].map((heads) => rotate(heads, positions, model.angles, tape));
    const read = attend(layer, turnedQ, turnedK, v, tape); // (N, heads * head_dim)
    return linear(read, weight("o_proj"), tape); // (N, d)
}

/** SwiGLU: each position for itself. */
function mlp(model, layer, x, tape) {
    const weight = (name) => model.weights[`model.layers.${layer}.mlp.${name}.weight`];
    const [gate, up] = ["gate_proj", "up_proj"].map((name) => linear(x, weight(name), tape)); // (N, intermediate)
    return linear(swiGlu(gate, up, tape), weight("down_proj"), tape); // (N, d)
}

/** Attention, then the MLP; each reads a normalized x and adds its result to x. */
function decoderLayer(model, layer, x, positions, attend, tape) {
    const norm = (x, name) =>
        rmsNorm(x, model.weights[`model.layers.${layer}.${name}.weight`], model.config.rms_norm_eps, tape);
    x = add(x, selfAttention(model, layer, norm(x, "input_layernorm"), positions, attend, tape), tape);
    return add(x, mlp(model, layer, norm(x, "post_attention_layernorm"), tape), tape);
}

/** N ids at N positions -> their states (N, d). Only `attend(layer, q, k, v, tape)` mixes positions. */
export function decode(model, ids, positions, attend, tape = null) {
    let x = embed(model.weights["model.embed_tokens.weight"], ids, tape); // (N, d)
    for (let layer = 0; layer < model.config.num_hidden_layers; layer++)
        x = decoderLayer(model, layer, x, positions, attend, tape);
    return rmsNorm(x, model.weights["model.norm.weight"], model.config.rms_norm_eps, tape);
}

/** The logits of the next token: (N, d) -> (N, V) */
export const unembed = (model, hidden, tape = null) =>
    linear(hidden, model.weights["model.embed_tokens.weight"], tape);

/** Keys and values of the tokens read so far: a token is read once, and every later one looks back at it. */
export class KVCache {
    constructor({ num_hidden_layers, num_key_value_heads, head_dim }, capacity) {
        const empty = () => matrix(capacity, num_key_value_heads * head_dim);
        this.headDim = head_dim;
        this.keys = Array.from({ length: num_hidden_layers }, empty);
        this.values = Array.from({ length: num_hidden_layers }, empty);
        this.length = 0; // tokens
    }

    /** The states (N, d) of N more tokens; each reads all before it and itself. */
    extend(model, ids) {
        const positions = ids.map((_, n) => this.length + n);
        const reach = { first: positions.map(() => 0), last: positions, headDim: this.headDim };
        const hidden = decode(model, ids, positions, (layer, q, k, v) => {
            const [keys, values] = [this.keys[layer], this.values[layer]];
            keys.data.set(k.data, this.length * keys.width);
            values.data.set(v.data, this.length * values.width);
            return attention(q, keys, values, reach, null);
        });
        this.length += ids.length;
        return hidden;
    }

    /** Another cache with the same tokens, to go on from them in another way. */
    copy(config) {
        const other = new KVCache(config, this.keys[0].rows);
        other.length = this.length;
        for (const part of ["keys", "values"])
            this[part].forEach(({ data, width }, layer) =>
                other[part][layer].data.set(data.subarray(0, this.length * width)),
            );
        return other;
    }
}
