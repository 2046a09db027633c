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

    // A step of the story sets the playground, which is out of sight then.
    document.querySelectorAll("a.set").forEach((link) =>
        link.addEventListener("click", () => document.querySelector(".first-screen").scrollIntoView()),
    );
})();
