"""Losses of other papers that, like the shaped loss, change what a token earns: controls beside it.

Two of them, MaxRL's and Direct Coverage, only weight grad log p of the true token by a function w of its
probability p. They are computed as -sg(w(p)) log p, whose gradient is exact and whose *value* is a surrogate.
GEM pushes the other tokens by a second distribution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgce_mini.loss.rows import accumulation_dtype
from pgce_mini.reward import MIN_COMPLEMENT

SURELY_SMALL = -80.0  # log p below which the weight of Direct Coverage is 1 in every dtype


def maxrl_loss(input: Tensor, target: Tensor, order: float) -> Tensor:
    """-sg(1 - (1 - p)^T) log p for each position, with T the order: the gradient of sum_{k <= T} (1 - p)^k / k.

    T = 1 is dynamic fine-tuning (Wu et al. 2025, arXiv 2508.05629: the weight p), T -> infinity cross-entropy. In
    the paper p is the probability that a whole answer is right and T a whole number; here p is that of the true
    token and T any number above 0.

    Shapes:
        input: (N, V) finite logits; target: (N) of ids -> (N), nats (a surrogate), in fp32 for 16-bit logits

    Source: Tajwar et al. 2026 (arXiv 2602.02710), the Maclaurin series of log p, cut after T terms.
    """
    log_prob = true_log_prob(input, target)
    with torch.no_grad():
        weight = -torch.expm1(order * _log_complement(log_prob))
    return -weight * log_prob


def coverage_loss(input: Tensor, target: Tensor, samples: float) -> Tensor:
    """The gradient of -log(1 - (1 - p)^N), N the samples, of which one should be the true token.

    Its weight on grad log p is N p (1 - p)^(N - 1) / (1 - (1 - p)^N), where 1 - p is clamped at 1e-6. N = 1 is
    cross-entropy. For N > 1 the weight falls to 0 as p grows, which limits confidence; for N < 1 (ours) it rises.

    Shapes:
        input: (N, V) logits; target: (N) of ids -> (N), nats (a surrogate), in fp32 for 16-bit logits

    Source: Chen et al. 2025 (arXiv 2502.07154), Direct Coverage Optimization, here of one token.
    """
    log_prob = true_log_prob(input, target)
    with torch.no_grad():
        log_p = log_prob.clamp_min(SURELY_SMALL)  # not 0 / 0 where p underflows
        log_complement = _log_complement(log_p).clamp_min(math.log(MIN_COMPLEMENT))
        power = samples * log_complement  # log (1 - p)^N
        weight = samples * torch.exp(log_p + power - log_complement) / -torch.expm1(power)
    return -weight * log_prob


def gem_loss(input: Tensor, target: Tensor, beta: float) -> Tensor:
    """sum_a sg(q_a) log pi_a - log pi(x) for each position, with q = softmax(z / beta).

    Its gradient is dL/dz = q - onehot(x), beta times that of cross-entropy on z / beta (ours). So q learns the
    data, and pi ends at data^beta: beta = 1 is cross-entropy, below (the paper's 0.7) flatter, above sharper.

    Shapes:
        input: (N, V) finite logits; target: (N) of ids -> (N), nats (a surrogate), in fp32 for 16-bit logits

    Source: Li et al. 2025 (arXiv 2408.16673), GEM with the linear h. Their default h, a log-sigmoid of 0.01 times
    the difference of two logits, weights all tokens nearly alike.
    """
    dtype = accumulation_dtype(input)
    log_probs = input.log_softmax(-1, dtype)  # (N, V)
    second = (input.detach().to(dtype) / beta).softmax(-1)  # (N, V)
    return (second * log_probs).sum(-1) - log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)


def true_log_prob(logits: Tensor, target: Tensor) -> Tensor:
    """log p of each true token: (N, V), (N) -> (N), in fp32 for 16-bit logits"""
    log_probs = logits.log_softmax(-1, accumulation_dtype(logits))
    return log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)


def _log_complement(log_prob: Tensor) -> Tensor:
    """log(1 - p) from log p, exact where p is near 0 and where it is near 1."""
    return torch.where(log_prob > -0.5, torch.log(-torch.expm1(log_prob)), torch.log1p(-torch.exp(log_prob)))
