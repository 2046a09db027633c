// Sharing what is seen: its address, as a text and as a QR code, a frame for another page, a card.
//
// A subject is what is shared: { title, takeaway, settings, name, picture(), link() }. `picture()` is { source, width,
// height }, null until there is one, and `link()` { href, note, embed }, or null where a page has no address.

import { card, cardText, imageOf } from "./card.js";
import { copyText } from "./clipboard.js";
import { button, element, setText, shape } from "./dom.js";
import { SHARE_STYLE } from "./from_python.js";
import { qrCode, qrPath } from "./qr.js";
import { png, save } from "./saving.js";

/** The buttons, with `more` at their end; `subject()` is what is seen when one is pressed. */
export function shareRow(subject, { linked, more = [] }) {
    const told = element("span", { role: "status", class: "told" });
    const dialog = element("dialog", { onclick: (event) => event.target === dialog && dialog.close() });
    const open = (make) => () => {
        const close = button("Close", () => dialog.close(), { class: "small" });
        dialog.replaceChildren(...make(subject(), dialog), close);
        dialog.setAttribute("aria-label", dialog.querySelector("h2").textContent);
        dialog.showModal();
    };
    const copyLink = async () => {
        const { href, note } = subject().link();
        setText(told, (await copyText(href, told)) ? `Copied. ${note}` : `Copy it here: ${href}`);
    };
    const small = { class: "small" };
    const ofAddress = [
        button("Copy link", copyLink, small), button("QR code", open(qr), small), button("Embed", open(embed), small),
    ];
    return element(
        "div", { class: "row share", role: "group", "aria-label": "Share" },
        element("style", {}, SHARE_STYLE), "Share", ...(linked ? ofAddress : []), button("Card", open(cardOf), small),
        ...more, told, dialog,
    );
}

function qr({ title, link }) {
    const { href, note } = link();
    return [element("h2", {}, title), qrImage(href), element("p", { class: "address" }, href), element("p", {}, note)];
}

/** The QR code of an address, black on white in any scheme; a sentence where the address is too long for one. */
export function qrImage(href) {
    const rows = qrCode(href);
    if (!rows) return element("p", {}, "This address is too long for a QR code: copy the link.");
    const { d, size } = qrPath(rows);
    const label = "QR code of the address";
    const code = shape("svg", { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label });
    shape("rect", { width: size, height: size, fill: "#ffffff" }, code);
    shape("path", { d, fill: "#000000", "shape-rendering": "crispEdges" }, code);
    return code;
}

function embed({ title, link }, dialog) {
    const { embed, note } = link();
    const attribute = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
    const text =
        `<iframe src="${attribute(embed)}" title="${attribute(title)}" width="100%" height="900" ` +
        'style="border:0" loading="lazy"></iframe>';
    return [
        element("h2", {}, "Embed this page"), element("p", {}, "For a page or a course of yours. The frame opens as it is here."),
        element("pre", { tabindex: "0" }, text), copyButton(text, dialog), element("p", {}, note),
    ];
}

function cardOf(subject, dialog) {
    const href = subject.link()?.href ?? "";
    const heading = element("h2", {}, "A card to post");
    const picture = subject.picture();
    if (!picture) return [heading, element("p", {}, "The picture is still being drawn: close this and try again.")];
    const { color, backgroundColor } = getComputedStyle(dialog);
    const words = { ...subject, href };
    const made = card(words, picture, { ink: color, soft: color, paper: backgroundColor });
    const text = cardText(words);
    const file = async () => save(await png(made, 1), `${subject.name}_card.png`);
    return [
        heading, imageOf(made, subject.takeaway), element("pre", { tabindex: "0" }, text),
        button("Download PNG", file, { class: "small" }), copyButton(text, dialog, "Copy caption"),
    ];
}

function copyButton(text, dialog, name = "Copy") {
    const copy = button(name, async () => {
        setText(copy, (await copyText(text, dialog)) ? "Copied" : "Select the text and copy it");
    }, { class: "small" });
    return copy;
}

const LOCAL = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

/** The link to this page with this query or hash; `network` is where others reach its server, "" if they cannot. */
export function linkOf({ query = "", hash = "" }, network = "") {
    const path = location.pathname;
    const text = (query && `?${query}`) + hash;
    if (location.protocol === "file:") {
        const name = path.split("/").at(-1);
        const note = "The page is a file of this computer: send the file, and what follows the # sets it up.";
        return { href: `${location.href.split(/[?#]/)[0]}${text}`, note, embed: `${name}${text}` };
    }
    const local = LOCAL.test(location.hostname);
    const root = local && network ? network : location.origin;
    const framed = new URLSearchParams(query);
    if (!hash) framed.set("embed", "true");
    const frame = framed.toString();
    return {
        href: `${root}${path}${text}`,
        embed: `${root}${path}${frame && `?${frame}`}${hash}`,
        note: local
            ? network
                ? "It has this computer's address on its network: others there can open it."
                : "It opens on this computer alone. For others start it with: pgce explore --address 0.0.0.0"
            : "",
    };
}
