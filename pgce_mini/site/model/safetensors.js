// The models' files, as `save_model` writes them: eight bytes with the length of a header in JSON, then the numbers.

const POWERS = Float32Array.from({ length: 32 }, (_, exponent) => 2 ** (exponent - 25)); // of the last bit

/** { tensors: name -> { shape, data: Float32Array }, header: what the file says of the model } of an ArrayBuffer. */
export function readSafetensors(buffer) {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const { __metadata__, ...described } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const tensors = {};
    for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(described)) {
        const bytes = buffer.slice(8 + length + from, 8 + length + to);
        tensors[name] = { shape, data: dtype === "F16" ? fromHalf(new Uint16Array(bytes)) : new Float32Array(bytes) };
    }
    return { tensors, header: JSON.parse(__metadata__.pgce_mini).header };
}

/** IEEE half precision: a sign, 5 bits of exponent, 10 of fraction. Finite numbers only, as weights are. */
function fromHalf(halves) {
    const numbers = new Float32Array(halves.length);
    halves.forEach((bits, i) => {
        const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
        const size = exponent ? (1024 + fraction) * POWERS[exponent] : fraction * POWERS[1];
        numbers[i] = bits >> 15 ? -size : size;
    });
    return numbers;
}
