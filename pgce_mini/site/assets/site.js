// What every page does beside Furo's own: searching without a server; keys and a sign for what scrolls sideways.

(() => {
    // Beside each hit stands where it was found; the browser reads it from the page, which file:// does not allow.
    if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined")
        DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

    const wide = document.querySelectorAll("pre, .table-wrapper, .formula, dt.sig");
    const look = (box) => {
        const hidden = box.scrollWidth - box.clientWidth;
        if (hidden > 0) box.tabIndex = 0;
        else box.removeAttribute("tabindex");
        box.classList.toggle("goes-on", box.scrollLeft < hidden - 1);
    };
    wide.forEach((box) => {
        look(box);
        box.addEventListener("scroll", () => look(box), { passive: true });
    });
    addEventListener("resize", () => wide.forEach(look));

    // A playground in a frame says how high it is, and is told which theme the page has.
    const frames = [...document.querySelectorAll("iframe.playground")];
    const tell = ({ contentWindow }) =>
        contentWindow.postMessage({ colorScheme: getComputedStyle(document.body).colorScheme }, "*");
    addEventListener("message", ({ data, source }) => {
        const frame = frames.find(({ contentWindow }) => contentWindow === source);
        if (!frame || !data.playgroundHeight) return;
        frame.style.height = `${data.playgroundHeight}px`;
        tell(frame);
    });
    new MutationObserver(() => frames.forEach(tell)).observe(document.body, { attributeFilter: ["data-theme"] });

    // On paper a formula is no wider than the sheet (site.css), and nothing is folded.
    let folded = [];
    addEventListener("beforeprint", () => {
        document.querySelectorAll(".formula math").forEach((formula) => {
            const [first, last] = [formula.firstElementChild, formula.lastElementChild];
            const width = last.getBoundingClientRect().right - first.getBoundingClientRect().left;
            formula.style.setProperty("--ems", width / parseFloat(getComputedStyle(formula).fontSize));
        });
        folded = [...document.querySelectorAll("details:not([open])")];
        folded.forEach((part) => (part.open = true));
    });
    addEventListener("afterprint", () => folded.forEach((part) => (part.open = false)));

    // A step of the story sets the playground, which is out of sight then.
    document.querySelectorAll("a.set").forEach((link) =>
        link.addEventListener("click", () => {
            document.querySelector(".first-screen").scrollIntoView();
            const { shadowRoot } = document.querySelector(".pgce-playground");
            shadowRoot.querySelector(".primary").focus({ preventScroll: true }); // Play
        }),
    );
})();
