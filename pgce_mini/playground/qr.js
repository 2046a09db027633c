// A QR code (ISO/IEC 18004): bytes at the lowest level of correction, as a clean screen needs the largest squares.

const CORRECTION = [ // codewords of a block's correction, by version from 1
    7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28,
    28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
];
const BLOCKS = [
    1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8,
    8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25,
];
const MASKS = [
    (x, y) => (x + y) % 2 === 0,
    (x, y) => y % 2 === 0,
    (x) => x % 3 === 0,
    (x, y) => (x + y) % 3 === 0,
    (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
    (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
    (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
    (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The code of a text as rows of booleans (true is dark), or null if the text is too long for any. */
export function qrCode(text) {
    const bytes = [...new TextEncoder().encode(text)];
    const version = BLOCKS.findIndex((_, i) => 8 * dataBytes(i + 1) >= 4 + lengthBits(i + 1) + 8 * bytes.length) + 1;
    if (version === 0) return null;
    const codewords = corrected(padded(bytes, version), version);
    const grid = patterns(version);
    const free = grid.map((row) => row.map((dark) => dark === null));
    putBits(grid, codewords);
    const masked = MASKS.map((mask, i) => withMask(grid, free, mask, i));
    const penalties = masked.map(penalty);
    return masked[penalties.indexOf(Math.min(...penalties))];
}

/** The code as the `d` of an SVG's path in a square of `size` units, with the light margin of four that readers need. */
export function qrPath(rows) {
    const squares = rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x + 4} ${y + 4}h1v1h-1z`] : [])));
    return { d: squares.join(""), size: rows.length + 8 };
}

const lengthBits = (version) => (version < 10 ? 8 : 16);
const dataBytes = (version) => allBytes(version) - BLOCKS[version - 1] * CORRECTION[version - 1];

/** Codewords of a version: its squares without patterns, format and version. */
function allBytes(version) {
    let bits = (16 * version + 128) * version + 64;
    if (version >= 2) {
        const n = Math.floor(version / 7) + 2;
        bits -= (25 * n - 10) * n - 55;
        if (version >= 7) bits -= 36;
    }
    return Math.floor(bits / 8);
}

function padded(bytes, version) {
    const bits = [];
    const put = (value, length) => {
        for (let i = length - 1; i >= 0; i--) bits.push((value >>> i) & 1);
    };
    put(4, 4); // bytes
    put(bytes.length, lengthBits(version));
    bytes.forEach((byte) => put(byte, 8));
    const room = dataBytes(version);
    put(0, Math.min(4, 8 * room - bits.length));
    put(0, -bits.length & 7);
    const words = Array.from({ length: bits.length / 8 }, (_, i) => parseInt(bits.slice(8 * i, 8 * i + 8).join(""), 2));
    for (let i = 0; words.length < room; i++) words.push(i % 2 ? 0x11 : 0xec);
    return words;
}

/** The product in the field of 256 elements whose polynomial is 0x11d. */
function times(a, b) {
    let product = 0;
    for (let i = 7; i >= 0; i--) product = (product << 1) ^ ((product >>> 7) * 0x11d) ^ (((b >>> i) & 1) * a);
    return product;
}

/** Reed and Solomon's remainder of the data, as many codewords as `degree`. */
function remainder(data, degree) {
    const divisor = [...Array(degree - 1).fill(0), 1];
    for (let i = 0, root = 1; i < degree; i++, root = times(root, 2))
        for (let j = 0; j < degree; j++) divisor[j] = times(divisor[j], root) ^ (divisor[j + 1] ?? 0);
    const rest = Array(degree).fill(0);
    for (const word of data) {
        const factor = word ^ rest.shift();
        rest.push(0);
        divisor.forEach((coefficient, i) => (rest[i] ^= times(coefficient, factor)));
    }
    return rest;
}

/** The data in blocks, the shorter ones first, each with its correction, read across the blocks. */
function corrected(data, version) {
    const [count, degree] = [BLOCKS[version - 1], CORRECTION[version - 1]];
    const short = count - (data.length % count);
    const length = Math.floor(data.length / count);
    const blocks = Array.from({ length: count }, (_, i) => {
        const start = i * length + Math.max(0, i - short);
        return data.slice(start, start + length + (i >= short));
    });
    const across = (parts, most) => Array.from({ length: most }, (_, i) => parts.map((part) => part[i])).flat();
    const words = across(blocks, length + 1).filter((word) => word !== undefined);
    return [...words, ...across(blocks.map((block) => remainder(block, degree)), degree)];
}

/** The squares that every code of a version has; null where data will stand. */
function patterns(version) {
    const size = 4 * version + 17;
    const grid = Array.from({ length: size }, () => Array(size).fill(null));
    for (let i = 0; i < size; i++) grid[6][i] = grid[i][6] = i % 2 === 0;
    for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]])
        square(grid, cx, cy, 4, (distance) => distance !== 2 && distance !== 4);
    const places = alignment(version);
    const corner = (i, j) => (i === 0 && j === 0) || (i === 0 && j === places.length - 1) || (j === 0 && i === places.length - 1);
    places.forEach((cx, i) =>
        places.forEach((cy, j) => corner(i, j) || square(grid, cx, cy, 2, (distance) => distance !== 1)),
    );
    putFormat(grid, 0); // a place for it
    if (version >= 7) {
        let rest = version;
        for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
        const bits = (version << 12) | rest;
        for (let i = 0; i < 18; i++) {
            const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
            grid[b][a] = grid[a][b] = Boolean((bits >>> i) & 1);
        }
    }
    return grid;
}

function square(grid, cx, cy, radius, isDark) {
    for (let y = cy - radius; y <= cy + radius; y++)
        for (let x = cx - radius; x <= cx + radius; x++)
            if (grid[y]?.[x] !== undefined) grid[y][x] = isDark(Math.max(Math.abs(x - cx), Math.abs(y - cy)));
}

/** Where the middles of the small squares are, in both directions. */
function alignment(version) {
    if (version === 1) return [];
    const count = Math.floor(version / 7) + 2;
    const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
    const places = Array.from({ length: count - 1 }, (_, i) => 4 * version + 10 - i * step);
    return [6, ...places.reverse()];
}

/** The level (lowest: 1) and the mask, twice. */
function putFormat(grid, mask) {
    const size = grid.length;
    const data = (1 << 3) | mask;
    let rest = data;
    for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
    const bits = ((data << 10) | rest) ^ 0x5412;
    const bit = (i) => Boolean((bits >>> i) & 1);
    for (let i = 0; i < 15; i++) {
        const y = i < 6 ? i : i < 8 ? i + 1 : size - 15 + i;
        grid[y][8] = bit(i);
        const x = i < 8 ? size - 1 - i : i === 8 ? 7 : 14 - i;
        grid[8][x] = bit(i);
    }
    grid[size - 8][8] = true;
}

/** Puts the bits into the free squares, two columns at a time, up and down from the right. */
function putBits(grid, codewords) {
    const size = grid.length;
    let i = 0;
    for (let right = size - 1; right >= 1; right -= 2) {
        if (right === 6) right = 5;
        for (let step = 0; step < size; step++) {
            const up = ((right + 1) & 2) === 0;
            const y = up ? size - 1 - step : step;
            for (const x of [right, right - 1])
                if (grid[y][x] === null) {
                    grid[y][x] = Boolean((codewords[i >>> 3] >>> (7 - (i & 7))) & 1);
                    i += 1;
                }
        }
    }
}

function withMask(grid, free, mask, number) {
    const rows = grid.map((row, y) => row.map((dark, x) => (free[y][x] ? dark !== mask(x, y) : dark)));
    putFormat(rows, number);
    return rows;
}

/** How hard a code is to read, by the standard's four rules. */
function penalty(rows) {
    const columns = rows.map((_, x) => rows.map((row) => row[x]));
    let points = 0;
    for (const line of [...rows, ...columns]) {
        const text = line.map(Number).join("");
        for (const { length } of text.match(/0{5,}|1{5,}/g) ?? []) points += length - 2;
        points += 40 * (matches(text, "10111010000") + matches(text, "00001011101"));
    }
    for (let y = 1; y < rows.length; y++)
        for (let x = 1; x < rows.length; x++)
            if (rows[y][x] === rows[y - 1][x] && rows[y][x] === rows[y][x - 1] && rows[y][x] === rows[y - 1][x - 1])
                points += 3;
    const dark = rows.flat().filter(Boolean).length / rows.length ** 2;
    return points + 10 * Math.floor(Math.abs(100 * dark - 50) / 5);
}

/** How often `part` stands in `text`, overlaps included. */
function matches(text, part) {
    let count = 0;
    for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) count += 1;
    return count;
}
