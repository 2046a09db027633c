// A cell of Python that computes the numbers of the picture with the library.

const UNSEEN = 'np.seterr(divide="ignore")  # log 0: a token of frequency 0 has no probability\n';

export function pythonOf(state, numbers) {
    const { beta, lambda_head, lambda_tail, form } = state;
    const unseen = state.start === "labels" && state.labels.includes(0);
    const logits = state.start === "labels" ? "np.log(labels)" : "np.zeros(len(labels))";
    const end = numbers.end
        ? "end = stationary_policy(labels, shaping)\n"
        : "end = None  # stationary_policy raises ValueError for this reward\n";
    const distance = numbers.end
        ? 'print("distance to the end (total variation)", np.abs(policy - end).sum() / 2)\n'
        : "";
    return `import numpy as np

from pgce_mini import RewardShaping, policy_flow, stationary_policy
from pgce_mini.theory import entropy, expected_gradient, expected_reward

${pythonHead(state)}
shaping = RewardShaping(
    beta=${beta}, lambda_head=${lambda_head}, lambda_tail=${lambda_tail}, top_k=${state.top_k}, form="${form}"
)

${unseen ? UNSEEN : ""}logits = ${logits}
policy = policy_flow(logits, labels, shaping, steps=${state.steps}, lr=${state.lr})[-1]
cross_entropy = policy_flow(logits, labels, RewardShaping(), steps=${state.steps}, lr=${state.lr})[-1]
push = -expected_gradient(np.log(policy), labels, shaping)
${end}
print("entropy (nats)", entropy(policy))
print("mean reward", expected_reward(np.log(policy), labels, shaping))
print("mass of the head", np.sort(policy)[::-1][: shaping.top_k].sum())
${distance}for row in zip(tokens, labels, policy, push, strict=True):
    print(*row)
`;
}

/** The tokens and their frequencies. */
export const pythonHead = ({ tokens, labels }) => `tokens = [
${lines(tokens.map(pythonLiteral))}
]
labels = np.array([
${lines(labels)}
])`;

/** Values between commas, in lines of a width that can be read. */
function lines(values) {
    const rows = [""];
    for (const value of values) {
        if (rows.at(-1).length > 80) rows.push("");
        rows[rows.length - 1] += ` ${value},`;
    }
    return rows.map((row) => `   ${row}`).join("\n");
}

/** A string as Python reads it: JSON's escapes are Python's, but half of a surrogate pair is no text that it can print. */
export const pythonLiteral = (text) => JSON.stringify(text.replace(/\p{Cs}/gu, "\ufffd"));
