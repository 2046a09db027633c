// The page "The trap": the traces of `figures.trap_dots`, those of the prior with beta, of cross-entropy, and the bet.

import { predictChain } from "./chain.js";
import { sum } from "./dynamics.js";
import { withTraces } from "./figure.js";

const [STEP, LEAST_SLIP, REASONS] = [0.25, 0.01, 0.5]; // as in study/analysis/nearest.py
const PLAIN = "cross-entropy";

/**
 * given: null while the bet is open; else { settings, task, looks }: those that were run, what `predictChain` needs
 * besides share and slip, and the [colour, symbol] of a beta below and above 0. Where settings of cross-entropy say
 * what was `learnt`, theory starts from that of the nearest.
 */
export function moved(figure, { share, slip, beta, bet_share, bet_accuracy }, given) {
    const bet = { x: [bet_share, bet_accuracy] };
    const last = figure.data.length - 1;
    if (!given) return { figure: withTraces(figure, { [last]: bet }), takeaway: OPEN };
    const found = nearest(given.settings, share, slip, beta);
    const plain = given.settings.find((setting) => isBeside(setting, found));
    const start = plain.learnt ?? { share, slip };
    const named = [...(beta ? [[found, beta]] : []), [plain, 0]];
    const changes = { [last]: bet };
    if (!beta) for (const i of [0, 1, 2]) changes[i] = { x: [], y: [], showlegend: false };
    named.forEach(([seeds, value], place) => {
        const shift = (place - (named.length - 1) / 2) * 0.4;
        const traces = tracesOf(nameOf(value), seeds, predictChain({ ...given.task, ...start }, value), shift);
        const first = value ? 0 : 3;
        traces.forEach((trace, i) => {
            const { marker, showlegend } = figure.data[first + i];
            const [color, symbol] = value ? given.looks[value < 0 ? 0 : 1] : [marker.color, null];
            const look = value ? { color, symbol: i === 2 ? `${symbol}-open` : symbol } : {};
            changes[first + i] = { ...trace, marker: { ...marker, ...look }, showlegend };
        });
    });
    const told = named.map(([{ beta: there, reasons_after, right_after }]) => {
        const reason = reasons_after.filter((value) => value > REASONS).length;
        const accuracy = (sum(right_after) / right_after.length).toFixed(2);
        return `${reason} of ${reasons_after.length} seeds of ${nameOf(there)} came to reason (accuracy ${accuracy})`;
    });
    return {
        figure: withTraces(figure, changes),
        takeaway: `In the nearest setting that was run, after RL: ${told.join(", ")}.`,
    };
}

const OPEN = "Place your bet: what will RL make of this prior, and of cross-entropy's?";

const nameOf = (beta) => (beta ? `β = ${String(beta).replace("-", "−")}` : PLAIN);

/** The seeds of a setting before and after RL, and theory of the prior `name`, which may have another beta. */
function tracesOf(name, seeds, theory, shift) {
    const seed = `${nameOf(seeds.beta)}, a seed`;
    const points = (rows) => ({
        x: rows.flat(),
        y: rows.flatMap((row, i) => row.map(() => i + shift)),
        name: seed, legendgroup: name, hovertemplate: `%{x:.3f}<extra>${seed}</extra>`,
    });
    const { reasons, if_reasoned, if_direct, right, reasons_after, right_after } = seeds;
    const expected = [theory.reasons, theory.ifReasoned, theory.ifDirect, theory.right];
    const hovertemplate = `%{x:.3f}<extra>${name}, theory</extra>`;
    return [
        points([reasons, if_reasoned, if_direct, right]),
        points([reasons_after, right_after]),
        { x: expected, y: expected.map((_, i) => i + shift), name: `${name}, theory`, legendgroup: name, hovertemplate },
    ];
}

/** Of those whose beta has the sign of this one. */
function nearest(settings, share, slip, beta) {
    const among = settings.filter((setting) => Math.sign(setting.beta) === Math.sign(beta));
    const distance = ({ reasoned_share, slip_rate, beta: other }) => Math.hypot(
        Math.log2(reasoned_share / Math.max(share, LEAST_SLIP)),
        Math.log2(Math.max(slip_rate, LEAST_SLIP) / Math.max(slip, LEAST_SLIP)),
        (other - beta) / STEP,
    );
    const far = among.map(distance);
    return among[far.indexOf(Math.min(...far))];
}

const isBeside = (setting, { study, reasoned_share, slip_rate }) =>
    setting.beta === 0 && setting.study === study && setting.reasoned_share === reasoned_share &&
    setting.slip_rate === slip_rate;
