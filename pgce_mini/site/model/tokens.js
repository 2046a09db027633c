// Text to token ids and back, as the corpora of `pgce_mini.tasks` do it; what cannot be read is an Error with a sentence
// for the one who typed it.

const NUM_SPECIAL = 2; // <pad>, <eos>
const SPACE = /[\p{White_Space}\x1c-\x1f]+/u; // what Python's str.split takes for space
// How GPT-2 cuts a text before its byte pairs are merged.
const PIECES = new RegExp(
    [
        /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+/u, / ?[^\p{White_Space}\p{L}\p{N}]+/u,
        /\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/u,
    ].map(({ source }) => source).join("|"),
    "gu",
);

// Every byte as a printable character: itself, or one from 256 on (GPT-2's alphabet).
const CHARACTERS = [];
for (let byte = 0, other = 256; byte < 256; byte++) {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    CHARACTERS.push(String.fromCharCode(printable ? byte : other++));
}
const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));

/** { vocab, encode } of a task whose text is tokens with spaces, which a reader may leave out. */
export function taskTokens({ name, vocab, example }) {
    const ids = new Map(vocab.map((token, id) => [token, id]));
    const escaped = (token) => token.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const signs = vocab.filter((token) => !/^[\p{L}\p{N}]/u.test(token)).sort((a, b) => b.length - a.length);
    const tokens = new RegExp([...signs.map(escaped), "\\p{Nd}+"].join("|"), "gu");
    return {
        vocab,
        encode(text) {
            const pieces = text.replace(tokens, " $& ").split(SPACE).filter(Boolean);
            const unknown = pieces.find((piece) => !ids.has(piece));
            if (unknown !== undefined)
                throw new Error(`“${unknown}” is no token of ${name}: write a prompt such as “${example}”.`);
            return pieces.map((piece) => ids.get(piece));
        },
    };
}

/** { vocab, encode } of byte pairs, from the merges in their order: "left right". */
export function bytePairTokens(merges) {
    const ids = new Map([...CHARACTERS].sort().map((character, id) => [character, id]));
    const ranks = new Map(merges.map((merge, rank) => [merge, rank]));
    for (const merge of merges) {
        const piece = merge.replace(" ", "");
        if (!ids.has(piece)) ids.set(piece, ids.size); // two merges may end in one piece
    }

    function merged(parts) {
        for (;;) {
            const found = parts.slice(1).map((right, i) => ranks.get(`${parts[i]} ${right}`) ?? Infinity);
            const first = Math.min(...found); // the earliest merge, at its leftmost place
            if (first === Infinity) return parts;
            const at = found.indexOf(first);
            parts.splice(at, 2, parts[at] + parts[at + 1]);
        }
    }

    return {
        vocab: ["<pad>", "<eos>", ...[...ids.keys()].map(readable)],
        encode(text) {
            if (/\p{Surrogate}/u.test(text)) throw new Error("The prompt holds half of a character: delete it.");
            const pieces = text.replace(/\r\n?/g, "\n").match(PIECES) ?? [];
            const letters = (piece) => Array.from(new TextEncoder().encode(piece), (byte) => CHARACTERS[byte]);
            return pieces.flatMap((piece) => merged(letters(piece))).map((part) => NUM_SPECIAL + ids.get(part));
        },
    };
}

/** The text of a piece; its bytes as <0x..>, where they are only a part of a character. */
function readable(piece) {
    const bytes = Uint8Array.from(piece, (character) => BYTES.get(character));
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
        return Array.from(bytes, (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`).join("");
    }
}
