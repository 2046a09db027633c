// Where the playground lives: a page of its own, Streamlit, or a notebook. Each keeps the state in its own way.

import { fromQuery, givenPart, toQuery, withGiven } from "./address.js";
import { mount } from "./playground.js";
import { followPresenter } from "./presenting.js";
import { linkOf } from "./share.js";

/** A page of its own: the state is in the address, after the #, where a heading of the page may stand instead. */
export function inPage(host, usual) {
    const isHeading = () => location.hash.length > 1 && !location.hash.includes("=");
    const query = () => (isHeading() ? "" : location.hash.slice(1));
    const base = withGiven(query(), usual);
    const given = base === usual ? "" : givenPart(query());
    const instrument = mount(host, {
        base,
        state: fromQuery(query(), base),
        keep(state) {
            const kept = toQuery(state, base, given);
            if (kept !== query()) history.replaceState(null, "", kept ? `#${kept}` : location.pathname + location.search);
        },
        link(state) {
            const kept = toQuery(state, base, given);
            return linkOf({ query: location.search.slice(1), hash: kept && `#${kept}` });
        },
    });
    addEventListener("hashchange", () => isHeading() || instrument.replace(fromQuery(query(), base)));
}

let left = ""; // the address of a reader who went to another page: Streamlit drops it, on the way back too

/** Streamlit calls this with each run of its script; the playground is made in the first. */
function inStreamlit({ parentElement, data, setTriggerValue }) {
    const host = parentElement.querySelector(".pgce-playground");
    host.tell = setTriggerValue; // of the newest run
    if (host.shadowRoot) return;
    const { network, teaches, ...usual } = data; // the server's address for others, and whether a class is directed
    const query = location.search || left;
    const base = withGiven(query, usual);
    const given = base === usual ? "" : givenPart(query);
    const around = () => // the address is to have the tokens that came, also on the way back
        givenPart(location.search) ? location.search : [location.search.slice(1), given].filter(Boolean).join("&");
    const instrument = mount(host, {
        base,
        link: (state) => linkOf({ query: toQuery(state, base, around()) }, network),
        ask: teaches ? (question) => host.tell("ask", question) : null,
        state: fromQuery(query, base),
        keep(state) {
            if (!host.isConnected) return; // the reader has gone to another page, whose address this is not
            const query = (left = toQuery(state, base, around()));
            const address = location.pathname + (query && `?${query}`) + location.hash;
            if (address !== location.pathname + location.search + location.hash)
                history.replaceState(history.state, "", address);
        },
    });
    followPresenter(host);
    const follow = () => {
        if (!host.isConnected) return removeEventListener("popstate", follow);
        instrument.replace(fromQuery(location.search, base));
    };
    addEventListener("popstate", follow); // the next step of a story on this page
}

/** Jupyter, VS Code, Colab, by way of anywidget: each part of the state is a synced trait. */
function inNotebook({ model, el }) {
    const names = model.get("_state_names");
    const read = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
    const alike = (a, b) => JSON.stringify(a) === JSON.stringify(b);
    const host = el.appendChild(document.createElement("div"));
    const { body, documentElement: html } = document;
    if (html.getAttribute("theme") === "dark" || /vscode-(dark|high-contrast)(?!-light)/.test(body.className))
        host.style.colorScheme = "dark"; // Colab and VS Code; JupyterLab says so itself
    let shown = read();
    let isTelling = false; // the model answers each part that it is told
    const instrument = mount(host, {
        base: shown,
        state: shown,
        keep(state) {
            shown = state;
            isTelling = true;
            for (const name of names) if (!alike(state[name], model.get(name))) model.set(name, state[name]);
            isTelling = false;
            model.save_changes();
        },
    });
    const follow = () => isTelling || alike(read(), shown) || instrument.replace((shown = read()));
    for (const name of names) model.on(`change:${name}`, follow);
    return () => names.forEach((name) => model.off(`change:${name}`, follow));
}

/** anywidget calls this without, Streamlit with an argument. */
export default function attach(streamlit) {
    return streamlit?.parentElement ? inStreamlit(streamlit) : { render: inNotebook };
}
