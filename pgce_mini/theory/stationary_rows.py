"""`stationary_policy` of many states at once, in torch: of every next-token distribution of a model.

With q = softmax(logits) all tokens have q > 0, and at rest all earn the same W (see `dynamics`):

    log pi_a + log(W - (1 - q_a) lambda_a) = log q_a + log omega(pi_a),        sum_a pi_a = 1.

Newton's method on log W and the log pi of all tokens but the likeliest, which gets what they leave: its reward
alone may rise as pi nears 1 (beta < 0), and this elimination never divides by its slope. A row that is not solved
so goes to `stationary_policy`. Source: ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgce_mini.reward import MIN_COMPLEMENT, RewardShaping, true_token_weight
from pgce_mini.theory.dynamics import RESIDUAL_TOLERANCE, stationary_policy

STEPS = 60  # of Newton's method; about ten are usual
LONGEST_STEP = 3.0  # of a log-probability
LEAST_PROBABILITY = torch.finfo(torch.float64).tiny  # its logarithm stays finite


@torch.no_grad()
def stationary_logits(logits: Tensor, shaping: RewardShaping) -> Tensor:
    """The log-probabilities at which training with `shaping` ends, for each q = softmax(logits).

    Shapes:
        logits: (..., V), no gradient -> (..., V), of their type and on their device

    Raises:
        ValueError: a logit is no finite number; as `stationary_policy`.
    """
    if not logits.isfinite().all():
        raise ValueError("logits must be finite numbers")
    if not (shaping.beta or shaping.lambda_head or shaping.lambda_tail):
        return logits.log_softmax(-1)
    log_q = logits.reshape(-1, logits.shape[-1]).to("cpu", torch.float64).log_softmax(-1)  # (N, V)
    log_probs, solved = log_q, torch.zeros(len(log_q), dtype=torch.bool)
    if shaping.beta > -1:
        log_probs, solved = _newton(log_q, shaping)
    for row in (~solved).nonzero().squeeze(1).tolist():
        exact = torch.from_numpy(stationary_policy(log_q[row].exp().numpy(), shaping))
        log_probs[row] = exact.clamp_min(LEAST_PROBABILITY).log()
    return log_probs.reshape(logits.shape).to(logits)


def _newton(log_q: Tensor, shaping: RewardShaping) -> tuple[Tensor, Tensor]:
    """(N, V) -> the log-probabilities at rest, (N, V), and whether they are at rest, (N,)"""
    q = log_q.exp()
    as_wrong = (1 - q) * _lambdas(log_q, shaping)  # what a token earns on average where it is not the label
    floor = as_wrong.amax(-1, keepdim=True)  # W lies above; the unknown is log(W - floor)
    top = torch.zeros_like(q, dtype=torch.bool).scatter_(-1, log_q.argmax(-1, keepdim=True), True)
    log_probs = log_q.clone()
    mean_reward = (q * (true_token_weight(log_q, shaping) + as_wrong)).sum(-1, keepdim=True)
    log_margin = (mean_reward - floor).clamp_min(1e-6).log()  # (N, 1)
    for _ in range(STEPS):
        probs = log_probs.exp()
        complement = torch.where(top, probs.masked_fill(top, 0).sum(-1, keepdim=True), 1 - probs)
        margin = log_margin.exp()
        reward = margin + floor - as_wrong
        gap = log_probs + reward.log() - log_q - _log_weight(log_probs, complement, shaping)
        slope = _slope(log_probs, complement, shaping)  # d gap / d log pi
        pull = margin / reward  # d gap / d log_margin
        moved = (probs / slope).masked_fill(top, 0)
        by_gap, by_margin = ((moved * of).sum(-1, keepdim=True) for of in (gap, pull))  # (N, 1)
        tops = torch.stack([gap, slope, pull, probs], -1)[top].unsqueeze(-2)  # (N, 1, 4)
        top_gap, top_slope, top_pull, top_prob = tops.unbind(-1)
        step = -(top_gap + top_slope * by_gap / top_prob) / (top_pull + top_slope * by_margin / top_prob)
        step = step.clamp(-LONGEST_STEP, LONGEST_STEP)
        others = (log_probs - ((gap + pull * step) / slope).clamp(-LONGEST_STEP, LONGEST_STEP)).exp()
        others = others.clamp_min(LEAST_PROBABILITY).masked_fill(top, 0)
        taken = others.sum(-1, keepdim=True)
        others = others / (taken / (1 - MIN_COMPLEMENT)).clamp_min(1)  # the likeliest keeps some
        following = torch.where(top, 1 - others.sum(-1, keepdim=True), others).log()
        change = torch.maximum((following - log_probs).abs().amax(), step.abs().amax())
        log_probs, log_margin = following, log_margin + step
        if not change > 1e-10:
            break
    return log_probs, _residual(log_probs, log_q, shaping) <= RESIDUAL_TOLERANCE


def _log_weight(log_probs: Tensor, complement: Tensor, shaping: RewardShaping) -> Tensor:
    """log omega(pi), from 1 - pi too, which keeps its digits where pi nears 1. (N, V), (N, V) -> (N, V)"""
    log_complement = complement.clamp_min(MIN_COMPLEMENT).log()
    if shaping.form == "product":
        return shaping.beta * log_complement
    return -log_probs * torch.expm1(shaping.beta * log_complement)


def _slope(log_probs: Tensor, complement: Tensor, shaping: RewardShaping) -> Tensor:
    """1 - d log omega / d log pi. (N, V), (N, V) -> (N, V)"""
    odds = torch.where(complement > MIN_COMPLEMENT, log_probs.exp() / complement, 0.0)
    if shaping.form == "product":
        return 1 + shaping.beta * odds
    scale = complement.clamp_min(MIN_COMPLEMENT) ** shaping.beta
    return scale * (1 - shaping.beta * log_probs * odds)


def _lambdas(log_probs: Tensor, shaping: RewardShaping) -> Tensor:
    """The reward of each token where it is not the label; of equal tokens the first is ranked higher."""
    head = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., : shaping.top_k]
    return torch.full_like(log_probs, shaping.lambda_tail).scatter_(-1, head, shaping.lambda_head)


def _residual(log_probs: Tensor, log_q: Tensor, shaping: RewardShaping) -> Tensor:
    """The largest gradient that is left: `dynamics.expected_gradient`. (N, V), (N, V) -> (N,)"""
    q, probs = log_q.exp(), log_probs.exp()
    weights = q * true_token_weight(log_probs, shaping) + (1 - q) * probs * _lambdas(log_probs, shaping)
    left = (probs * weights.sum(-1, keepdim=True) - weights).abs().amax(-1)
    return torch.where(left.isfinite(), left, math.inf)
