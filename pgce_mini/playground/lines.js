// Text in lines, for pictures: SVG does not wrap it.

const pen = document.createElement("canvas").getContext("2d");

/** The text in lines no wider than `width` px in this font, as CSS writes it; a long word is cut. */
export function wrapped(text, width, font) {
    pen.font = font;
    const fits = (line) => pen.measureText(line).width <= width;
    const lines = [""];
    for (let word of text.split(" ")) {
        const longer = `${lines.at(-1)} ${word}`.trim();
        if (fits(longer)) {
            lines[lines.length - 1] = longer;
            continue;
        }
        if (lines.at(-1)) lines.push("");
        while (!fits(word)) {
            let length = word.length - 1;
            while (length > 1 && !fits(word.slice(0, length))) length -= 1;
            lines.splice(-1, 1, word.slice(0, length), "");
            word = word.slice(length);
        }
        lines[lines.length - 1] = word;
    }
    return lines;
}
