// All that computes, in a worker or, where a page may have none, in the page: messages in, messages out.
//
//   in   { kind: "model", name, bytes }                                       a file to read
//        { kind: "ask", id, names, prompt, temperature, beta, seed }          read a prompt, write on
//        { kind: "quiet" }                                                    write no further
//        { kind: "train", name, beta, steps, seed }  { kind: "stop" }         pre-train a model on chain sums
//   out  { kind: "next", read, tokens, arms: [{ probs, own, entropy }] }      the next token, of the models in order,
//                                                                            after the prompt as it was read
//        { kind: "wrote", pieces: [{ arm, sample, token, prob }] }            a token more of each text
//        { kind: "written" }                                                  all texts have ended
//        { kind: "refused", sentence }                                        the prompt cannot be read
//        { kind: "step", step, crossEntropy, entropy }  { kind: "trained" }   see training.js
//
// An answer to "ask" has its id, and begins with "next" or "refused". A newer question ends the one before. A training
// waits while texts are written.

import { entropy } from "./dynamics.js";
import { MAX_CHARACTERS, SAMPLES, SHOWN, TASKS } from "./of_models.js";
import { makeModel } from "./gpt.js";
import { uniforms } from "./group_rl.js";
import { draw, drawnFrom, expected, Reader } from "./reading.js";
import { readSafetensors } from "./safetensors.js";
import { bytePairTokens, taskTokens } from "./tokens.js";
import { train } from "./training.js";

const EOS = 1;

/** Lets messages that have come in be heard. */
const pause = () =>
    new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
            port1.close();
            resolve();
        };
        port2.postMessage(null);
    });

/** In a worker. */
export function serve(scope) {
    const receive = makeEngine((message) => scope.postMessage(message));
    scope.onmessage = ({ data }) => receive(data);
    scope.postMessage({ kind: "here" });
}

/** receive(message) for messages in; `post` is called with those out. */
export function makeEngine(post) {
    const models = new Map(); // name -> { task, tokens, reader }
    let asked = 0; // the id of the question that is being answered, 0 for none
    let trained = 0;

    function addModel(name, task, model, learnt) {
        const tokens = task.vocab ? taskTokens(task) : bytePairTokens(learnt.tokens);
        models.set(name, { task, tokens, reader: new Reader(model, task.longest) });
    }

    async function ask({ id, names, prompt, seed, ...settings }) {
        asked = id;
        const answer = (message) => post({ id, ...message });
        const asking = names.map((name) => models.get(name));
        const [{ task, tokens }] = asking;
        let ids;
        try {
            ids = readPrompt(task, tokens, prompt);
        } catch (error) {
            asked = 0;
            return answer({ kind: "refused", sentence: error.message });
        }
        const own = asking.map(({ reader }) => expected(reader.read(ids)));
        const drawn = own.map((probs) => drawnFrom(probs, settings));
        const read = task.vocab ? ids.map((id) => tokens.vocab[id]).join(" ") : prompt; // its spaces may be left out
        answer({ kind: "next", read, ...nextTokens(tokens.vocab, own, drawn) });
        const length = Math.min(task.written, task.longest - ids.length);
        let texts = asking.flatMap(({ reader }, arm) =>
            Array.from({ length: SAMPLES }, (_, sample) => ({
                arm, sample, own: own[arm], drawn: drawn[arm], write: reader.writer(),
                numbers: uniforms(seed + sample, length),
            })),
        );
        for (let step = 0; step < length && texts.length; step++) {
            const pieces = texts.map((text) => {
                const next = draw(text.drawn, text.numbers[step]);
                return { arm: text.arm, sample: text.sample, token: tokens.vocab[next], prob: text.own[next], next };
            });
            answer({ kind: "wrote", pieces });
            if (step + 1 === length) break;
            texts.forEach((text, i) => (text.next = pieces[i].next));
            texts = texts.filter(({ next }) => !(task.vocab && next === EOS));
            for (const text of texts) {
                await pause();
                if (id !== asked) return;
                text.own = expected(text.write(text.next));
                text.drawn = drawnFrom(text.own, settings);
            }
        }
        asked = 0;
        answer({ kind: "written" });
    }

    const answers = {
        model({ name, bytes }) {
            const { tensors, header } = readSafetensors(bytes);
            addModel(name, TASKS[header.corpus.name], makeModel(header.model, tensors), header.learnt);
        },
        ask,
        quiet: () => (asked = 0),
        async train(settings) {
            const mine = ++trained;
            const model = await train(settings, post, async () => {
                do await pause();
                while (asked && mine === trained);
                return mine === trained;
            });
            addModel(settings.name, TASKS["chain-sum"], model);
            post({ kind: "trained" });
        },
        stop: () => trained++,
    };
    return (message) => answers[message.kind](message);
}

/** The ids of a prompt; an Error has a sentence for the one who typed it. */
function readPrompt(task, tokens, prompt) {
    const refuse = (sentence) => {
        throw new Error(sentence);
    };
    if (prompt.length > MAX_CHARACTERS)
        refuse(`The prompt has ${prompt.length} characters, and at most ${MAX_CHARACTERS} are read: shorten it.`);
    const ids = tokens.encode(prompt);
    if (!ids.length) refuse("The prompt is empty: write at least one token.");
    const room = task.longest - task.room;
    if (ids.length > room)
        refuse(`The prompt has ${ids.length} tokens, and at most ${room} leave room to write on: shorten it.`);
    return ids;
}

/** The tokens that matter most to any model, and what each model gives them; drawn: what its texts are drawn from. */
function nextTokens(vocab, own, drawn) {
    const largest = vocab.map((_, id) => Math.max(...own.map((probs) => probs[id])));
    const ids = [...largest.keys()].sort((a, b) => largest[b] - largest[a]).slice(0, SHOWN);
    const shown = (probs) => ids.map((id) => probs[id]);
    const arms = own.map((probs, arm) => ({
        probs: shown(drawn[arm]), own: shown(probs), entropy: entropy(drawn[arm]),
    }));
    return { tokens: ids.map((id) => vocab[id]), arms };
}
