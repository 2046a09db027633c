"""How several models read one prompt and go on, drawn with the same random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pgce_mini.checks import check_seed, check_temperature, check_whole
from pgce_mini.evaluation import token_entropy
from pgce_mini.gpt.stack import Stack
from pgce_mini.tasks import Corpus, Task
from pgce_mini.tasks.base import EOS_ID, PAD_ID
from pgce_mini.teaching.reading import NextToken, Reading, head_mass

SHOWN = 10  # next tokens in the picture
WRITTEN = 40  # tokens to write, at most
SAMPLES = 2  # completions of each arm
# Of a written token, from which probability on: stronger ground and thicker line the less likely it is, so that it
# is seen without colour, too.
LEVELS = ((0.5, "0.5 or more"), (0.1, "0.1 to 0.5"), (0.01, "0.01 to 0.1"), (0.0, "below 0.01"))
PROMPTS = {
    "text": {p: p for p in ("If the expression", "See also:", "is not", "The following", "for x in")},
    "chain-sum": {
        "a sum": "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 =",
        "always reasoned": "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 ≡",
        "half an answer": "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 = 3 4 8",
        "an easy one": "0 + 0 + 0 + 1 + 0 + 0 + 0 + 2 =",
    },
    "countdown": {
        "13 from 2 3 7": "2 3 7 -> 13 :",
        "30 from 5 5 5": "5 5 5 -> 30 :",
        "64 from 9 8 1": "9 8 1 -> 64 :",
    },
}
ABOUT = {
    "text": "Trained on Python's own reference manual, in 1,024 byte pairs; the head is the paper's, k = 100.",
    "chain-sum": "Trained on sums of eight numbers; every total is one token. After “=” a fifth of the documents "
    "write the running totals, “#” and the answer, the others guess at once; after “≡” all reason. Head: k = 6.",
    "countdown": "Trained to reach the number after “->” from those before it, from left to right. Head: k = 8.",
}
OTHERS = "(others)"  # the row of what is not shown

Read = tuple[NextToken, list[Reading]]
"""What a model expects after the prompt, and its completions."""


def read_side_by_side(
    stack: Stack,
    corpus: Corpus,
    prompt: Sequence[int],
    max_completion_length: int,
    *,
    samples: int,
    temperature: float,
    top_k: int,
    seed: int,
) -> list[Read]:
    """For each model what `next_token` gives, and `samples` times what `read_on` gives, with the seeds `seed`,
    `seed + 1` ... for all models. So a completion changes from model to model only where their probabilities do.

    Raises:
        ValueError: naming the argument.
    """
    samples, top_k = check_whole("samples", samples, 1), check_whole("top_k", top_k, 1)
    length = check_whole("max_completion_length", max_completion_length, 1)
    temperature = check_temperature(temperature, or_zero=True)
    seed = check_seed(seed)
    uniforms = torch.stack([
        torch.rand(length, generator=torch.Generator().manual_seed(check_seed(seed + i))) for i in range(samples)
    ])  # fmt: skip
    eos_id = EOS_ID if isinstance(corpus, Task) else PAD_ID
    read, written, drawn_from = stack.write(prompt, uniforms, temperature=temperature, eos_id=eos_id)
    models, size = len(read), read.shape[-1]
    before = read[:, None, :-1].expand(-1, samples, -1, -1)  # (M, n, T - 1, V) the prompt, the same for all
    logits = torch.cat([before, drawn_from], 2)  # (M, n, T - 1 + L, V)
    ids = torch.cat([torch.tensor(list(prompt)).expand(models, samples, -1), written], 2)  # (M, n, T + L)
    probs = logits.softmax(-1)
    own = probs.gather(-1, ids[..., 1:, None])[..., 0].tolist()
    entropy = token_entropy(logits.reshape(-1, size)).view(ids[..., 1:].shape).tolist()
    head = head_mass(probs, top_k).tolist()
    after = read[:, -1]
    expected = zip(after.softmax(-1), token_entropy(after).tolist(), strict=True)
    ended = written == eos_id
    counts = torch.where(ended.any(-1), ended.int().argmax(-1) + 1, written.shape[-1]).tolist()

    def reading(m: int, i: int) -> Reading:
        last = len(prompt) + counts[m][i]
        return Reading(
            ids[m, i, :last].tolist(), counts[m][i], own[m][i][: last - 1], entropy[m][i][: last - 1],
            head[m][i][: last - 1],
        )  # fmt: skip

    return [
        (NextToken(next_probs, nats, head_mass(next_probs, top_k).item()), [reading(m, i) for i in range(samples)])
        for m, (next_probs, nats) in enumerate(expected)
    ]


def as_one_state(prompt: str, names: Mapping[int, str], distributions: Mapping[str, Tensor]) -> dict[str, Any]:
    """`prompt`, `tokens`, `labels` and `marks` for the playground (`given_query`): the tokens of `names`, and all
    others as one. The frequencies are those of `ce`; each distribution is (V).

    One row for all others is exact for beta as long as each of them is unlikely: (1 - pi)^beta is then 1.
    """
    shown = list(names)
    rows = {
        name: torch.cat([probs[shown], (1 - probs[shown].sum()).clamp_min(0)[None]]).double()
        for name, probs in distributions.items()
    }
    marks = {name: (probs / probs.sum()).tolist() for name, probs in rows.items()}
    alike = {name for name in names.values() if [*names.values()].count(name) > 1}  # long ones that were cut off
    tokens = [f"{name} ({token})" if name in alike else name for token, name in names.items()]
    return {"prompt": prompt, "tokens": [*tokens, OTHERS], "labels": marks["ce"], "marks": marks}
