// A picture that is kept, A, beside the one that goes on, B. A is a still, and lasts as long as the browser's tab.

import { imageOf } from "./card.js";
import { button, element } from "./dom.js";
import { PIN_STYLE } from "./from_python.js";

const KEY = "pgce-pin";
const STILL = 4; // looks at a picture of one width, after which it has found its place
const WIDE = 640; // px, from which A and B lie side by side; else A is above

/**
 * Keeps the picture in `stage()` as A, and shows A beside it. `subject()` is as in share.js. Gives the button "Pin",
 * `draw()`, which brings the words of B up to date, and `restore()`, which shows the A of another page once the stage
 * is there: Streamlit may make what is under a picture before its place.
 */
export function pin(stage, subject) {
    const [said, live, image] = [element("figcaption"), element("p", { class: "pgce-live" }), element("div")];
    const remove = button("Remove A", () => (remember(null), show(null), toggle.focus()));
    const node = element("figure", { class: "pgce-pinned", "aria-label": "A, a kept picture" }, said, image, remove);
    const toggle = button("Pin", keep, { class: "small", title: "Keep this picture as A, beside the one that goes on" });
    const width = new ResizeObserver(([{ target }]) => target.classList.toggle("pgce-beside", target.clientWidth >= WIDE));

    function show(kept) {
        const pair = stage().parentElement;
        node.remove();
        live.remove();
        width.disconnect();
        pair.classList.toggle("pgce-pair", Boolean(kept));
        pair.classList.remove("pgce-beside");
        if (!kept) return;
        const root = pair.getRootNode();
        if (!root.querySelector("style.pgce-pin")) (root.head ?? root).append(element("style", { class: "pgce-pin" }, PIN_STYLE));
        stage().before(node, live);
        const from = kept.title === subject().title ? "" : `${kept.title}: `;
        said.replaceChildren(heading("A", kept), from + kept.takeaway);
        image.replaceChildren(kept.picture ? imageOf(kept.picture, kept.takeaway) : "");
        width.observe(pair);
        draw();
    }

    async function keep() {
        if (!stage()) return;
        show({ ...subject(), picture: null }); // its place first: A is to be as wide as B
        await settled(stage());
        if (!stage()?.isConnected) return; // the reader has left
        const { title, takeaway, settings, picture } = subject();
        const kept = { title, takeaway, settings, picture: picture() };
        remember(kept);
        show(kept);
        stage().parentElement.scrollIntoView({ block: "start" });
    }

    function draw() {
        if (!live.isConnected) return;
        const { settings } = subject();
        if (live.dataset.drawn !== settings) live.replaceChildren(heading("B", { settings }));
        live.dataset.drawn = settings;
    }

    function restore() {
        if (stage()) show(recall());
        else if (toggle.isConnected) requestAnimationFrame(restore);
    }

    return { button: toggle, draw, restore };
}

const heading = (letter, { settings }) =>
    element("span", {}, element("strong", {}, letter), settings && `: ${settings}`);

async function settled(stage) {
    let [width, still] = [0, 0];
    while (still < STILL && stage.isConnected) {
        await new Promise((done) => setTimeout(done, 50));
        const now = stage.querySelector("svg")?.getBoundingClientRect().width;
        still = now && now === width ? still + 1 : 0;
        width = now;
    }
}

let here = null; // A of this page, where the browser may keep nothing or A is too large

function recall() {
    try {
        return JSON.parse(sessionStorage.getItem(KEY)) ?? here;
    } catch {
        return here;
    }
}

function remember(kept) {
    here = kept;
    try {
        sessionStorage.removeItem(KEY);
        if (kept) sessionStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
        // `here` has it
    }
}
