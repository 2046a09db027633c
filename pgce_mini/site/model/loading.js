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
        const worker = new Worker(URL.createObjectURL(text));
        worker.onerror = (event) => {
            event.preventDefault();
            inPage();
        };
        worker.onmessage = ({ data }) => {
            if (data.kind !== "here") return receive(data);
            worker.onerror = null; // from now on an error is one of the engine, and the browser reports it
            open((...message) => worker.postMessage(...message));
        };
    } catch {
        inPage();
    }
    return (...message) => send(...message);
}

/** The bytes of a model's file in `folder`, an address; a refusal is an Error with a sentence for the reader. */
export function loadModel(folder, name) {
    return new Promise((resolve, reject) => {
        const script = element("script", { src: `${folder}${name}.js` });
        script.onerror = () => reject(new Error(`The file ${name}.js did not arrive.`));
        script.onload = () => {
            const letters = atob(self.pgceModels[name]);
            delete self.pgceModels[name];
            const bytes = new Uint8Array(letters.length);
            for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
            resolve(bytes.buffer);
        };
        document.head.append(script);
    }).finally(() => document.head.querySelector(`script[src="${folder}${name}.js"]`)?.remove());
}
