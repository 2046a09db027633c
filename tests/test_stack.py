"""Models stacked write what each writes alone."""

from __future__ import annotations

import pytest
import torch
from tiny import TASK, new_model

from pgce_mini import GPT, GPTConfig
from pgce_mini.gpt.stack import Stack
from pgce_mini.reward import PAPER_ARMS
from pgce_mini.shipped import priors
from pgce_mini.tasks import ChainSum
from pgce_mini.teaching.reading import next_token, read_on
from pgce_mini.teaching.side_by_side import OTHERS, as_one_state, read_side_by_side

SUM = "3 + 1 + 4 + 1 + 2 + 4 + 0 + 1 ="
PROMPTS = {"chain-sum": SUM, "countdown": "2 3 7 -> 13 :", "text": "If the expression"}


@pytest.mark.parametrize(("task", "temperature"), [("text", 1.6), ("chain-sum", 0.0), ("countdown", 0.7)])
def test_side_by_side_each_model_reads_and_writes_as_it_does_alone(task: str, temperature: float) -> None:
    loaded = [priors.load(task, arm) for arm in PAPER_ARMS]
    corpus, top_k = loaded[0][1], priors.SETTINGS[task][1]
    prompt = corpus.encode(PROMPTS[task])
    found = read_side_by_side(
        Stack([model for model, _ in loaded]), corpus, prompt, 12, samples=3, temperature=temperature, top_k=top_k,
        seed=5,
    )  # fmt: skip
    written = set()
    for (model, _), (expected, readings) in zip(loaded, found, strict=True):
        alone = next_token(model, prompt, top_k)
        assert expected.probs.tolist() == pytest.approx(alone.probs.tolist(), abs=1e-5)
        assert (expected.entropy, expected.head) == pytest.approx((alone.entropy, alone.head), abs=1e-4)
        for i, reading in enumerate(readings):
            other = read_on(model, corpus, prompt, 12, temperature=temperature, top_k=top_k, seed=5 + i)
            assert (reading.ids, reading.written) == (other.ids, other.written)
            for field in ("probs", "entropy", "head"):
                assert getattr(reading, field) == pytest.approx(getattr(other, field), abs=1e-4)
            written.add(tuple(reading.ids))
    assert len(written) > 1 or temperature == 0


def test_models_of_different_shapes_are_not_stacked() -> None:
    small = GPT(GPTConfig(vocab_size=len(TASK.vocab), hidden_size=8))
    for models in ([], [new_model(), small]):
        with pytest.raises(ValueError, match="models must be one or more, all of the same shape"):
            Stack(models)


def test_one_state_has_the_tokens_asked_for_and_all_others_as_one() -> None:
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05])
    flat = torch.full((4,), 0.25)
    state = as_one_state("p", {1: "cut…", 0: "cut…"}, {"ce": probs, "flat": flat})
    assert (state["prompt"], state["tokens"]) == ("p", ["cut… (1)", "cut… (0)", OTHERS])
    assert state["labels"] == state["marks"]["ce"] == pytest.approx([0.3, 0.5, 0.2])
    assert state["marks"]["flat"] == pytest.approx([0.25, 0.25, 0.5])


def test_more_beta_reasons_more_often_in_the_priors_that_come_with_the_package() -> None:
    assert priors.SETTINGS["chain-sum"][0].corpus == ChainSum()
    entries = [priors.manifest()["priors"][f"chain-sum-{arm}"] for arm in priors.OVER_BETA.values()]
    for beta, entry in zip(priors.OVER_BETA, entries, strict=True):
        assert entry["settings"]["shaping"] == {
            "beta": beta, "lambda_head": 0.0, "lambda_tail": 0.0, "top_k": 6, "form": "product",
        }  # fmt: skip
    shares = [entry["samples"]["reasoned_share"] for entry in entries]
    assert shares == sorted(shares)
    assert shares[0] < 0.05 < 0.3 < shares[-1]
