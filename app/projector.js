// A figure as a projector needs it: it fills the place that it has, its panels stand side by side, and its text is
// large. The figure of the page is left as it is.

export const LEAST = 20; // px of the smallest text on a screen of 720 px
const ON_THE_PAGE = 13; // px of text there
const FAMILY = '"Open Sans", verdana, arial, sans-serif'; // Plotly's

const measure = document.createElement("canvas").getContext("2d");

/** The figure { data, layout, frames } for a place of `width` x `height` px, with text of `size` px. */
export function projected({ data, layout, frames }, { width, height, size }) {
    measure.font = `${size}px ${FAMILY}`;
    const wide = (text) => measure.measureText(text.replaceAll("<br>", " ").replace(/<[^>]*>/g, "")).width;
    const times = size / ON_THE_PAGE;
    const title = layout.title.text.replaceAll("<br>", " ");
    const place = { width, height, size, wide };
    enlarge({ data, layout, frames }, size, times);
    Object.assign(layout, { width, height, sliders: [], title: { ...layout.title, text: title } });
    layout.title.pad = { t: 0.4 * size, l: 2 };
    layout.font = { ...layout.font, family: FAMILY };
    const numbers = Object.keys(layout).flatMap((name) => name.match(/^yaxis(\d*)$/)?.slice(1) ?? []);
    const panels = numbers.filter((number) => inPanel(data, number).length).sort((a, b) => Number(a) - Number(b));
    const asColumns = panels.length === 2 && data.some(({ type }) => type === "heatmap"); // each with its bar above it
    const halves = [panels.slice(0, Math.ceil(panels.length / 2)), panels.slice(Math.ceil(panels.length / 2))];
    const columns = layout.meta?.columns.map((each) => each.map((number) => (number === 1 ? "" : String(number))))
        ?? (panels.length > 3 && halves);
    if (layout.yaxis.scaleanchor) triangle(layout, place);
    else if (columns) inColumns(data, layout, columns, place);
    else if (panels.length === 1 || asColumns) stacked(data, layout, panels, place);
    else sideBySide(data, layout, panels, place);
    return { data, layout };
}

/** Text to at least `size`; lines and marks in proportion. */
function enlarge(node, size, times) {
    if (node === null || typeof node !== "object" || ArrayBuffer.isView(node)) return;
    if (Array.isArray(node) && typeof node[0] !== "object") return;
    for (const [key, value] of Object.entries(node)) {
        if (key.endsWith("font")) node[key] = { ...value, size: Math.max(size, value.size ?? 0) };
        else if (key === "marker" && typeof value.size === "number") value.size *= times;
        else if (key === "line" && value.width) value.width *= times;
        else if (["xshift", "yshift"].includes(key)) node[key] *= times;
        else if (key !== "customdata") enlarge(value, size, times);
    }
}

/** The rows of legend entries [trace, ...] that fit into `room` px, as Plotly measures them. */
function legendRows(traces, room, { wide }) {
    const rows = [[]];
    let used = 0;
    for (const trace of traces) {
        const needed = 46 + wide(trace.name);
        if (used + needed > room && rows.at(-1).length) {
            rows.push([]);
            used = 0;
        }
        rows.at(-1).push(trace);
        used += needed;
    }
    return rows;
}

/** How many rows Plotly makes of one legend for all: more than one stand in columns. */
function rowsOfLegend(data, layout, room, place) {
    const traces = layout.showlegend === false ? [] : named(data);
    if (legendRows(traces, room, place).length < 2) return Math.min(1, traces.length);
    const widest = Math.max(...traces.map(({ name }) => 46 + place.wide(name)));
    return Math.ceil(traces.length / Math.max(1, Math.floor(room / widest)));
}

const named = (data) => data.filter(({ name, showlegend }) => name && showlegend !== false);
const legendLine = (size) => 1.45 * size;

/** px beside an axis for its ticks and title. */
function besideAxis(axis, traces, { size, wide }) {
    const names = [
        ...(axis.ticktext ?? []),
        ...traces.flatMap(({ y }) => Array.from(y ?? [])).filter((name) => typeof name === "string"),
    ];
    if (!names.length) names.push(axis.type === "log" ? "0.0003" : "−0.25");
    const lines = axis.title?.text ? axis.title.text.split("<br>").length : 0;
    return Math.max(...names.map(wide)) + (1.3 * lines + 0.8) * size;
}

function tidy(axis, length, { size, wide }) {
    Object.assign(axis, { automargin: false, ticklabelstandoff: 6 }); // the room is measured
    const text = axis.title?.text ?? "";
    axis.title = { ...axis.title, standoff: 0.4 * size, text: wide(text) < length ? text.replaceAll("<br>", " ") : text };
}

const inPanel = (data, number) => data.filter(({ yaxis }) => (yaxis ?? "y").slice(1).replace(/^1$/, "") === number);

