// Presenter mode and its keys: p presents, r reveals, Esc leaves. The address says whether a page is presented, the
// class "pgce-presenting" of the root shows it, and "pgce-revealed" shows what waits to be revealed. On a narrow screen
// one control stays at hand.

if (!window.pgcePresenting) { // this text runs with every page
    const root = document.documentElement;
    const KEPT = ["present", "control", "story", "step", "embed"]; // by Reset: no settings of the page
    let place; // page and step of a story
    let usual = []; // controls in play
    const sheet = document.head.appendChild(document.createElement("style"));

    const parameters = () => new URLSearchParams(location.search);
    const presented = () => parameters().get("present") === "1";
    const addressWith = (found) => location.pathname + (found.size ? `?${found}` : "");

    function follow() {
        root.classList.toggle("pgce-presenting", presented());
        const here = `${location.pathname} ${parameters().get("story")} ${parameters().get("step")}`;
        if (place === here) return;
        place = here;
        root.classList.remove("pgce-revealed");
        atHand(usual);
    }

    /** Keeps controls at the lower edge of a narrow screen while their own place is below it. */
    function atHand(keys) {
        const chosen = keys.map((key) => `.st-key-place_controls .st-key-${CSS.escape(key)}`);
        const look = "position: sticky; bottom: var(--pgce-foot, 0px); z-index: 5; background: Canvas; "
            + "padding-top: 0.5rem; border-top: 1px solid #8885; width: 100% !important";
        sheet.textContent = keys.length ? `@media (max-width: 40rem) {:is(${chosen}) {${look}}}` : "";
    }

    function touch({ target }) {
        const control = target.closest?.(".st-key-place_controls .stElementContainer[class*=st-key-]");
        if (!control || control.closest(".stExpander")) return;
        const isSmall = control.offsetHeight < innerHeight / 3; // a large one would hide the picture
        atHand(isSmall ? [control.className.match(/st-key-(\S+)/)[1]] : []);
    }

    const actions = {
        present() {
            const found = parameters();
            if (presented()) found.delete("present");
            else found.set("present", "1");
            history.replaceState(history.state, "", addressWith(found));
        },
        leave: () => presented() && actions.present(),
        reveal: () => root.classList.toggle("pgce-revealed"),
        reset() {
            const found = parameters();
            for (const name of [...found.keys()]) if (!KEPT.includes(name)) found.delete(name);
            location.assign(addressWith(found));
        },
    };
    const KEYS = { p: "present", r: "reveal", Escape: "leave" };
    const TYPING = 'input:not([type="range"], [type="radio"], [type="checkbox"]), textarea, select, [contenteditable]';

    function press(event) {
        const { key, ctrlKey, metaKey, altKey, defaultPrevented } = event;
        const [target] = event.composedPath();
        const action = Object.hasOwn(KEYS, key) && KEYS[key];
        if (!action || ctrlKey || metaKey || altKey || defaultPrevented || target.matches?.(TYPING)) return;
        if (key === "r") event.stopImmediatePropagation(); // Streamlit's own: it would run the page again
        actions[action]();
    }

    for (const name of ["pushState", "replaceState"]) {
        const change = history[name].bind(history);
        history[name] = (...args) => {
            change(...args);
            follow();
        };
    }
    window.addEventListener("popstate", follow);
    window.addEventListener("keydown", press, { capture: true });
    document.addEventListener("click", ({ target }) => actions[target.dataset?.pgce]?.());
    document.addEventListener("focusin", touch);
    window.pgcePresenting = (keys) => atHand((usual = keys)); // the page has come
    follow();
}
