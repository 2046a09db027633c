"""Focal loss, a control: the factor that the paper compares (1 - pi)^beta with, and its full gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from pgce_mini.loss.family import true_log_prob
from pgce_mini.reward import MIN_COMPLEMENT


def focal_loss(input: Tensor, target: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^gamma log p for each position, with p the probability of the true token.

    Unlike in the shaped loss, the factor is not constant under the gradient, so there is a second term:

        dL/dz_a = ((1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p) (pi_a - 1(a = x))

    1 - p is clamped at 1e-6; below, the factor has no gradient.

    Shapes:
        input: (N, V) finite logits; target: (N) of ids -> (N), nats, in fp32 for 16-bit logits

    Source: Lin et al. 2017 (arXiv 1708.02002), Eq. 4.
    """
    log_prob = true_log_prob(input, target)  # (N)
    complement = (-torch.expm1(log_prob)).clamp_min(MIN_COMPLEMENT)  # 1 - p
    return -complement.pow(gamma) * log_prob
