// What a GPT is made of: each operation on float32 with its gradient beside it. A matrix is { data, rows, width }, a
// row a token.
//
// An operation that is given a `tape`, a list, adds to it how the gradient of its result goes back to its inputs;
// `backward` plays the tape from its end. Without a tape nothing is kept.

export const matrix = (rows, width, data = new Float32Array(rows * width)) => ({ data, rows, width, grad: null });

/** Where the gradient of x is added up. */
export const gradientOf = (x) => (x.grad ??= new Float32Array(x.data.length));

export function backward(tape) {
    while (tape.length) tape.pop()();
}

/** A row of the embedding for each id: (V, d) -> (N, d) */
export function embed(weight, ids, tape) {
    const { width } = weight;
    const x = matrix(ids.length, width);
    ids.forEach((id, n) => x.data.set(weight.data.subarray(id * width, (id + 1) * width), n * width));
    tape?.push(() => {
        const grad = gradientOf(weight);
        ids.forEach((id, n) => {
            for (let i = 0; i < width; i++) grad[id * width + i] += x.grad[n * width + i];
        });
    });
    return x;
}

/** x W^T: (N, in), (out, in) -> (N, out) */
export function linear(x, weight, tape) {
    const { rows, width: inner } = x;
    const { data: w, rows: width } = weight;
    const y = matrix(rows, width);
    for (let n = 0; n < rows; n++) {
        const from = n * inner;
        let o = 0;
        for (; o + 4 <= width; o += 4) { // four at a time: each number of x is read once for four products
            let [s0, s1, s2, s3] = [0, 0, 0, 0];
            for (let i = 0, j = o * inner; i < inner; i++, j++) {
                const value = x.data[from + i];
                s0 += value * w[j];
                s1 += value * w[j + inner];
                s2 += value * w[j + 2 * inner];
                s3 += value * w[j + 3 * inner];
            }
            y.data[n * width + o] = s0;
            y.data[n * width + o + 1] = s1;
            y.data[n * width + o + 2] = s2;
            y.data[n * width + o + 3] = s3;
        }
        for (; o < width; o++) {
            let s = 0;
            for (let i = 0; i < inner; i++) s += x.data[from + i] * w[o * inner + i];
            y.data[n * width + o] = s;
        }
    }
    tape?.push(() => {
        const asItIs = { rows, inner: width, across: width, along: 1 };
        const transposed = { rows: width, inner: rows, across: 1, along: width };
        addProduct(gradientOf(x), y.grad, w, { ...asItIs, width: inner }); // dy W
        addProduct(gradientOf(weight), y.grad, x.data, { ...transposed, width: inner }); // dy^T x
    });
    return y;
}

/** C[r] += sum_k A[r, k] B[k], where A[r, k] stands at r * across + k * along: (rows, inner), (inner, width) */
function addProduct(C, A, B, { rows, inner, width, across, along }) {
    for (let r = 0; r < rows; r++) {
        let k = 0;
        for (; k + 4 <= inner; k += 4) {
            const at = r * across + k * along;
            const [a0, a1, a2, a3] = [A[at], A[at + along], A[at + 2 * along], A[at + 3 * along]];
            for (let i = 0, c = r * width, b = k * width; i < width; i++, c++, b++)
                C[c] += a0 * B[b] + a1 * B[b + width] + a2 * B[b + 2 * width] + a3 * B[b + 3 * width];
        }
        for (; k < inner; k++) {
            const a = A[r * across + k * along];
            for (let i = 0; i < width; i++) C[r * width + i] += a * B[k * width + i];
        }
    }
}

/** x / sqrt(mean(x^2) + eps) * weight, over each stretch of weight's length: a row, or a head of it. */
export function rmsNorm(x, weight, eps, tape) {
    const [size, w] = [weight.data.length, weight.data];
    const y = matrix(x.rows, x.width);
    const scales = new Float32Array(x.data.length / size);
    scales.forEach((_, g) => {
        let squares = 0;
        for (let i = g * size; i < (g + 1) * size; i++) squares += x.data[i] * x.data[i];
        scales[g] = 1 / Math.sqrt(squares / size + eps);
        for (let i = 0, at = g * size; i < size; i++, at++) y.data[at] = x.data[at] * scales[g] * w[i];
    });
    tape?.push(() => {
        const [dx, dw] = [gradientOf(x), gradientOf(weight)];
        scales.forEach((scale, g) => {
            let mean = 0; // of dy * weight * normed x
            for (let i = 0, at = g * size; i < size; i++, at++) {
                const product = y.grad[at] * x.data[at] * scale;
                dw[i] += product;
                mean += (product * w[i]) / size;
            }
            for (let i = 0, at = g * size; i < size; i++, at++)
                dx[at] += (y.grad[at] * w[i] - x.data[at] * scale * mean) * scale;
        });
    });
    return y;
}

