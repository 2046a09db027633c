// The bar of a story: it shows its step, hides the answer until it is asked for, and goes on and back by a click or by
// a clicker, whose keys are PageDown and PageUp.

const html = document.documentElement;
const revealed = () => html.classList.contains("pgce-revealed");
let shown = ""; // the step whose answer may be revealed
let listening = null;

/** The address of the explorer's root, where this page is at `path`. */
const root = (path) => location.pathname.slice(0, location.pathname.length - path.length);

/** Streamlit reads a page's controls from the address after Back and Forward, and only then all of them. */
function visit(address, change = "pushState") {
    History.prototype[change].call(history, history.state, "", address); // at once, unlike that of history.js
    dispatchEvent(new PopStateEvent("popstate"));
}

export default function ({ data, parentElement, setTriggerValue }) {
    const bar = parentElement.querySelector(".pgce-story");
    const part = (name) => bar.querySelector(`.${name}`);
    const step = `${data.story} ${data.number}`;
    if (step !== shown) html.classList.remove("pgce-revealed");
    shown = step;
    html.classList.toggle("pgce-asks", Boolean(data.reveal));

    const presenting = () => new URLSearchParams(location.search).get("present") === "1"; // changes without a run
    const addressOf = (step) => root(data.path) + (presenting() ? step.presented : step.address);
    const go = (step) => {
        const address = addressOf(step);
        const { pathname } = new URL(address, location);
        if (pathname === location.pathname) visit(address);
        else setTriggerValue("go", { number: step.number, presenting: presenting() });
    };
    const leave = () => {
        const left = new URLSearchParams(location.search);
        const step = new URLSearchParams(data.here.replace(/^[^?]*/, "")); // what Streamlit has not put there
        for (const [key, value] of [...step]) if (!new URLSearchParams(location.search).has(key)) left.append(key, value);
        for (const key of ["story", "step", "control"]) left.delete(key);
        visit(location.pathname + (left.size ? `?${left}` : ""), "replaceState");
    };
    const draw = () => {
        const open = revealed();
        const answer = open ? data.reveal : "";
        if (part("answer").textContent !== answer) part("answer").textContent = answer; // said once
        part("show").textContent = open ? "Hide" : "Reveal";
        part("show").setAttribute("aria-expanded", open);
    };
    const link = (name, step) => {
        part(name).hidden = !step;
        if (step) part(name).href = addressOf(step);
        part(name).onclick = (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab or a window of its own
            event.preventDefault();
            go(step);
        };
    };

    part("place").textContent = `${data.story}: ${data.title}, ${data.number} of ${data.count}`;
    if (part("ask").textContent !== data.ask) part("ask").textContent = data.ask;
    part("show").hidden = !data.reveal;
    part("show").onclick = () => html.classList.toggle("pgce-revealed");
    link("back", data.back);
    link("next", data.next);
    part("leave").onclick = leave;
    draw();

    listening?.abort();
    listening = new AbortController();
    const { signal } = listening;
    const press = (event) => {
        const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
        if (!plain || !["PageDown", "PageUp"].includes(event.key) || event.target.closest("textarea")) return;
        event.preventDefault();
        event.stopPropagation();
        const forward = event.key === "PageDown";
        if (data.reveal && forward !== revealed()) html.classList.toggle("pgce-revealed", forward);
        else if (forward && data.next) go(data.next);
        else if (!forward && data.back) go(data.back);
        else if (forward) document.querySelector(".stMain").scrollBy(0, 0.8 * innerHeight); // the end is a page to read
    };
    addEventListener("keydown", press, { capture: true, signal });
    const watch = new MutationObserver(draw); // the key "r" reveals, too
    watch.observe(html, { attributes: true, attributeFilter: ["class"] });
    signal.addEventListener("abort", () => watch.disconnect());
    const own = listening;
    return () => {
        if (bar.isConnected) return;
        own.abort();
        html.classList.remove("pgce-asks", "pgce-revealed");
    };
}