/** Panels in a row, each with its own ticks and perhaps its own legend above it. */
function sideBySide(data, layout, panels, place) {
    const { width, height, size } = place;
    const inEach = panels.map((number) => inPanel(data, number));
    const room = panels.map((number, i) => besideAxis(layout[`yaxis${number}`], inEach[i], place));
    const margin = { l: room[0], r: 1.2 * size, b: 3 * size };
    const inner = width - margin.l - margin.r;
    const between = room.slice(1).map((px) => px + 0.8 * size);
    const wide = (inner - between.reduce((a, b) => a + b, 0)) / panels.length;
    const own = layout.legend2;
    const rows = own ? inEach.map((traces) => legendRows(named(traces), wide, place)) : [];
    const most = own ? Math.max(...rows.map(({ length }) => length)) : rowsOfLegend(data, layout, inner, place);
    margin.t = 2.2 * size + most * legendLine(size) + 0.4 * size;
    const plot = height - margin.t - margin.b;
    const lefts = panels.map((_, i) => (i * wide + between.slice(0, i).reduce((a, b) => a + b, 0)) / inner);
    panels.forEach((number, i) => {
        const [x, y] = [layout[`xaxis${number}`], layout[`yaxis${number}`]];
        const left = lefts[i];
        let below = x; // the axis that is shared, under the last of the panels on the page
        while (below.matches) below = layout[`xaxis${below.matches.slice(1)}`];
        Object.assign(x, { range: below.range, type: below.type, dtick: below.dtick, title: below.title });
        delete x.matches;
        Object.assign(x, { showticklabels: true, domain: [left, left + wide / inner] });
        Object.assign(y, { domain: [0, 1], anchor: `x${number}` });
        tidy(x, wide, place);
        tidy(y, plot, place);
        if (own) putLegends(layout, rows[i], left, i, plot, size);
    });
    if (!own) Object.assign(layout.legend, { x: 0, y: 1 + (0.3 * size) / plot, xanchor: "left", yanchor: "bottom" });
    layout.margin = margin;
}

/** A legend of Plotly's has no width: each row becomes one of its own. */
function putLegends(layout, rows, x, panel, plot, size) {
    rows.forEach((traces, row) => {
        const number = 10 * panel + row + 1;
        const name = number === 1 ? "legend" : `legend${number}`;
        const y = 1 + (0.3 * size + (rows.length - 1 - row) * legendLine(size)) / plot;
        layout[name] = { ...layout[name], orientation: "h", x, y, xanchor: "left", yanchor: "bottom" };
        for (const trace of traces) trace.legend = name;
    });
}

/** One panel, or a bar above each column of a heat map. */
function stacked(data, layout, panels, place) {
    const { width, height, size } = place;
    const room = Math.max(...panels.map((number) => besideAxis(layout[`yaxis${number}`], data, place)));
    const inner = width - room - 1.2 * size;
    const legend = rowsOfLegend(data, layout, inner, place);
    layout.margin = { l: room, r: 1.2 * size, t: 2.2 * size + legend * legendLine(size) + 0.4 * size, b: 3 * size };
    const plot = height - layout.margin.t - layout.margin.b;
    Object.assign(layout.legend, { x: 0, y: 1 + (0.3 * size) / plot, xanchor: "left", yanchor: "bottom" });
    for (const number of panels) {
        tidy(layout[`xaxis${number}`], inner, place);
        tidy(layout[`yaxis${number}`], plot / panels.length, place);
    }
    if (panels.length < 2) {
        layout[`yaxis${panels[0]}`].domain = [0, 1]; // another may wait for its numbers
        return;
    }
    Object.assign(layout.yaxis, { domain: [0.8, 1], nticks: 3 });
    layout.yaxis2.domain = [0, 0.77];
    for (const cells of data.filter(({ type, text }) => type === "heatmap" && text))
        cells.textfont.size = Math.min(size, (0.85 * 0.77 * plot) / cells.y.length);
}

/** Panels one above the other in columns (`meta.columns`, where the figure names them), in heights as on the page. */
function inColumns(data, layout, columns, place) {
    const { width, height, size } = place;
    const room = columns.map((names) =>
        Math.max(...names.map((name) => besideAxis(layout[`yaxis${name}`], inPanel(data, name), place))));
    const margin = { l: room[0], r: 1.2 * size, b: 3 * size };
    const inner = width - margin.l - margin.r;
    const legend = rowsOfLegend(data, layout, inner, place);
    margin.t = 2.2 * size + legend * legendLine(size) + 0.4 * size;
    const plot = height - margin.t - margin.b;
    const apart = room.slice(1).reduce((a, b) => a + b + 0.8 * size, 0);
    const column = (inner - apart) / columns.length;
    let left = 0;
    columns.forEach((names, i) => {
        const tall = names.map((name) => layout[`yaxis${name}`].domain[1] - layout[`yaxis${name}`].domain[0]);
        const gaps = names.map((name, j) => (j + 1 < names.length ? (layout[`xaxis${name}`].title?.text ? 3.2 : 1) : 0));
        const scale = (1 - (gaps.reduce((a, b) => a + b) * size) / plot) / tall.reduce((a, b) => a + b);
        let top = 1;
        names.forEach((name, j) => {
            const [x, y] = [layout[`xaxis${name}`], layout[`yaxis${name}`]];
            y.domain = [Math.max(0, top - tall[j] * scale), top];
            x.domain = [left / inner, (left + column) / inner];
            y.anchor = `x${name}`;
            tidy(x, column, place);
            tidy(y, plot * (y.domain[1] - y.domain[0]), place);
            top = y.domain[0] - (gaps[j] * size) / plot;
        });
        left += column + (room[i + 1] ?? 0) + 0.8 * size;
    });
    Object.assign(layout.legend, { x: 0, y: 1 + (0.3 * size) / plot, xanchor: "left", yanchor: "bottom" });
    layout.margin = margin;
    for (const { type, text, x, textfont } of data)
        if (type === "heatmap" && text) textfont.size = Math.min(size, (0.55 * column) / x.length);
}

/** The triangle keeps its shape, so its legend stands beside it; the name of a corner has one line. */
function triangle(layout, { size }) {
    for (const corner of layout.annotations) corner.text = corner.text.replace("<br>", " ");
    layout.margin = { l: 0.5 * size, r: 0.5 * size, t: 2.2 * size, b: 0.5 * size };
    Object.assign(layout.legend, { orientation: "v", x: 0, y: 1, xanchor: "left", yanchor: "top" });
}