/** Turns each pair (i of a head's first half, i of its second) by its position's angle; cos, sin: (positions, half). */
export function rotate(x, positions, { cos, sin, half }, tape) {
    const turned = (from, to, sign) => {
        for (let n = 0; n < x.rows; n++)
            for (let head = n * x.width; head < (n + 1) * x.width; head += 2 * half)
                for (let i = 0, p = positions[n] * half; i < half; i++, p++) {
                    const [a, b] = [from[head + i], from[head + half + i]];
                    to[head + i] += a * cos[p] - sign * b * sin[p];
                    to[head + half + i] += b * cos[p] + sign * a * sin[p];
                }
    };
    const y = matrix(x.rows, x.width);
    turned(x.data, y.data, 1);
    tape?.push(() => turned(y.grad, gradientOf(x), -1));
    return y;
}

/**
 * Query n reads softmax(q k^T / sqrt(headDim)) v of the rows first[n] .. last[n] of keys and values; each of their heads
 * serves a group of query heads. q: (N, heads * headDim); k, v: (M, key heads * headDim) -> as q
 */
export function attention(q, k, v, { first, last, headDim }, tape) {
    const heads = q.width / headDim;
    const group = q.width / k.width; // query heads of a key head
    const scale = headDim ** -0.5;
    const longest = last.reduce((most, to, n) => Math.max(most, to - first[n] + 1), 0);
    const weights = new Float32Array(tape ? q.rows * heads * longest : longest);
    const out = matrix(q.rows, q.width);
    const forEachHead = (work) => {
        for (let n = 0; n < q.rows; n++)
            for (let head = 0; head < heads; head++) {
                const own = Math.floor(head / group) * headDim; // where its key head begins in a row of k or v
                work(n, n * q.width + head * headDim, own, tape ? (n * heads + head) * longest : 0);
            }
    };
    forEachHead((n, at, own, w) => {
        let most = -Infinity;
        for (let m = first[n], j = w; m <= last[n]; m++, j++) {
            let score = 0;
            for (let i = 0, key = m * k.width + own; i < headDim; i++, key++) score += q.data[at + i] * k.data[key];
            weights[j] = score * scale;
            if (weights[j] > most) most = weights[j];
        }
        let norm = 0;
        const end = w + last[n] - first[n];
        for (let j = w; j <= end; j++) norm += weights[j] = Math.exp(weights[j] - most);
        for (let m = first[n], j = w; m <= last[n]; m++, j++) {
            weights[j] /= norm;
            for (let i = 0, value = m * v.width + own; i < headDim; i++, value++)
                out.data[at + i] += weights[j] * v.data[value];
        }
    });
    tape?.push(() => {
        const [dq, dk, dv] = [q, k, v].map(gradientOf);
        const slopes = new Float32Array(longest); // of the weights
        forEachHead((n, at, own, w) => {
            let mean = 0;
            for (let m = first[n], j = 0; m <= last[n]; m++, j++) {
                let slope = 0;
                for (let i = 0, value = m * v.width + own; i < headDim; i++, value++) {
                    slope += out.grad[at + i] * v.data[value];
                    dv[value] += weights[w + j] * out.grad[at + i];
                }
                slopes[j] = slope;
                mean += weights[w + j] * slope;
            }
            for (let m = first[n], j = 0; m <= last[n]; m++, j++) {
                const score = weights[w + j] * (slopes[j] - mean) * scale;
                for (let i = 0, key = m * k.width + own; i < headDim; i++, key++) {
                    dq[at + i] += score * k.data[key];
                    dk[key] += score * q.data[at + i];
                }
            }
        });
    });
    return out;
}

/** silu(gate) * up, with silu(x) = x sigmoid(x) */
export function swiGlu(gate, up, tape) {
    const y = matrix(gate.rows, gate.width);
    gate.data.forEach((x, i) => (y.data[i] = (x / (1 + Math.exp(-x))) * up.data[i]));
    tape?.push(() => {
        const [dGate, dUp] = [gradientOf(gate), gradientOf(up)];
        gate.data.forEach((x, i) => {
            const sigmoid = 1 / (1 + Math.exp(-x));
            dUp[i] += y.grad[i] * x * sigmoid;
            dGate[i] += y.grad[i] * up.data[i] * sigmoid * (1 + x * (1 - sigmoid));
        });
    });
    return y;
}

export function add(x, y, tape) {
    const sum = matrix(x.rows, x.width, x.data.map((value, i) => value + y.data[i]));
    tape?.push(() => {
        for (const part of [x, y].map(gradientOf)) sum.grad.forEach((value, i) => (part[i] += value));
    });
    return sum;
}
