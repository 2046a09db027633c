"""Judges of notebook 06, GRPO from scratch."""

from __future__ import annotations

from math import comb
from typing import Any, get_args

import torch

from pgce_mini.teaching.exercises import NotYet, call, close, exercise, numbers, require
from pgce_mini.theory import FloatArray
from pgce_mini.training import LossType, group_advantages, grpo_loss, masked_mean


@exercise("06-1")
def teaching_share(answer: Any) -> str:
    """A function (p, n) -> probability that a group of n completions, each right with p, teaches something."""
    for p, n in ((0.28, 8), (0.28, 16), (0.5, 2), (0.02, 16), (0.98, 16)):
        truth = 0.0
        for right in range(n + 1):
            rewards = torch.tensor([[1.0] * right + [0.0] * (n - right)])
            if group_advantages(rewards, "none").any():
                truth += comb(n, right) * p**right * (1 - p) ** (n - right)
        given = float(numbers(call(answer, p, n)))
        require(
            abs(given - (1 - truth)) > 1e-6 or abs(truth - 0.5) < 1e-6, "That is the share that teaches nothing."
        )
        for left_out, others in (("all-wrong", (1 - p) ** n), ("all-right", p**n)):
            require(
                abs(given - (1 - others)) > 1e-6 or abs(given - truth) < 1e-6,
                f"You leave out {left_out} groups. Which others have no variance?",
            )
        require(abs(given - truth) < 1e-6, f"At p = {p}, n = {n} you say {given:.4f}.")
    return "Large groups and problems of middling difficulty teach; the rest is what dynamic sampling replaces."


@exercise("06-2")
def clipped_loss(answer: Any) -> str:
    """A function (ratio, advantage, epsilon, epsilon_high) -> loss of one token (tensors of one shape)."""
    ratio = torch.tensor([0.5, 0.9, 1.0, 1.25, 1.5, 0.5, 0.9, 1.0, 1.25, 1.5], dtype=torch.float64)
    advantage = torch.tensor([2.0] * 5 + [-2.0] * 5, dtype=torch.float64)
    low, high = 0.2, 0.28
    given = _per_token(call(answer, ratio.clone(), advantage.clone(), low, high), "loss", len(ratio))
    truth = torch.stack([
        grpo_loss(r.log().view(1, 1), torch.zeros(1, 1), a.view(1), torch.ones(1, 1, dtype=torch.bool),
                  epsilon=low, epsilon_high=high, loss_type="dapo", max_completion_length=1)[0]
        for r, a in zip(ratio, advantage, strict=True)
    ])  # fmt: skip
    pairs = zip(given.tolist(), truth.tolist(), strict=True)
    wrong = torch.tensor([not close(loss, right, atol=1e-9) for loss, right in pairs])
    require(not close(given, -truth), "The sign: an optimizer goes down the loss.")
    require(
        not wrong[[3, 8]].any() or bool(wrong[[0, 1, 2, 5, 6, 7]].any()),
        "Only beyond the upper end it is wrong: is that end where it should be?",
    )
    require(
        not wrong[[0, 5]].any() or bool(wrong[[1, 2, 3, 4, 6, 7, 8, 9]].any()),
        "Only beyond the lower end it is wrong: is that end where it should be?",
    )
    clipped_only = -ratio.clamp(1 - low, 1 + high) * advantage
    require(
        not close(given, clipped_only),
        "A ratio that left the range against its advantage has lost its gradient: what brings it back?",
    )
    require(
        bool(wrong[:5].any()) or not wrong[5:].any(),
        "Right for good completions, wrong for bad ones: the bound must be the pessimistic one for both signs.",
    )
    first = int(wrong.int().argmax())
    require(not wrong.any(), f"Wrong at ratio {ratio[first]:g}, advantage {advantage[first]:g}.")
    return "A pessimistic bound: nothing is gained beyond the range, and mistakes can always be undone."


def _per_token(given: Any, what: str, count: int) -> FloatArray:
    """One number a token, in any sequence: (count,)"""
    try:
        return numbers(given, (count,))
    except NotYet as hint:
        raise NotYet(f"Return one {what} a token. {hint}") from None


@exercise("06-3")
def logps_at(answer: Any) -> str:
    """A function (logits (N, V), tokens (N), temperature) -> log-probabilities (N) of what was sampled."""
    logits = 2 * torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = torch.tensor([0, 1, 2, 3, 4, 0])
    rows = torch.arange(6)
    for temperature in (1.0, 0.7, 1.5):
        given = _per_token(call(answer, logits.clone(), tokens.clone(), temperature), "log-probability", 6)
        truth = torch.distributions.Categorical(logits=logits / temperature).log_prob(tokens)
        require(not close(given, truth.exp()), "These are probabilities, not their logarithms.")
        require(not close(given, -truth), "The sign: a log-probability is below 0.")
        at_one = logits.log_softmax(-1)[rows, tokens]
        if temperature != 1:
            require(not close(given, at_one), "The temperature of the sampling is not in it at all.")
            require(
                not close(given, at_one / temperature),
                "exp of it does not sum to 1 over the tokens.",
            )
        require(close(given, truth), f"Wrong at temperature {temperature}.")
    return "The ratio of the first update is 1, whatever the temperature."


@exercise("06-4")
def token_weight(answer: Any) -> str:
    """A function (lengths, loss_type, limit) -> the weight of one token of each completion in the loss, (B)."""
    limit = 12
    for lengths in ([3, 3], [3, 11], [1, 3, 11, 5]):
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]  # (B, L)
        for loss_type in get_args(LossType):
            values = torch.zeros(mask.shape, dtype=torch.float64, requires_grad=True)
            masked_mean(values, mask, loss_type, limit).backward()
            assert values.grad is not None
            truth = values.grad[:, 0].numpy()
            given = numbers(call(answer, list(lengths), loss_type, limit), (len(lengths),))
            right = bool(abs(given - truth).max() < 1e-6)  # float32 will do
            where = f"{loss_type}, lengths {lengths}:"
            proportional = close(given * truth[0], given[0] * truth)
            require(right or not proportional, f"{where} right but for a factor. Over how much is the mean?")
            require(right or loss_type != "dapo", f"{where} all tokens of the batch weigh the same.")
            require(right or loss_type != "grpo", f"{where} each *completion* weighs the same.")
            require(right, f"{where} the divisor depends on no length that was written.")
    return "Only with grpo does a token of a long completion weigh less than one of a short completion."
