// Pre-training by the shaped loss: the same forward pass as in gpt.js, with a tape; AdamW and the learning rate as in
// `pgce_mini.training`.

import { chainSumDocument } from "./chain_sum.js";
import { entropy, expectedGradient, softmax } from "./dynamics.js";
import { CHAIN_SUM, PRETRAINING } from "./of_models.js";
import { decode, makeModel, unembed } from "./gpt.js";
import { uniforms } from "./group_rl.js";
import { attention, backward, gradientOf } from "./ops.js";

const DRAWS = 32; // uniform numbers that a document may need
const PART = 8; // documents between two pauses of a training

/** How many tokens the documents have that are predicted: all but the first of each. */
const predicted = (documents) => documents.reduce((total, { length }) => total + length - 1, 0);

/**
 * Adds the gradients of the mean shaped loss over all predicted tokens, and gives the plain cross-entropy and entropy
 * of the predictions, nats a token. `count`: of the batch's predicted tokens, where the documents are a part of it.
 */
export function gradients(model, documents, shaping, count = predicted(documents)) {
    const [ids, targets, positions, first] = [[], [], [], []]; // (N): all documents, one behind the other
    for (const document of documents) {
        const begin = ids.length;
        document.slice(0, -1).forEach((id, position) => {
            ids.push(id);
            targets.push(document[position + 1]);
            positions.push(position);
            first.push(begin);
        });
    }
    const reach = { first, last: ids.map((_, n) => n), headDim: model.config.head_dim };
    const tape = [];
    const hidden = decode(model, ids, positions, (layer, q, k, v) => attention(q, k, v, reach, tape), tape); // (N, d)
    const logits = unembed(model, hidden, tape); // (N, V)
    const measured = { crossEntropy: 0, entropy: 0 };
    const slope = gradientOf(logits);
    const labels = new Array(logits.width).fill(0);
    targets.forEach((target, n) => {
        const row = Array.from(logits.data.subarray(n * logits.width, (n + 1) * logits.width));
        labels[target] = 1; // one token is true: the playground's gradient of one state holds
        const push = expectedGradient(row, labels, shaping);
        push.forEach((value, a) => (slope[n * logits.width + a] = value / count));
        labels[target] = 0;
        const probs = softmax(row);
        measured.crossEntropy -= Math.log(probs[target]) / count;
        measured.entropy += entropy(probs) / count;
    });
    backward(tape);
    return measured;
}

/** AdamW with weight decay on matrices only, after clipping; update(lr) takes a step and clears the gradients. */
export function adamW(model, { betas: [beta1, beta2], weight_decay, max_grad_norm }) {
    const parameters = Object.values(model.weights).map((weight) => ({
        weight, mean: new Float32Array(weight.data.length), square: new Float32Array(weight.data.length),
    }));
    let step = 0;
    return function update(lr) {
        step++;
        let squares = 0;
        for (const { weight } of parameters) for (const slope of weight.grad) squares += slope * slope;
        const [meanShare, squareShare] = [1 - beta1 ** step, 1 - beta2 ** step]; // both means began at 0
        const clip = Math.min(1, max_grad_norm / (Math.sqrt(squares) + 1e-6));
        for (const { weight, mean, square } of parameters) {
            const keep = weight.rows > 1 ? 1 - lr * weight_decay : 1;
            for (let i = 0; i < mean.length; i++) {
                const slope = weight.grad[i] * clip;
                mean[i] += (1 - beta1) * (slope - mean[i]);
                square[i] += (1 - beta2) * (slope * slope - square[i]);
                const scale = Math.sqrt(square[i] / squareShare) + 1e-8;
                weight.data[i] = weight.data[i] * keep - (lr / meanShare) * (mean[i] / scale);
            }
            weight.grad.fill(0);
        }
    };
}

/** Rises for `warmup` steps, stays, and falls over the last fifth to a tenth. */
export function learningRate({ lr, final_lr_share }, step, steps) {
    const [warmup, decay] = [Math.min(50, Math.floor(steps / 10)), Math.floor(steps / 5)];
    const fallen = Math.max(0, step - (steps - decay)) / Math.max(decay, 1);
    return lr * Math.min(1, step / Math.max(warmup, 1)) * (1 - (1 - final_lr_share) * fallen);
}

/** A new model for chain sums: matrices normal with standard deviation 1 / sqrt(d), norms at 1. */
export function newModel(seed) {
    const tensors = {};
    for (const [name, shape] of Object.entries(PRETRAINING.shapes)) {
        const data = new Float32Array(shape.reduce((a, b) => a * b)).fill(1);
        if (shape.length > 1) {
            const draws = uniforms(seed + 1000 * Object.keys(tensors).length, 2 * data.length);
            for (let i = 0; i < data.length; i++)
                data[i] =
                    (Math.sqrt(-2 * Math.log(1 - draws[2 * i])) * Math.cos(2 * Math.PI * draws[2 * i + 1])) /
                    Math.sqrt(PRETRAINING.model.hidden_size);
        }
        tensors[name] = { shape, data };
    }
    return makeModel(PRETRAINING.model, tensors);
}

/**
 * Trains a new model on chain sums, and posts after each step { kind: "step", step, crossEntropy, entropy }, both of the
 * batch before the update. `goOn()` is awaited several times a step, and at its end says whether to go on.
 */
export async function train({ beta, steps, seed }, post, goOn) {
    const model = newModel(seed);
    const update = adamW(model, PRETRAINING);
    const shaping = { beta, lambda_head: 0, lambda_tail: 0, top_k: 1, form: "product" };
    for (let step = 1; ; step++) {
        const documents = Array.from({ length: PRETRAINING.batch_size }, (_, i) => {
            const numbers = uniforms(seed * 1_000_003 + step * PRETRAINING.batch_size + i, DRAWS);
            return chainSumDocument(() => numbers.pop(), CHAIN_SUM);
        });
        const [count, measured] = [predicted(documents), { crossEntropy: 0, entropy: 0 }];
        let wanted = true;
        for (let i = 0; i < documents.length; i += PART) {
            const part = gradients(model, documents.slice(i, i + PART), shaping, count);
            for (const key of Object.keys(measured)) measured[key] += part[key];
            wanted = await goOn();
        }
        update(learningRate(PRETRAINING, step, steps));
        post({ kind: "step", step, ...measured });
        if (step === steps || !wanted) return model;
    }
}
