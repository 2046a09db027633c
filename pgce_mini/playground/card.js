// A card: one picture of 1200 x 630 px, as posts and slides show it, that says what it shows, where and how.

import { element, shape } from "./dom.js";
import { wrapped } from "./lines.js";

const [WIDTH, HEIGHT, MARGIN] = [1200, 630, 48];
const TEXT = 440; // px, of the column of words
const FONT = "system-ui, sans-serif";
const SMALL = 17; // px, of settings and address
const SIZES = [30, 24, 20, SMALL]; // of the takeaway: the largest that has room

/** `subject` is as in share.js; `look` has the colours { ink, soft, paper }. */
export function card({ title, takeaway, settings, href }, picture, { ink, soft, paper }) {
    const svg = shape("svg", { width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
    shape("rect", { width: WIDTH, height: HEIGHT, fill: paper }, svg);
    const write = (text, y, size, fill, weight = 400) =>
        shape("text", { x: MARGIN, y, fill, "font-family": FONT, "font-size": size, "font-weight": weight }, svg, text);
    write(title, MARGIN + 20, 22, soft, 600);
    const small = [settings, href].map((text) => (text ? wrapped(text, TEXT, `400 ${SMALL}px ${FONT}`) : []));
    const foot = [...cut(small[0], 5), ...cut(small[1], 3)];
    const room = HEIGHT - 2 * MARGIN - 106 - 23 * foot.length; // between the title and the foot
    const linesAt = (size) => wrapped(takeaway, TEXT, `600 ${size}px ${FONT}`);
    const size = SIZES.find((size) => 1.3 * size * linesAt(size).length <= room) ?? SMALL;
    const lines = cut(linesAt(size), Math.floor(room / (1.3 * size)));
    lines.forEach((line, i) => write(line, MARGIN + 72 + 1.3 * size * i, size, ink, 600));
    foot.forEach((line, i) => write(line, HEIGHT - MARGIN - 34 - 23 * (foot.length - 1 - i), SMALL, soft));
    write("pgce_mini", HEIGHT - MARGIN + 8, 20, ink, 600);
    const left = MARGIN + TEXT + 32;
    const [width, height] = [WIDTH - MARGIN - left, HEIGHT - 2 * MARGIN];
    const scale = Math.min(width / picture.width, height / picture.height);
    const place = { x: left + (width - scale * picture.width) / 2, y: MARGIN + (height - scale * picture.height) / 2 };
    const viewBox = `0 0 ${picture.width} ${picture.height}`;
    const inner = shape("svg", { ...place, width: scale * picture.width, height: scale * picture.height, viewBox }, svg);
    inner.innerHTML = picture.source;
    return { source: new XMLSerializer().serializeToString(svg), width: WIDTH, height: HEIGHT };
}

/** The first `most` lines; what follows is not left out without a sign. */
const cut = (lines, most) => (lines.length > most ? [...lines.slice(0, most - 1), `${lines[most - 1]} …`] : lines);

/** What stands beside the card where it is posted. */
export const cardText = ({ title, takeaway, settings, href }) =>
    [`${title}: ${takeaway}`, settings, href, "pgce_mini"].filter(Boolean).join("\n");

export const imageOf = ({ source, width, height }, alt) =>
    element("img", { src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`, width, height, alt });
