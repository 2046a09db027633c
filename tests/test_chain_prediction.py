"""The prediction for chain sums against the documents themselves and against cases solved by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.tasks import ChainSum
from pgce_mini.tasks.chain_sum import EQUALS_ID, ZERO_ID
from pgce_mini.theory import fit_chain, predict_chain

TASK = ChainSum(reasoned_share=0.3, slip_rate=0.1)


def test_cross_entropy_is_predicted_to_do_what_the_documents_do() -> None:
    prediction = predict_chain(TASK, RewardShaping())
    reasoned, right = [], {True: [], False: []}  # type: ignore[var-annotated]
    for index in range(30_000):
        ids = TASK.document(0, index, "heldout")
        end = 2 * TASK.num_operands
        if ids[end - 1] != EQUALS_ID:
            continue
        is_reasoned = ids[end] >= ZERO_ID
        total = sum(i - ZERO_ID for i in ids[: end - 1 : 2])
        reasoned.append(is_reasoned)
        right[is_reasoned].append(ids[-2] - ZERO_ID == total)
    assert prediction.reasoned_share == pytest.approx(0.3, abs=1e-6)
    assert np.mean(reasoned) == pytest.approx(0.3, abs=0.015)
    assert prediction.accuracy_if_reasoned == pytest.approx(np.mean(right[True]), abs=0.03)
    assert prediction.accuracy_if_direct == pytest.approx(np.mean(right[False]), abs=0.02)


def test_second_position_mixes_totals_and_guesses() -> None:
    sums = Counter(sum(TASK.problem(0, i, "heldout").operands) for i in range(96))
    rng = np.random.default_rng(0)
    entropies = []
    for total, count in sums.items():
        guesses = np.clip(total + np.round(rng.normal(0, 1.5, 400_000)), 0, 32)
        shares = np.unique(guesses, return_counts=True)[1] / 400_000
        entropies += [-(shares * np.log(shares)).sum()] * count
    prediction = predict_chain(TASK, RewardShaping())
    step = prediction.entropy_by_position[4]
    assert prediction.entropy_by_position[1] == pytest.approx(0.3 * step + 0.7 * np.mean(entropies), abs=2e-3)


@pytest.mark.parametrize(("num_operands", "max_operand"), [(1, 999), (2, 31), (3, 9), (4, 5), (8, 4)])
def test_entropy_is_that_of_the_decision_and_the_totals_then_there_is_certainty(
    num_operands: int, max_operand: int
) -> None:
    task = ChainSum(num_operands, max_operand, reasoned_share=0.3, direct_noise=0)  # a guess is the sum
    entropies = predict_chain(task, RewardShaping()).entropy_by_position
    totals = num_operands * max_operand + 1
    step = np.full(totals, 0.1 / totals)
    step[0] += 0.9
    entropy = -(step * np.log(step)).sum()
    decision = -0.3 * np.log(0.3) - 0.7 * np.log(0.7)
    later = [(0.3 if i < 2 else 1) * entropy for i in range(num_operands - 1)]  # a guess has two tokens after '#'
    assert len(entropies) == task.max_completion_length
    assert entropies == pytest.approx([decision + 0.3 * entropy, *later, 0, 0, 0], abs=1e-6)  # '#', the sum, EOS
    noisy = predict_chain(replace(task, direct_noise=1.5), RewardShaping()).entropy_by_position
    assert noisy[1] > entropies[1] + 0.5  # a guess stands second, whatever the number of operands
    assert (noisy[0], noisy[2:]) == (entropies[0], entropies[2:])


def test_precision_and_diversity_move_what_the_stationary_policy_moves() -> None:
    precision, ce, diversity = (predict_chain(TASK, PAPER_ARMS[arm]) for arm in ("precision", "ce", "diversity"))
    assert precision.reasoned_share < ce.reasoned_share < diversity.reasoned_share
    assert precision.accuracy_if_reasoned > ce.accuracy_if_reasoned > diversity.accuracy_if_reasoned


def test_corpus_without_slips_or_guesses_is_predicted_without_error() -> None:
    certain = predict_chain(ChainSum(reasoned_share=1, slip_rate=0, direct_noise=0), RewardShaping())
    assert certain.reasoned_share == pytest.approx(1)
    assert certain.accuracy == pytest.approx(1)
    assert sum(certain.entropy_by_position) == pytest.approx(0, abs=1e-9)


@settings(max_examples=15)
@given(st.floats(0.01, 1), st.floats(0, 0.9), st.floats(0.3, 6))
def test_fit_finds_the_rates_of_the_prior_that_it_was_given(share: float, slip: float, noise: float) -> None:
    true = replace(TASK, reasoned_share=share, slip_rate=slip, direct_noise=noise)
    found = fit_chain(*rates(true), TASK)
    assert (found.reasoned_share, found.slip_rate) == pytest.approx((share, slip), abs=1e-6)
    assert found.direct_noise == pytest.approx(noise, abs=1e-4)


def test_fit_by_hand() -> None:
    # Two operands, totals 0 to 62: a right total stays right with probability 1 - 0.3 + 0.3 / 63, twice.
    task = ChainSum(num_operands=2, max_operand=31)
    stays, returns = 0.7 + 0.3 / 63, 0.3 / 63
    found = fit_chain(0.4, stays**2 + (1 - stays) * returns, 1, task)
    assert (found.reasoned_share, found.slip_rate, found.direct_noise) == pytest.approx((0.4, 0.3, 0))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((1.2, 0.5, 0.5), "reasoned_share must be a number between 0 and 1, got 1.2"),
        ((0.2, None, 0.5), "accuracy_if_reasoned must be a number between 0 and 1, got None"),
        ((0.2, 0.03, 0.5), "accuracy_if_reasoned must be at least 0.0303, what blind totals give, got 0.03"),
        ((0.2, 0.5, 0.0), "accuracy_if_direct must be at least .*no noise fits this prior"),
    ],
)
def test_what_no_rates_give_is_refused(numbers: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_chain(*numbers, TASK)


def rates(task: ChainSum) -> tuple[float, float, float]:
    found = predict_chain(task, RewardShaping())
    return found.reasoned_share, found.accuracy_if_reasoned, found.accuracy_if_direct
