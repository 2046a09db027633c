"""Evaluation: the metrics against enumeration, and the whole of it on models whose answers are known."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pgce_mini.evaluation import (
    EvaluationConfig,
    avg_at_m,
    bootstrap_interval,
    calibration,
    completion_entropy,
    cons_at_m,
    evaluate,
    paired_difference,
    pass_at_k,
    sample_completions,
    sample_records,
    token_entropy,
)
from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.tasks.base import EOS_ID, PAD_ID, SPECIAL_TOKENS, Corpus, Problem, Split, Task
from pgce_mini.tasks.chain_sum import ChainSum

# --- A task and a model small enough to know everything about ---------------------------------------------

ASK_ID, THINK_ID, ZERO_ID = 2, 3, 4
DIGITS = 6


@dataclass(frozen=True)
class Echo(Task):
    """Repeat the digit: '? 3' is answered by '3 <eos>', or by '~ 3 <eos>' with a moment of thought."""

    name: ClassVar[str] = "echo"

    @property
    def vocab(self) -> tuple[str, ...]:
        return (*SPECIAL_TOKENS, "?", "~", *map(str, range(DIGITS)))

    @property
    def max_document_length(self) -> int:
        return 5

    @property
    def max_completion_length(self) -> int:
        return 4

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        problem = self.problem(seed, index, split)
        thought = [THINK_ID] if index % 3 == 0 else []
        return [*problem.prompt, *thought, *self.reference(problem)]

    def problem(self, seed: int, index: int, split: Split = "train") -> Problem:
        assert split == "heldout"  # an evaluation never reads what was trained on
        digit = (seed + index) % DIGITS
        return Problem((ASK_ID, ZERO_ID + digit), (digit,), digit)

    def reference(self, problem: Problem) -> list[int]:
        return [ZERO_ID + problem.target, EOS_ID]

    def reasoned(self, problem: Problem, completion: Sequence[int]) -> bool:
        return len(completion) > 0 and completion[0] == THINK_ID

    def _answer(self, problem: Problem, ids: list[int]) -> str | None:
        return self.vocab[ids[-1]] if ids and ids[-1] >= ZERO_ID else None


@dataclass(frozen=True)
class Letters(Corpus):
    """A corpus without problems."""

    name: ClassVar[str] = "letters"

    @property
    def vocab(self) -> tuple[str, ...]:
        return Echo().vocab

    @property
    def max_document_length(self) -> int:
        return 5

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        return Echo().document(seed, index, split)

    def encode(self, text: str) -> list[int]:
        return Echo().encode(text)

    def _decode(self, ids: list[int]) -> str:
        return Echo()._decode(ids)


class Generation(NamedTuple):
    completions: Tensor
    completion_mask: Tensor
    logps: Tensor


class EchoModel(nn.Module):
    """Thinks first with probability `think`; is then right with probability `skill`, otherwise with `luck`;
    a wrong answer is any other digit. Writes EOS after the answer with probability 1 - `ramble`, else one
    more digit 0. Whatever stands on or after a pad is absurd: logits NaN, ids -7, log-probabilities NaN."""

    def __init__(self, think: float = 0.0, skill: float = 1.0, luck: float = 1.0, ramble: float = 0.0) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.think, self.skill, self.luck, self.ramble = think, skill, luck, ramble

    def probs(self, prefix: list[int]) -> Tensor:  # (V,), float64
        probs = torch.zeros(ZERO_ID + DIGITS, dtype=torch.float64)
        if PAD_ID in prefix:
            return probs * math.nan
        if len(prefix) == 1:  # of a document: any digit may be asked for
            probs[ZERO_ID:] = 1 / DIGITS
        elif prefix[-1] >= ZERO_ID and len(prefix) > 2:
            probs[EOS_ID], probs[ZERO_ID] = 1 - self.ramble, self.ramble
        else:
            thought = prefix[-1] == THINK_ID
            right = self.skill if thought else self.luck
            probs[ZERO_ID:] = (1 - right) / (DIGITS - 1)
            probs[prefix[1]] = right
            if not thought:
                probs *= 1 - self.think
                probs[THINK_ID] = self.think
        return probs

    def forward(self, ids: Tensor) -> Tensor:
        rows = [[self.probs(row[: t + 1]) for t in range(len(row))] for row in ids.tolist()]
        return torch.stack([torch.stack(row) for row in rows]).log()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_completion_length: int,
        *,
        temperature: float,
        generator: torch.Generator,
        num_generations: int,
    ) -> Generation:
        rows = [list(prompt) for prompt in prompts for _ in range(num_generations)]
        shape = (len(rows), max_completion_length)
        completions, logps = torch.full(shape, -7), torch.full(shape, math.nan, dtype=torch.float64)
        mask = torch.zeros(shape, dtype=torch.bool)
        for i, row in enumerate(rows):
            for t in range(max_completion_length):
                probs = (self.probs(row).log() / temperature).softmax(-1)
                token = int(torch.multinomial(probs, 1, generator=generator))
                completions[i, t], logps[i, t], mask[i, t] = token, probs[token].log(), True
                row.append(token)
                if token == EOS_ID:
                    break
        return Generation(completions, mask, logps)


class ScriptedModel(EchoModel):
    """Answers problem p of m samples with the completions written down for it."""

    def __init__(self, script: list[list[list[int]]]) -> None:
        super().__init__(think=0.5, skill=0.5, luck=0.5, ramble=0.5)
        self.script = iter(script)

    def generate(self, prompts: Sequence[Sequence[int]], max_completion_length: int, **_: object) -> Generation:
        rows = [row for _ in prompts for row in next(self.script)]
        completions = torch.tensor([row + [-7] * (max_completion_length - len(row)) for row in rows])
        return Generation(completions, completions >= 0, completions * math.nan)


def small_config(**changes: object) -> EvaluationConfig:
    settings = {"problems": 6, "samples": 16, "ks": (1, 2, 16), "documents": 24, "batch_size": 40}
    return EvaluationConfig(**(settings | changes))


def entropy_of(probs: Tensor) -> float:
    return -sum(p * math.log(p) for p in probs.tolist() if p > 0)


# --- Pass@k ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_pass_at_k_counts_the_subsets_that_hold_a_right_sample(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations([i < c for i in range(n)], k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-15)


samples_and_right = st.integers(1, 300).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)


@given(samples_and_right)
def test_pass_at_k_is_the_exact_fraction(case: tuple[int, int, int]) -> None:
    n, c, k = case
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), rel=1e-12, abs=1e-14)


@given(samples_and_right)
def test_pass_at_k_grows_with_k_and_with_c_and_is_c_over_n_at_one(case: tuple[int, int, int]) -> None:
    n, c, k = case
    assert pass_at_k(n, c, 1) == pytest.approx(c / n, abs=1e-15)
    assert k == 1 or pass_at_k(n, c, k) >= pass_at_k(n, c, k - 1)
    assert c == 0 or pass_at_k(n, c, k) >= pass_at_k(n, c - 1, k)
    assert 0 <= pass_at_k(n, c, k) <= 1


def test_pass_at_k_stays_exact_where_binomials_overflow_a_float() -> None:
    exact = 1 - Fraction(math.comb(9_990, 5_000), math.comb(10_000, 5_000))
    assert pass_at_k(10_000, 10, 5_000) == pytest.approx(float(exact), rel=1e-12)
    assert pass_at_k(10_000, 9_990, 9_999) == 1


def test_pass_at_k_broadcasts_over_problems() -> None:
    c = np.array([[0, 1], [3, 4]])
    expected = [[0, 0.5], [1, 1]]
    np.testing.assert_allclose(pass_at_k(4, c, 2), expected, atol=1e-15)
    np.testing.assert_allclose(pass_at_k(np.array([2, 4]), 1, 2), [1, 0.5], atol=1e-15)
    assert isinstance(pass_at_k(4, 1, 2), float)


@pytest.mark.parametrize(
    ("n", "c", "k", "named"),
    [(4, 2, 5, "k"), (4, 2, 0, "k"), (4, 5, 1, "c"), (4, -1, 1, "c"), (4.0, 2, 1, "n"), ([8, 4], 1, 5, "k")],
)
def test_pass_at_k_refuses_impossible_counts(n: object, c: object, k: int, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} "):
        pass_at_k(n, c, k)


# --- Avg@m and Cons@m ------------------------------------------------------------------------------------


def test_avg_at_m_is_a_mean_for_each_problem() -> None:
    np.testing.assert_array_equal(avg_at_m([[1, 0, 0, 1], [0, 0, 0, 0]]), [0.5, 0])
    with pytest.raises(ValueError, match="rewards"):
        avg_at_m([1, 0, 1])


@pytest.mark.parametrize(
    ("votes", "score"),
    [
        ([("7", 1), ("7", 1), ("8", 0)], 1),
        ([("7", 1), ("8", 0), ("8", 0)], 0),
        ([("7", 1), ("8", 0)], 1 / 2),
        ([("7", 1), ("8", 0), ("9", 0)], 1 / 3),
        ([("7", 1), ("7", 1), ("8", 0), ("8", 0), ("9", 0)], 1 / 2),
        ([(None, 0), (None, 0), ("7", 1)], 1),  # no answer does not vote
        ([(None, 0), (None, 0), (None, 0)], 0),
    ],
)
def test_cons_at_m_is_the_expected_verdict_on_the_majority_whatever_the_order(
    votes: list[tuple[str | None, int]], score: float
) -> None:
    orders = list(permutations(votes))
    answers, correct = [[a for a, _ in o] for o in orders], [[r for _, r in o] for o in orders]
    np.testing.assert_allclose(cons_at_m(answers, correct), np.full(len(orders), score))


def test_cons_at_m_refuses_tables_of_different_shapes() -> None:
    with pytest.raises(ValueError, match="answers"):
        cons_at_m([["1", "2"], ["1"]], [[1, 0], [1, 0]])


# --- Intervals -------------------------------------------------------------------------------------------


def test_the_bootstrap_of_two_problems_has_three_outcomes() -> None:
    # The mean is 0, 1/2 or 1 with probability 1/4, 1/2, 1/4: quantiles .025 and .975, and .3 and .7.
    assert bootstrap_interval([0, 1], seed=0) == (0, 1)
    assert bootstrap_interval([0, 1], seed=0, confidence=0.4) == (0.5, 0.5)


def test_with_counts_the_bootstrap_is_about_the_mean_over_items() -> None:
    # One item, right, and three, all wrong: drawn together they are 1 right of 4, not a mean of means.
    assert bootstrap_interval([1, 0], seed=0, counts=[1, 3], confidence=0.4) == (0.25, 0.25)
    assert bootstrap_interval([1, 0], seed=0, counts=[1, 0]) == (
        1,
        1,
    )  # resamples without an item are dropped


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [
        bootstrap_interval(rng.exponential(size=60), i, confidence=0.9, resamples=400) for i in range(300)
    ]
    coverage = np.mean([low <= 1 <= high for low, high in intervals])
    assert 0.83 < coverage < 0.94  # three standard errors around what is known of skewed data at n = 60


def test_the_bootstrap_is_as_wide_as_the_normal_interval_where_that_holds() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(values, seed=1)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.06)


def test_the_bootstrap_depends_on_its_seed_alone() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"values": []}, "values"),
        ({"values": [[1.0]]}, "values"),
        ({"values": [math.nan]}, "values"),
        ({"counts": [1]}, "counts"),
        ({"counts": [0, 0]}, "counts"),
        ({"counts": [2, -1]}, "counts"),
        ({"confidence": 1.0}, "confidence"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_the_bootstrap_names_the_argument_that_makes_no_sense(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        bootstrap_interval(**({"values": [0, 1], "seed": 0} | arguments))


def test_pairing_takes_out_what_the_arms_share() -> None:
    hardness = np.random.default_rng(0).normal(size=50)
    assert paired_difference(hardness + 0.25, hardness, seed=0) == pytest.approx(
        {"value": 0.25, "low": 0.25, "high": 0.25}
    )
    difference = paired_difference([1.0, 0.0], [0.0, 0.0], seed=0)
    assert difference == {"value": 0.5, "low": 0, "high": 1}
    with pytest.raises(ValueError, match="same problems"):
        paired_difference([1.0], [1.0, 2.0], seed=0)


# --- Entropy and calibration -----------------------------------------------------------------------------


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


def test_calibration_of_a_table_worked_by_hand() -> None:
    # Bins (0, .5] and (.5, 1]: .5 belongs to the first. Gaps |1/2 - .4| of 2 and |2/3 - .8| of 3.
    result = calibration([0.3, 0.5, 0.7, 0.8, 0.9], [0, 1, 1, 1, 0], bins=2)
    assert result["ece"] == pytest.approx(2 / 5 * 0.1 + 3 / 5 * (0.8 - 2 / 3))
    first, second = result["reliability"]
    assert first == pytest.approx({"low": 0, "high": 0.5, "confidence": 0.4, "accuracy": 0.5, "count": 2})
    assert second == pytest.approx({"low": 0.5, "high": 1, "confidence": 0.8, "accuracy": 2 / 3, "count": 3})


def test_calibration_puts_every_prediction_in_a_bin_and_leaves_empty_bins_without_means() -> None:
    result = calibration([0.0, 1.0, 1 / 3], [1, 1, 0], bins=3)
    assert [row["count"] for row in result["reliability"]] == [2, 0, 1]
    assert result["reliability"][1]["confidence"] is None
    assert result["reliability"][1]["accuracy"] is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
def test_calibration_error_is_a_gap_and_counts_add_up(predictions: list[tuple[float, bool]], bins: int) -> None:
    result = calibration([p for p, _ in predictions], [r for _, r in predictions], bins)
    assert sum(row["count"] for row in result["reliability"]) == len(predictions)
    overall = abs(np.mean([p for p, _ in predictions]) - np.mean([r for _, r in predictions]))
    assert overall - 1e-12 <= result["ece"] <= 1  # gaps of opposite sign cancel only in the overall gap


def test_calibration_names_the_argument_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="confidence"):
        calibration([1.5], [1])
    with pytest.raises(ValueError, match="confidence"):
        calibration([0.5, 0.5], [1])
    with pytest.raises(ValueError, match="bins"):
        calibration([0.5], [1], bins=0)


# --- The whole evaluation --------------------------------------------------------------------------------


def test_a_model_that_is_always_right_is_certain_of_it() -> None:
    evaluation = evaluate(EchoModel(), Echo(), small_config())
    samples = evaluation["samples"]
    sure = {"value": 1, "low": 1, "high": 1}
    assert samples["avg_at_m"] == samples["cons_at_m"] == samples["pass_at_k"]["1"] == sure
    assert samples["accuracy_if_direct"] == sure
    assert samples["accuracy_if_reasoned"] == {"value": None, "low": None, "high": None}
    assert samples["completion_length"] == {"value": 2, "low": 2, "high": 2}
    assert samples["truncated_share"]["value"] == samples["reasoned_share"]["value"] == 0
    assert samples["entropy"]["value"] == 0
    assert samples["entropy_by_position"] == [0, 0]
    assert evaluation["per_problem"]["correct"] == [16] * 6


def test_scripted_samples_give_the_numbers_worked_by_hand() -> None:
    # Problem p asks for digit p. Four samples each: right, wrong, thoughtful or endless.
    right, wrong = [ZERO_ID, EOS_ID], [ZERO_ID + 5, EOS_ID]
    thoughtful, endless = [THINK_ID, ZERO_ID + 1, EOS_ID], [THINK_ID, ZERO_ID + 1, ZERO_ID, ZERO_ID]
    model = ScriptedModel([[right, right, wrong, right], [thoughtful, endless, wrong, endless]])
    evaluation = evaluate(model, Echo(), small_config(problems=2, samples=4, ks=(1, 2, 4), batch_size=3))
    samples = evaluation["samples"]
    per_problem = evaluation["per_problem"]
    assert per_problem["correct"] == [3, 1]
    assert per_problem["consensus"] == [1, 0.5]
    assert per_problem["completion_length"] == [2, 13 / 4]
    assert per_problem["reasoned_share"] == [0, 3 / 4]
    # To think, to be right and to stop are fair coins; a wrong digit is one of five.
    coin, digit = math.log(2), math.log(2) + math.log(5) / 2
    first = coin + digit / 2
    by_hand = [(first + coin) / 2, (4 * first + 3 * digit + 6 * coin) / 13]
    assert per_problem["entropy"] == pytest.approx(by_hand)
    assert samples["avg_at_m"]["value"] == 4 / 8
    assert samples["cons_at_m"]["value"] == 3 / 4
    assert samples["pass_at_k"]["1"]["value"] == pytest.approx(4 / 8)
    assert samples["pass_at_k"]["2"]["value"] == pytest.approx((1 + 1 / 2) / 2)
    assert samples["pass_at_k"]["4"]["value"] == 1
    assert samples["completion_length"] == {"value": 21 / 8, "low": 2, "high": 13 / 4}
    assert samples["truncated_share"]["value"] == 2 / 8
    assert samples["reasoned_share"]["value"] == 3 / 8
    assert samples["accuracy_if_reasoned"]["value"] == pytest.approx(1 / 3)
    assert samples["accuracy_if_direct"]["value"] == pytest.approx(3 / 5)


def test_a_model_right_with_probability_p_is_measured_as_such() -> None:
    model = EchoModel(think=0.5, skill=0.9, luck=0.3, ramble=0.0)
    samples = evaluate(model, Echo(), small_config(problems=30, samples=32, ks=(1, 4)))["samples"]
    # 960 samples: three standard errors are .05 (of a share), .04 and .07 (of the accuracies).
    assert samples["avg_at_m"]["value"] == pytest.approx(0.6, abs=0.05)
    assert samples["reasoned_share"]["value"] == pytest.approx(0.5, abs=0.05)
    assert samples["completion_length"]["value"] == pytest.approx(2.5, abs=0.05)
    assert samples["accuracy_if_reasoned"]["value"] == pytest.approx(0.9, abs=0.04)
    assert samples["accuracy_if_direct"]["value"] == pytest.approx(0.3, abs=0.07)
    assert samples["pass_at_k"]["4"]["value"] == pytest.approx(1 - 0.4**4, abs=0.03)
    assert samples["cons_at_m"]["value"] == 1
    for name in ("avg_at_m", "completion_length", "accuracy_if_direct", "entropy"):
        assert samples[name]["low"] < samples[name]["value"] < samples[name]["high"]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sampled_entropy_is_that_of_the_sampling_distribution_token_by_token(temperature: float) -> None:
    task, model = Echo(), EchoModel(think=0.4, skill=0.8, luck=0.3, ramble=0.3)
    config = small_config(temperature=temperature)
    problems = [task.problem(config.seed, i, "heldout") for i in range(config.problems)]
    groups = sample_completions(model, task, problems, config)
    tokens: list[tuple[int, float]] = []  # position, entropy
    for problem, group in zip(problems, groups, strict=True):
        assert len(group) == config.samples
        for sample in group:
            prefixes = [[*problem.prompt, *sample.ids[:t]] for t in range(len(sample.ids))]
            probs = [(model.probs(prefix).log() / temperature).softmax(-1) for prefix in prefixes]
            np.testing.assert_allclose(sample.entropy, [entropy_of(p) for p in probs], atol=1e-12)
            np.testing.assert_allclose(
                sample.logps, [p[i].log().item() for p, i in zip(probs, sample.ids, strict=True)], atol=1e-12
            )
            tokens += enumerate(sample.entropy)
    measured = evaluate(model, task, config)["samples"]
    assert measured["entropy"]["value"] == pytest.approx(np.mean([e for _, e in tokens]))
    by_position = [np.mean([e for t, e in tokens if t == position]) for position in range(4)]
    assert measured["entropy_by_position"] == pytest.approx(by_position)


def test_samples_depend_on_the_seed_alone() -> None:
    task, model = Echo(), EchoModel(think=0.5, skill=0.5, luck=0.5)
    problems = [task.problem(0, i, "heldout") for i in range(3)]
    first, again, other = (sample_completions(model, task, problems, small_config(seed=s)) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_heldout_numbers_are_means_over_every_token_of_every_document() -> None:
    model = EchoModel(think=0.4, skill=0.8, luck=0.3, ramble=0.3)
    config = small_config(documents=7, batch_size=2, seed=3)
    losses, entropies, confidences, hits = [], [], [], []
    for index in range(7):
        document = Echo().document(config.seed, index, "heldout")
        for t in range(1, len(document)):
            probs = model.probs(document[:t])
            losses.append(-probs[document[t]].log().item())
            entropies.append(entropy_of(probs))
            confidences.append(probs.max().item())
            hits.append(int(probs.argmax()) == document[t])
    heldout = evaluate(model, Letters(), config)["heldout"]
    assert heldout["documents"] == 7
    assert heldout["tokens"] == len(losses)
    assert heldout["cross_entropy"] == pytest.approx(np.mean(losses))
    assert heldout["perplexity"] == pytest.approx(math.exp(np.mean(losses)))
    assert heldout["entropy"] == pytest.approx(np.mean(entropies))
    assert heldout["ece"] == pytest.approx(calibration(confidences, hits)["ece"])
    assert heldout["reliability"] == calibration(confidences, hits)["reliability"]


def test_a_corpus_without_problems_is_not_sampled() -> None:
    evaluation = evaluate(EchoModel(think=0.5), Letters(), small_config())
    assert evaluation["samples"] is None
    assert evaluation["per_problem"] is None
    assert evaluation["heldout"]["documents"] == 24


def test_an_impossible_token_makes_cross_entropy_none_and_not_infinity() -> None:
    evaluation = evaluate(EchoModel(think=0.0), Letters(), small_config())  # documents do think
    assert evaluation["heldout"]["cross_entropy"] is None
    assert evaluation["heldout"]["perplexity"] is None
    json.dumps(evaluation, allow_nan=False)


def test_a_diverged_model_is_refused() -> None:
    with pytest.raises(ValueError, match="diverged"):
        evaluate(EchoModel(think=math.nan), Echo(), small_config())


@pytest.mark.parametrize("corpus", [Echo(), Letters()])
def test_an_evaluation_survives_json_unchanged(corpus: Corpus) -> None:
    evaluation = evaluate(EchoModel(), corpus, small_config())
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation


def test_progress_counts_problems_up_to_the_last() -> None:
    heard: list[tuple[int, int]] = []
    evaluate(EchoModel(), Echo(), small_config(), progress=lambda done, total: heard.append((done, total)))
    assert heard == [(2, 6), (4, 6), (6, 6)]  # 40 sequences at once hold the 16 samples of 2 problems


def test_sample_records_are_readable_and_ready_for_json() -> None:
    records = sample_records(EchoModel(ramble=0.5), Echo(), small_config(seed=3), problems=2, samples=3)
    assert [(r["problem"], r["sample"]) for r in records] == [(p, s) for p in range(2) for s in range(3)]
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    for record in records:
        digit = str(3 + record["problem"])  # the problems are those of the seed
        assert record["prompt"] == f"? {digit}"
        written = [token for token in record["tokens"] if token != "<eos>"]
        assert record["completion"] == " ".join(written)
        assert record["truncated"] == ("<eos>" not in record["tokens"])
        assert record["reward"] == (written[-1] == digit and not record["truncated"])
        assert len(record["logps"]) == len(record["entropy"]) == len(record["tokens"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"problems": 0}, "problems"),
        ({"samples": 1.5}, "samples"),
        ({"documents": 0}, "documents"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"ks": ()}, "ks"),
        ({"ks": (1, 17)}, "ks"),
        ({"ks": (0,)}, "ks"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
    ],
)
def test_the_config_names_the_value_that_makes_no_sense(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        small_config(**change)


# --- The real model --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpt() -> GPT:
    config = GPTConfig(vocab_size=len(ChainSum().vocab), hidden_size=16, intermediate_size=32)
    model = GPT(config, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.unembedding.mul_(20)  # away from uniform, so that entropies differ
    return model


def test_padding_changes_no_entropy_of_the_real_model(gpt: GPT) -> None:
    prompts = [[6, 2, 7, 3], [9, 3], [6, 2, 6, 2, 8, 3]]
    completions = [[5, 9, EOS_ID], [7, 8, 9, 10, 5, 10, EOS_ID], [EOS_ID]]
    together = completion_entropy(gpt, prompts, completions, temperature=0.7)
    for prompt, completion, entropy in zip(prompts, completions, together, strict=True):
        logits = gpt(torch.tensor([prompt + completion]))[0, len(prompt) - 1 : -1].double()
        brute = [entropy_of(row) for row in (logits / 0.7).softmax(-1)]
        np.testing.assert_allclose(entropy, brute, atol=1e-5)


def test_the_real_model_on_chain_sum_gives_the_same_bytes_for_a_seed(gpt: GPT) -> None:
    task, config = ChainSum(), small_config()
    first, again, other = (
        json.dumps(evaluate(gpt, task, c), allow_nan=False) for c in (config, config, small_config(seed=1))
    )
    assert first == again
    assert first != other


def test_the_real_models_samples_are_what_its_sampler_reports(gpt: GPT) -> None:
    task, config = ChainSum(), small_config(temperature=0.7)
    problems = [task.problem(0, i, "heldout") for i in range(3)]
    for problem, group in zip(problems, sample_completions(gpt, task, problems, config), strict=True):
        for sample in group:
            logits = gpt(torch.tensor([[*problem.prompt, *sample.ids]]))[0, len(problem.prompt) - 1 : -1]
            logps = (logits / 0.7).log_softmax(-1)[range(len(sample.ids)), sample.ids]
            np.testing.assert_allclose(sample.logps, logps.detach(), atol=1e-4)


def test_default_ks_stop_at_the_samples_and_others_are_refused() -> None:
    assert EvaluationConfig(samples=8).ks == (1, 2, 4, 8)
    assert EvaluationConfig().ks[-1] == 64
    with pytest.raises(ValueError, match="ks must be whole numbers between 1 and samples=8"):
        EvaluationConfig(samples=8, ks=(1, 16))
