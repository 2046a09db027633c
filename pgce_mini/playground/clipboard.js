// Copying text where the page may; elsewhere (no https, a file opened by itself) in the old way.

/** Whether the text was copied. `place` is where a field may be focused: the open dialog, if there is one. */
export async function copyText(text, place = document.body) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
        Object.assign(area.style, { position: "fixed", top: "0", opacity: "0" }); // so that nothing scrolls
        const before = place.getRootNode().activeElement;
        place.append(area);
        area.select();
        const copied = document.execCommand("copy");
        area.remove();
        before?.focus();
        return copied;
    }
}
