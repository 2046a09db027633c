"""Entropy of tokens and completions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from echo import entropy_of, real_model

from pgce_mini.evaluation import completion_entropy, token_entropy
from pgce_mini.tasks import EOS_ID


def test_token_entropy_is_the_sum_of_p_log_p_even_where_p_is_zero() -> None:
    logits = torch.randn(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits[0, 0, 1:] = -math.inf
    logits[0, 1] = 0
    entropy = token_entropy(logits)
    assert entropy.shape == (3, 4)
    assert entropy[0, 0] == 0
    assert entropy[0, 1].item() == pytest.approx(math.log(5))
    brute = [entropy_of(row) for row in logits.softmax(-1).flatten(0, 1)]
    np.testing.assert_allclose(entropy.flatten(), brute, atol=1e-14)


def test_padding_changes_no_entropy_of_the_real_model() -> None:
    gpt = real_model()
    prompts = [[6, 2, 7, 3], [9, 3], [6, 2, 6, 2, 8, 3]]
    completions = [[5, 9, EOS_ID], [7, 8, 9, 10, 5, 10, EOS_ID], [EOS_ID]]
    together = completion_entropy(gpt, prompts, completions, temperature=0.7)
    for prompt, completion, entropy in zip(prompts, completions, together, strict=True):
        logits = gpt(torch.tensor([prompt + completion]))[0, len(prompt) - 1 : -1].double()
        brute = [entropy_of(row) for row in (logits / 0.7).softmax(-1)]
        np.testing.assert_allclose(entropy, brute, atol=1e-5)
