"""What a single token earns: the generalised reward of next-token prediction.

A language model is a policy: the state s is the prefix, the action a is the next token and pi(.|s) the
softmax of the logits. Cross-entropy is the policy gradient of the reward 1/pi(x) for the true token x and
zero for every other token; `RewardShaping` changes that reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from pgce_mini.checks import check_choice, check_finite, check_whole, plain_numbers

Form = Literal["product", "exponent"]

MIN_COMPLEMENT = 1e-6  # least value of 1 - pi(x) inside a weight, so that a negative beta stays finite
BETAS = (-6.0, 100.0)  # beyond, a weight of the product form overflows single precision, or nearly all are 0
MOST_LOG_WEIGHT = 700.0  # of the exponent form with beta below -1: exp overflows a double a little above,
MOST_LOG_WEIGHT_SINGLE = 80.0  # and single precision at 88
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
MOST_LAMBDA = 1e6  # of either sign: sums of squares stay finite in single precision


@dataclass(frozen=True)
class RewardShaping:
    """The reward r(s, a) of a token, held constant under the gradient.

        a = x,  form "product":   (1 / pi(x)) * (1 - pi(x))^beta          (paper Eq. 11, first version)
        a = x,  form "exponent":  (1 / pi(x)) ^ ((1 - pi(x))^beta)        (paper Eq. 11, later version)
        a != x:                   lambda_head if a is among the top_k most likely tokens,
                                  lambda_tail otherwise                    (paper Eq. 12)

    `beta < 0` rewards the true token more and lowers entropy (precision), `beta > 0` raises it (diversity).
    beta = lambda_head = lambda_tail = 0 is cross-entropy (paper Eq. 10) in either form.
    `top_k` above the vocabulary means the whole vocabulary.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    beta: float = 0.0
    """exponent of 1 - pi(x): below 0 precision, above 0 diversity"""
    lambda_head: float = 0.0
    """reward of a wrong token in the head"""
    lambda_tail: float = 0.0
    """reward of a wrong token in the tail"""
    top_k: int = 100
    """tokens in the head"""
    form: Form = "product"
    """which reading of Eq. 11"""

    def __post_init__(self) -> None:
        plain_numbers(self)
        check_finite("beta", self.beta, *BETAS)
        for name in ("lambda_head", "lambda_tail"):
            check_finite(name, getattr(self, name), -MOST_LAMBDA, MOST_LAMBDA)
        check_whole("top_k", self.top_k, 1)
        check_choice("form", self.form, get_args(Form))


PAPER_ARMS: dict[str, RewardShaping] = {
    "ce": RewardShaping(),
    "precision": RewardShaping(beta=-0.25),
    "diversity": RewardShaping(beta=0.5),
    "tail-penalty": RewardShaping(lambda_tail=-0.1, top_k=100),
    "head-reward": RewardShaping(lambda_head=0.1, top_k=100),
}
"""The five arms of the paper: cross-entropy, two values of beta, one lambda_tail and one lambda_head."""


def true_token_weight(log_prob: Tensor, shaping: RewardShaping) -> Tensor:
    """pi(x) * r(s, x), the weight on grad log pi(x), from log pi(x).

    It is 1 for cross-entropy. Computed from the logarithm it is exact where pi(x) rounds to 0 or 1. In the
    exponent form with beta below -1 it is at most e^80, or e^700 in double precision.

    Shapes:
        log_prob: (...), floating point, at most 0 -> (...)

    Source: paper Eq. 11 times pi(x); ours in logarithms.
    """
    scale = (-torch.expm1(log_prob)).clamp_min(MIN_COMPLEMENT).pow(shaping.beta)  # (1 - pi)^beta
    if shaping.form == "product":
        return scale
    most = MOST_LOG_WEIGHT if log_prob.dtype == torch.float64 else MOST_LOG_WEIGHT_SINGLE
    log_weight = (log_prob * (1 - scale)).clamp_max(most)
    return torch.where(scale == 1, 1.0, log_weight.exp())  # not 0 * -inf where pi(x) = 0


def token_rewards(probs: Tensor, target: Tensor, shaping: RewardShaping) -> Tensor:
    """The reward of every token of the vocabulary, detached: a reward carries no gradient.

    The head is the `top_k` most likely tokens, ties broken as `torch.topk` breaks them; the true token earns
    its own reward, in the head or not. Where pi(x) = 0 its reward is infinite (the *weight* pi(x) * r, which the
    loss uses, stays finite).

    Shapes:
        probs: (..., V), each row a distribution; target: (...) with ids in [0, V) -> (..., V)

    Raises:
        ValueError: the shapes do not belong together, or an id is out of range or no whole number.

    Source: paper Eq. 11 and 12.
    """
    if probs.shape[:-1] != target.shape or probs.dim() == 0:
        raise ValueError(
            f"probs (..., V) and target (...) must agree but for V: "
            f"got {tuple(probs.shape)} and {tuple(target.shape)}"
        )
    if target.dtype not in INTEGERS:
        raise ValueError(f"target must hold ids, whole numbers, got {target.dtype}")
    target, vocab_size = target.long(), probs.shape[-1]
    if target.numel() and (int(target.min()) < 0 or int(target.max()) >= vocab_size):
        raise ValueError(f"target must hold ids in [0, {vocab_size}), got {target.min()} to {target.max()}")
    probs = probs.detach()
    head = probs.topk(min(shaping.top_k, vocab_size), dim=-1).indices  # (..., k)
    rewards = torch.full_like(probs, shaping.lambda_tail).scatter_(-1, head, shaping.lambda_head)
    index = target.unsqueeze(-1)  # (..., 1)
    prob = probs.gather(-1, index)
    return rewards.scatter_(-1, index, true_token_weight(prob.log(), shaping) / prob)
