// How the models and the engine come to the page, by ways that are also open from a disk and under a strict
// Content-Security-Policy: a script element for a model, a worker made of the engine's own text.

import { element } from "./dom.js";

/**
 * send(message, transfer) for an engine that answers with receive(message). It runs in a worker, or in the page where a
 * worker is refused.
 */
export function startEngine(engine, receive) {
    const early = [];
    let send = (...message) => early.push(message);
    const open = (way) => {
        send = way;
        for (const message of early.splice(0)) send(...message);
    };
    const inPage = () => open(engine().makeEngine(receive));
    try {
        const text = new Blob([`(${engine})().serve(self);`], { type: "text/javascript" });
        const address = URL.createObjectURL(text);
        const worker = new Worker(address);
        worker.onerror = (event) => {
            event.preventDefault();
            URL.revokeObjectURL(address);
            inPage();
        };
        worker.onmessage = ({ data }) => {
            if (data.kind !== "here") return receive(data);
            URL.revokeObjectURL(address);
            worker.onerror = null; // from now on an error is one of the engine, and the browser reports it
            open((...message) => worker.postMessage(...message));
        };
    } catch {
        inPage();
    }
    return (...message) => send(...message);
}

/** The bytes of a model's file in `folder`, an address; a refusal is an Error with a sentence for the reader. */
export async function loadModel(folder, name) {
    const script = element("script", { src: `${folder}${name}.js` });
    await new Promise((resolve) => {
        script.onload = script.onerror = resolve;
        document.head.append(script);
    });
    script.remove();
    const text = self.pgceModels?.[name]; // a host may send a page in its place
    if (text === undefined) throw new Error(`The file ${name}.js did not arrive.`);
    delete self.pgceModels[name];
    try {
        return bytesOf(atob(text));
    } catch {
        throw new Error(`The file ${name}.js did not arrive whole.`);
    }
}

function bytesOf(letters) {
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i); // `from` is several times as slow
    return bytes.buffer;
}
