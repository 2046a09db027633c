// The numbers of RL on one state. All of them follow from the state and from the policy of pre-training.

import { entropy, stationaryPolicy, sum, tempered } from "./dynamics.js";
import { ARMS } from "./from_python.js";
import { expectedGroupPush, expectedGroupRun, groupPush, groupRun } from "./group_rl.js";
import { remembered } from "./numbers.js";
import { CHOICES, MOST_RL } from "./state.js";

/**
 * derive(state, policy) gives the numbers; `policy` is the start "yours", once pre-training has steps. Each start is run
 * to its last step when a setting changes, so that a frame while RL plays computes nothing of it.
 */
export function rlDeriver() {
    const ofEach = (compute) => Object.fromEntries(CHOICES.rl_start.map((name) => [name, remembered(compute)]));
    const [sampled, expected] = [ofEach(sampledRun), ofEach(expectedRun)];
    const ends = { precision: remembered(endUnder), diversity: remembered(endUnder) };
    return (state, policy) => {
        const { labels, form, rl_steps: step, rl_update } = state;
        const right = labels.map((_, a) => state.right.includes(a));
        const settings = {
            size: state.group_size, lr: state.rl_lr, seed: state.seed, scaleRewards: state.scale_rewards,
            steps: MOST_RL + 1, // the group that is shown is the one that comes next
        };
        const starts = {
            ce: labels,
            precision: ends.precision(labels, form, ARMS.precision),
            diversity: ends.diversity(labels, form, ARMS.diversity),
            temperature: tempered(labels, state.temperature),
            yours: state.steps > 0 ? policy : null,
        };
        const isSampled = rl_update === "sampled";
        const lines = Object.keys(starts).filter((name) => starts[name]).map((name) => {
            const run = (isSampled ? sampled : expected)[name](starts[name], right, settings);
            const silent = run.teaches.slice(0, step).filter((teaches) => !teaches).length;
            const barren = run.tokens.slice(0, step).filter((group) => !group.some((a) => right[a])).length;
            return { name, ...run, silent, barren };
        });
        const shown = lines.find(({ name }) => name === state.rl_start) ?? lines[0];
        const now = shown.policies[step];
        const expectedPush = expectedGroupPush(now, right, settings.size, settings.scaleRewards);
        const group = isSampled ? shown.tokens[step] : [];
        return {
            right, lines, step, isSampled, group, expectedPush,
            shownExpected: isSampled ? expected[shown.name](starts[shown.name], right, settings) : null,
            policy: now,
            before: shown.policies[0],
            push: isSampled ? groupPush(group, right, settings.scaleRewards) : expectedPush,
        };
    };
}

const endUnder = (labels, form, arm) => stationaryPolicy(labels, { ...arm, form, top_k: 1 }).policy;

/** RL from a start, to its last step, as groups are drawn. */
function sampledRun(start, right, settings) {
    const run = groupRun(start.map(Math.log), right, settings);
    return { ...run, ...measured(run.policies, right) };
}

/** The same in expectation, where no group is drawn. */
function expectedRun(start, right, settings) {
    const policies = expectedGroupRun(start.map(Math.log), right, settings);
    return { policies, tokens: [], teaches: [], ...measured(policies, right) };
}

const measured = (policies, right) => ({
    mass: policies.map((policy) => sum(policy.filter((_, a) => right[a]))), // the probability of being right
    nats: policies.map(entropy),
});
