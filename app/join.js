// Where a class joins, in letters and as a code for cameras that the back of a room can read.

import { element } from "./dom.js";
import { linkOf, qrImage } from "./share.js";

export default function Join({ data, parentElement }) {
    const place = parentElement.querySelector(".join");
    const { href, note } = linkOf({ query: new URLSearchParams({ code: data.code }).toString() }, data.network);
    if (place.dataset.href === href) return;
    place.dataset.href = href;
    place.replaceChildren(
        qrImage(href), element("p", { class: "address" }, href.split("?")[0]),
        element("p", { class: "code" }, data.code), element("p", { class: "note" }, data.network ? "" : note),
    );
}
