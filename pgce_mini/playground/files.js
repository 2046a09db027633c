// Files of the playground, made in the page: nothing is asked of a server.

const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "visibility", "font-family"].concat([
    "font-size", "font-weight", "text-anchor", "dominant-baseline", "paint-order",
]);
const MARGIN = 16;

/** The picture as it is seen, its styles written into it, with sentences above and below. */
export function pictureFile(svg, paper, above, below) {
    const copy = svg.cloneNode(true);
    const sources = svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((node, i) => {
        const seen = getComputedStyle(sources[i]);
        for (const name of STYLES) node.style.setProperty(name, seen.getPropertyValue(name));
    });
    copy.querySelectorAll(".tip, .hit").forEach((node) => node.remove());

    const width = svg.clientWidth;
    const lines = [...wrapped(above, width, 600), "", ...wrapped(below, width, 400)];
    const headroom = lines.length * 18 + 12;
    const size = { width: width + 2 * MARGIN, height: svg.clientHeight + headroom + 2 * MARGIN };
    const make = (name, attributes, text = "") => {
        const node = document.createElementNS(svg.namespaceURI, name);
        for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
        node.textContent = text;
        return node;
    };
    const whole = make("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}` });
    whole.append(make("rect", { width: "100%", height: "100%", fill: paper }));
    const { color, fontFamily } = getComputedStyle(svg);
    const rest = wrapped(above, width, 600).length;
    lines.forEach((line, i) => {
        const style = { fill: color, "font-family": fontFamily, "font-size": i < rest ? 14 : 13 };
        const weight = i < rest ? 600 : 400;
        whole.append(make("text", { x: MARGIN, y: MARGIN + 12 + 18 * i, "font-weight": weight, ...style }, line));
    });
    copy.setAttribute("x", MARGIN);
    copy.setAttribute("y", MARGIN + headroom);
    whole.append(copy);
    return { source: new XMLSerializer().serializeToString(whole), ...size };
}

function wrapped(text, width, weight) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${weight} 14px system-ui, sans-serif`;
    const lines = [""];
    for (const word of text.split(" ")) {
        const longer = `${lines.at(-1)} ${word}`.trim();
        if (pen.measureText(longer).width <= width - 8 || lines.at(-1) === "") lines[lines.length - 1] = longer;
        else lines.push(word);
    }
    return lines;
}

/** Copies text where the page may (a file opened by itself may not, in some browsers, without the old way). */
export async function copyText(text) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        const area = Object.assign(document.createElement("textarea"), { value: text });
        document.body.append(area);
        area.select();
        const copied = document.execCommand("copy");
        area.remove();
        return copied;
    }
}
