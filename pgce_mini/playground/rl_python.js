// A cell of Python that runs RL from every start with the library.

import { pythonHead, pythonLiteral } from "./python.js";

export function rlPythonOf(state, { lines, right }) {
    const { temperature, form, seed, group_size, rl_lr, rl_steps, scale_rewards, rl_update } = state;
    const isYours = lines.some(({ name }) => name === "yours");
    const run = rl_update === "sampled" ? "group_run" : "expected_group_run";
    const seeded = rl_update === "sampled" ? ` seed=${seed},` : "";
    const policies = rl_update === "sampled" ? "run.policies" : "run";
    const silent = rl_update === "sampled" ? ', "groups that pushed nothing", (~run.teaches).sum()' : "";
    const yours = isYours ? `    "yours": ${yoursOf(state)},\n` : "";
    return `import numpy as np

from pgce_mini import PAPER_ARMS, RewardShaping, policy_flow, stationary_policy
from pgce_mini.theory import entropy, ${run}, right_in_k, tempered

${pythonHead(state)}
right = [${state.right}]  # ${state.right.map((row) => pythonLiteral(state.tokens[row])).join(", ")}
arms = {name: RewardShaping(PAPER_ARMS[name].beta, form="${form}") for name in ("precision", "diversity")}
starts = {
    "ce": labels,
    **{name: stationary_policy(labels, arm) for name, arm in arms.items()},
    "temperature": tempered(labels, ${temperature}),
${yours}}
np.seterr(divide="ignore")  # log 0: a token of probability 0
results = {}
for name, start in starts.items():
    run = ${run}(
        np.log(start), right, group_size=${group_size}, steps=${rl_steps}, lr=${rl_lr},${seeded} scale_rewards="${scale_rewards}"
    )
    results[name] = ${policies}[:, right].sum(-1)  # the probability of being right, after each step
    before, now = results[name][[0, -1]]
    print(name, "right", before, "->", now, "Pass@${state.pass_k}", right_in_k(now, ${state.pass_k}))
    print("  entropy (nats)", entropy(${policies}[-1])${silent})
`;
}

function yoursOf({ start, steps, lr, beta, lambda_head, lambda_tail, top_k, form }) {
    const logits = start === "labels" ? "np.log(labels)" : "np.zeros(len(labels))";
    const shaping = `RewardShaping(${beta}, ${lambda_head}, ${lambda_tail}, ${top_k}, "${form}")`;
    return `policy_flow(${logits}, labels, ${shaping}, ${steps}, ${lr})[-1]`;
}
