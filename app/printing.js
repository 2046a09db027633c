// A printed page has its table, which on the screen is made only when somebody opens it.

if (!window.pgcePrinting) {
    window.pgcePrinting = true; // this text runs with every page
    const CELL = /("(?:[^"]|"")*"|[^,\n]*)(,|\n|$)/y;
    const DIGITS = 4;

    /** The rows of a CSV text. */
    function rowsOf(csv) {
        const rows = [[]];
        CELL.lastIndex = 0;
        while (CELL.lastIndex < csv.length) {
            const [, cell, end] = CELL.exec(csv);
            rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
            if (end === "\n") rows.push([]);
        }
        return rows.filter((row) => row.length);
    }

    const shown = (cell) => (/^-?\d*\.\d+(e-?\d+)?$/.test(cell) ? String(Number(Number(cell).toPrecision(DIGITS))) : cell);

    function tableOf([head, ...rows]) {
        const table = document.createElement("table");
        const add = (section, cells, tag) => {
            const row = section.appendChild(document.createElement("tr"));
            for (const text of cells) row.appendChild(document.createElement(tag)).textContent = shown(text);
        };
        add(table.createTHead(), head, "th");
        for (const cells of rows) add(table.tBodies[0] ?? table.createTBody(), cells, "td");
        const place = document.createElement("div");
        place.className = "pgce-printed numbers";
        place.append(table);
        return place;
    }

    window.addEventListener("beforeprint", () => {
        for (const host of document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')) {
            const data = host.shadowRoot?.querySelector(".row")?.pgce?.data; // of downloads.js
            if (data) document.querySelector(`.st-key-${data.chart}`)?.append(tableOf(rowsOf(data.csv)));
        }
    });
    window.addEventListener("afterprint", () => {
        for (const table of document.querySelectorAll(".pgce-printed.numbers")) table.remove();
    });
}
