"""The whole evaluation, of models whose answers are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from echo import THINK_ID, ZERO_ID, Echo, EchoModel, Letters, ScriptedModel, entropy_of, real_model, small_config
from tiny import TASK, new_model

from pgce_mini.evaluation import EvaluationConfig, calibration, evaluate
from pgce_mini.shipped import priors
from pgce_mini.tasks.base import EOS_ID, Corpus


def test_a_model_that_is_always_right_is_certain_of_it() -> None:
    samples = evaluate(EchoModel(), Echo(), small_config())["samples"]
    sure = {"value": 1, "low": 1, "high": 1}
    assert samples["avg_at_m"] == samples["cons_at_m"] == samples["pass_at_k"]["1"] == sure
    assert samples["accuracy_if_direct"] == sure
    assert samples["accuracy_if_reasoned"] == {"value": None, "low": None, "high": None}
    assert samples["entropy_by_position"] == [0, 0]


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


def test_completions_are_measured_without_their_prompts() -> None:
    model = EchoModel(think=0.4, skill=0.8, luck=0.3, ramble=0.3)
    losses, entropies = [], []
    for index in range(7):
        document = Echo().document(3, index, "heldout")
        for t in range(2, len(document)):  # a prompt has two tokens
            probs = model.probs(document[:t])
            losses.append(-probs[document[t]].log().item())
            entropies.append(entropy_of(probs))
    config = small_config(documents=7, batch_size=2, seed=3)
    heldout = evaluate(model, Echo(), config)["heldout"]
    assert heldout["completion_cross_entropy"] == pytest.approx(np.mean(losses))
    assert heldout["completion_entropy"] == pytest.approx(np.mean(entropies))
    of_all = evaluate(model, Letters(), config)["heldout"]  # the same documents, of a corpus without prompts
    assert {name: heldout[name] for name in of_all} == of_all
    assert "completion_entropy" not in of_all


def test_further_temperatures_have_the_accuracy_of_an_evaluation_at_them() -> None:
    (gpt, task), problems = priors.load("chain-sum", "ce"), 12
    plain = small_config(problems=problems, temperature=0.7)
    both = small_config(problems=problems, temperature=0.7, scored_at=(0.7, 1.5, 0))
    samples = evaluate(gpt, task, both)["samples"]
    scored_at = samples.pop("scored_at")
    assert samples == evaluate(gpt, task, plain)["samples"]
    at_other = evaluate(gpt, task, small_config(problems=problems, temperature=1.5))["samples"]
    assert scored_at["avg_at_m_at_1.5"] == at_other["avg_at_m"] != samples["avg_at_m"]
    right = []
    for index in range(problems):  # the likeliest token, again and again
        problem = task.problem(both.seed, index, "heldout")
        ids = list(problem.prompt)
        while len(ids) < len(problem.prompt) + task.max_completion_length and ids[-1] != EOS_ID:
            ids.append(int(gpt(torch.tensor([ids]))[0, -1].argmax()))
        right.append(task.reward(problem, ids[len(problem.prompt) :]))
    assert scored_at["greedy"]["value"] == np.mean(right)


def test_an_impossible_token_makes_cross_entropy_none_and_not_infinity() -> None:
    evaluation = evaluate(EchoModel(think=0.0), Letters(), small_config())  # documents do think
    assert evaluation["heldout"]["cross_entropy"] is None
    assert evaluation["heldout"]["perplexity"] is None
    json.dumps(evaluation, allow_nan=False)


@torch.no_grad()
def test_a_perplexity_beyond_a_float_is_none() -> None:
    model = new_model()
    model.model.norm.weight.mul_(1e5)
    heldout = evaluate(model, TASK, small_config())["heldout"]
    assert heldout["cross_entropy"] > 709  # e to the 710 overflows
    assert heldout["perplexity"] is None


def test_a_diverged_model_is_refused() -> None:
    with pytest.raises(ValueError, match="diverged"):
        evaluate(EchoModel(think=math.nan), Echo(), small_config())


@pytest.mark.parametrize("corpus", [Echo(), Letters()])
def test_an_evaluation_survives_json_unchanged(corpus: Corpus) -> None:
    evaluation = evaluate(EchoModel(), corpus, small_config())
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation
    assert (evaluation["samples"] is None) == (evaluation["per_problem"] is None) == (corpus == Letters())


def test_progress_counts_problems_up_to_the_last() -> None:
    heard: list[tuple[int, int]] = []
    evaluate(EchoModel(), Echo(), small_config(), progress=lambda done, total: heard.append((done, total)))
    assert heard == [(2, 6), (4, 6), (6, 6)]  # 40 sequences at once hold the 16 samples of 2 problems


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"problems": 0}, "problems"),
        ({"samples": 1.5}, "samples"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"ks": ()}, "ks"),
        ({"ks": (1, 17)}, "ks"),
        ({"ks": (0,)}, "ks"),
        ({"temperature": 0.0}, "temperature"),
        ({"scored_at": 0.75}, "scored_at"),
        ({"scored_at": ("1",)}, "scored_at"),
        ({"scored_at": (0.0, 1.0)}, "scored_at"),
        ({"scored_at": (1.0, 0.75, 0.75)}, "scored_at"),
        ({"scored_at": (1.0, 1e-4)}, "scored_at"),
        ({"scored_at": (0.75, 1.0)}, "scored_at"),
    ],
)
def test_the_config_names_the_value_that_makes_no_sense(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        small_config(**change)


def test_default_ks_stop_at_the_samples() -> None:
    assert EvaluationConfig(samples=8).ks == (1, 2, 4, 8)


def test_the_real_model_on_chain_sum_gives_the_same_bytes_for_a_seed() -> None:
    gpt, config = real_model(), small_config()
    first, again, other = (
        json.dumps(evaluate(gpt, TASK, c), allow_nan=False) for c in (config, config, small_config(seed=1))
    )
    assert first == again
    assert first != other
