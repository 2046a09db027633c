// Elements of HTML and SVG. What has its value already is not set again: that would cost a layout or a repaint.

// The namespace is asked for, because a page that stands alone holds no address.
const SVG = Object.assign(document.createElement("template"), { innerHTML: "<svg></svg>" }).content.firstChild
    .namespaceURI;

/** An HTML element: "onclick" and its like are listeners, true is an attribute without a value; null is left out. */
export function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (value === true) node.setAttribute(name, "");
        else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
}

export const button = (text, onclick, attributes = {}) =>
    element("button", { type: "button", onclick, ...attributes }, text);

/** An SVG element, the last one in `parent`. */
export function shape(name, attributes = {}, parent = null, text = null) {
    const node = document.createElementNS(SVG, name);
    setAttributes(node, attributes);
    if (text !== null) node.textContent = text;
    parent?.append(node);
    return node;
}

export function setAttributes(node, attributes) {
    for (const [name, value] of Object.entries(attributes))
        if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export const setVisible = (node, visible) => setAttributes(node, { visibility: visible ? "visible" : "hidden" });

export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}
