"""A task and a model so small that a training takes a second; conftest.py has a prior of them."""

from __future__ import annotations

from math import sqrt

import torch

from pgce_mini.gpt import GPT
from pgce_mini.tasks import ChainSum
from pgce_mini.training import ModelShape

TASK = ChainSum(num_operands=5, max_operand=3)
SHAPE = ModelShape(
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
    intermediate_size=32,
    max_position_embeddings=32,
)


def new_model(seed: int = 0) -> GPT:
    return GPT(SHAPE.config(TASK), torch.Generator().manual_seed(seed))


def assert_share(hits: int, of: int, expected: float) -> None:
    """Within four standard deviations of a binomial."""
    assert abs(hits / of - expected) <= 4 * sqrt(expected * (1 - expected) / of), (hits, of, expected)
