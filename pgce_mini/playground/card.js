// A card: one picture of 1200 x 630 px, as posts and slides show it, that says what it shows, where and how.

import { element, shape } from "./dom.js";
import { wrapped } from "./lines.js";

const [WIDTH, HEIGHT, MARGIN] = [1200, 630, 48];
const TEXT = 440; // px, of the column of words
const FONT = "system-ui, sans-serif";

/** `subject` is as in share.js; `look` has the colours { ink, soft, paper }. */
export function card({ title, takeaway, settings, href }, picture, { ink, soft, paper }) {
    const svg = shape("svg", { width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
    shape("rect", { width: WIDTH, height: HEIGHT, fill: paper }, svg);
    const write = (text, y, size, fill, weight = 400) =>
        shape("text", { x: MARGIN, y, fill, "font-family": FONT, "font-size": size, "font-weight": weight }, svg, text);
    write(title, MARGIN + 20, 22, soft, 600);
    const size = takeaway.length > 190 ? 24 : 30;
    const lines = wrapped(takeaway, TEXT, `600 ${size}px ${FONT}`).slice(0, 9);
    lines.forEach((line, i) => write(line, MARGIN + 72 + 1.3 * size * i, size, ink, 600));
    const small = [settings, href].map((text) => (text ? wrapped(text, TEXT, `400 17px ${FONT}`) : []));
    const foot = [...small[0].slice(0, 5), ...small[1].slice(0, 3)];
    foot.forEach((line, i) => write(line, HEIGHT - MARGIN - 34 - 23 * (foot.length - 1 - i), 17, soft));
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

/** What stands beside the card where it is posted. */
export const cardText = ({ title, takeaway, settings, href }) =>
    [`${title}: ${takeaway}`, settings, href, "pgce_mini"].filter(Boolean).join("\n");

export const imageOf = ({ source, width, height }, alt) =>
    element("img", { src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`, width, height, alt });
