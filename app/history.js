// Back and forward, where Streamlit 1.67 and controls bound to the address do not agree. When a page is left, an
// entry without its settings is pushed first, so that Back would show its defaults; and on Back, a setting that both
// pages have is dropped with the page that is left.

if (!window.pgceHistory) {
    window.pgceHistory = true; // this text runs with every page
    const PATIENCE = 2000; // ms, for the page that follows; longer while the server still works on it
    const push = history.pushState.bind(history);
    let page = location.pathname;
    let settings;
    const later = (change) => {
        const working = () => document.querySelector(".stApp")?.dataset.testScriptState !== "notRunning";
        settings = setTimeout(() => (working() ? later(change) : change()), PATIENCE);
    };
    history.pushState = (state, title, address) => {
        const { pathname, hash } = new URL(address, location);
        clearTimeout(settings);
        if (pathname === page && !hash) {
            // Either the page is left, and keeps its settings in its entry, or a control is gone with its own.
            later(() => history.replaceState(state, title, address));
        } else {
            push(state, title, address);
            page = pathname;
        }
    };
    const arrive = (event) => {
        if (location.pathname === page) return;
        event.stopImmediatePropagation(); // a page made anew has what its address says
        location.reload();
    };
    window.addEventListener("popstate", arrive, { capture: true });
}
