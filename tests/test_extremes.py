"""Numbers at the ends of what a float holds, counts that are none, numbers of other types: right, or refused."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import SHAPE, TASK, new_model

from pgce_mini import RewardShaping, playground
from pgce_mini.evaluation import (
    EvaluationConfig,
    avg_at_m,
    bootstrap_interval,
    calibration,
    completion_entropy,
    cons_at_m,
    distinct,
    estimate,
    evaluate,
    evaluate_documents,
    matching_temperature,
    pass_at_k,
    percentile_interval,
    repetition,
    sample_records,
)
from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.playground import PlaygroundState
from pgce_mini.reward import token_rewards
from pgce_mini.runs import config_to_dict, write_json
from pgce_mini.study import StudyConfig
from pgce_mini.tasks import ChainSum, Countdown
from pgce_mini.teaching.reading import draw_samples, read_on
from pgce_mini.theory import (
    HIDDEN_REWARDS,
    cross_entropy_rewards,
    expected_score,
    policy_flow,
    predict_chain,
    reinforce_gradient,
    reinforce_residual,
    reinforce_variance,
    simplex_field,
    tempered,
)
from pgce_mini.training import (
    CONTROLS,
    GRPOConfig,
    ModelShape,
    PretrainConfig,
    group_advantages,
    grpo_loss,
    masked_mean,
)

DENORMAL, HUGE = 5e-324, 1.7e308
EXTREMES = (DENORMAL, 1e-300, 1e-45, 1e-38, 1e-13, 1e13, 1e39, HUGE, 10**400, math.inf, math.nan)
Q = (0.5, 0.3, 0.2)


# --- temperatures ---


def prompt() -> list[list[int]]:
    return [list(TASK.problem(0, 0).prompt)]


SAMPLERS: dict[str, Callable[[Any], Any]] = {
    "generate": lambda t: new_model().generate(prompt(), 4, temperature=t, generator=torch.Generator()).logps,
    "draw_samples": lambda t: draw_samples(new_model(), TASK, prompts=1, samples=2, temperature=t),
    "read_on": lambda t: read_on(new_model(), TASK, prompt()[0], 4, temperature=t, top_k=3, seed=0),
    "completion_entropy": lambda t: completion_entropy(new_model(), prompt(), [[1]], t),
    "EvaluationConfig": lambda t: EvaluationConfig(temperature=t),
    "GRPOConfig": lambda t: GRPOConfig(temperature=t),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("temperature", [*EXTREMES, 9e-4, 1001, -1.0, Decimal(1), True, "1", np.float32(1e-40)])
def test_temperature_that_rounding_would_decide_is_refused_with_the_least_one(
    sampler: str, temperature: Any
) -> None:
    with pytest.raises(ValueError, match=r"^temperature must be ") as refused:
        SAMPLERS[sampler](temperature)
    assert "\n" not in str(refused.value)
    if isinstance(temperature, float) and 0 < temperature < 1e-3:
        assert "0.001" in str(refused.value)


@pytest.mark.parametrize("temperature", [1e-3, Fraction(1, 1000), np.float16(0.5), 1, 1000])
def test_temperature_within_the_range_gives_numbers(temperature: Any) -> None:
    logps = SAMPLERS["generate"](temperature)
    assert logps.isfinite().all()
    config = EvaluationConfig(problems=1, samples=2, ks=(1,), documents=2, temperature=temperature)
    json.dumps([evaluate(new_model(), TASK, config), sample_records(new_model(), TASK, config)], allow_nan=False)


def test_lowest_temperature_takes_the_likeliest_token_as_0_does() -> None:
    greedy = new_model().generate(prompt(), 8, temperature=0).completions
    cold = new_model().generate(prompt(), 8, temperature=1e-3, generator=torch.Generator()).completions
    assert torch.equal(greedy, cold)


def test_entropy_of_a_model_in_half_precision_does_not_overflow() -> None:
    model = new_model()
    model.model.norm.weight.data *= 20
    entropy = completion_entropy(model.half(), prompt(), [[1, 1]], 1e-3)[0]
    assert entropy.isfinite().all()


def test_model_whose_logits_are_no_numbers_is_not_sampled() -> None:
    model = new_model()
    model.model.norm.weight.data[:] = math.nan
    for temperature in (0, 1):
        with pytest.raises(ValueError, match="logits that are not numbers"):
            model.generate(prompt(), 4, temperature=temperature, generator=torch.Generator())


@pytest.mark.parametrize("temperature", [DENORMAL, 1e-300, 1e-45, 1e13, HUGE])
def test_labels_at_an_extreme_temperature_are_their_limit(temperature: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cold, hot = tempered((0.4, 0.4, 0.2, 0.0), temperature), temperature > 1
    np.testing.assert_allclose(cold, [1 / 3] * 3 + [0] if hot else [1 / 2, 1 / 2, 0, 0], atol=1e-12)


@pytest.mark.parametrize("nats", [math.nan, math.inf, -math.inf, HUGE])
def test_entropy_that_is_none_is_refused(nats: float) -> None:
    with pytest.raises(ValueError, match="entropy must be"):
        matching_temperature(new_model(), [TASK.document(0, 0)], nats)


# --- every other real setting ---

REAL = {
    RewardShaping: ("beta", "lambda_head", "lambda_tail"),
    PlaygroundState: ("beta", "lambda_head", "lambda_tail", "lr"),
    PretrainConfig: ("lr", *CONTROLS, "final_lr_share", "weight_decay", "max_grad_norm"),
    GRPOConfig: ("lr", "weight_decay", "max_grad_norm", "epsilon", "epsilon_high", "kl_coef"),
    ChainSum: ("reasoned_share", "slip_rate", "direct_noise"),
    Countdown: ("hit_rate", "slip_rate"),
}
CASES = [(kind, name) for kind, names in REAL.items() for name in names]


def made(kind: type, name: str, value: Any) -> Any:
    """Settings with that value, or None if it is refused in a sentence that begins with the name."""
    try:
        return kind(**{name: value})
    except ValueError as error:
        message = str(error)
    assert re.match(rf"{name} must be ", message)
    return None


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_extreme_is_refused_or_written_as_json(kind: type, name: str) -> None:
    for value in [*EXTREMES, *(-value for value in EXTREMES)]:
        settings = made(kind, name, value)
        if settings is not None:
            assert math.isfinite(getattr(settings, name))
            json.dumps({name: getattr(settings, name)}, allow_nan=False)


@pytest.mark.parametrize("name", REAL[PlaygroundState])
@pytest.mark.parametrize("form", ["product", "exponent"])
@pytest.mark.parametrize("labels", [(0.5, 0.5), (1.0, 0.0), (1 - 1e-6, 1e-6), (1.0, DENORMAL)])
def test_playground_has_a_policy_at_every_extreme_it_takes(
    name: str, form: Any, labels: tuple[float, ...]
) -> None:
    ends = [*EXTREMES, *playground.state.LIMITS[name]]
    for value in [*ends, *(-end for end in ends)]:
        state = made(PlaygroundState, name, value)
        for start in ("uniform", "labels"):
            if state is not None:
                given = replace(state, form=form, start=start, steps=60, tokens=("a", "b"), labels=labels)
                assert np.isfinite(given.policy()).all()
                assert given.policy().sum() == pytest.approx(1)


def test_limits_of_the_playground_are_those_of_its_addresses() -> None:
    text = (Path(playground.__file__).parent / "state.js").read_text(encoding="utf-8")
    limits = {
        name: tuple(json.loads(span)) for name, span in re.findall(r"^    (\w+): (\[[^\]]*\]),$", text, re.M)
    }
    ours = playground.state.LIMITS | playground.state.WHOLE_LIMITS
    assert {name: limits[name] for name in ours} == ours


def test_path_that_overflows_is_refused_and_a_step_of_nothing_stays() -> None:
    with pytest.raises(ValueError, match=r"^lr must be lower"):
        policy_flow([0, 0, 0], Q, RewardShaping(lambda_head=1e6, lambda_tail=-1e6, top_k=1), 50, HUGE)
    np.testing.assert_allclose(policy_flow([0, 0, 0], Q, RewardShaping(), 3, DENORMAL), 1 / 3)


def test_flow_of_a_shaping_at_its_ends_gives_numbers() -> None:
    for form in ("product", "exponent"):
        for beta in (-1.25, 100.0):
            shaping = RewardShaping(beta, 1e6, -1e6, 1, form)  # type: ignore[arg-type]
            assert np.isfinite(policy_flow([0, 1, 2], Q, shaping, 20, 0.1)).all()


@pytest.mark.parametrize(
    ("name", "value"), [("rope_theta", v) for v in EXTREMES] + [("rms_norm_eps", v) for v in EXTREMES]
)
def test_model_of_an_extreme_shape_gives_logits_or_is_refused(name: str, value: Any) -> None:
    try:
        config = replace(new_model().config, **{name: value})
    except ValueError as error:
        config, message = None, str(error)
    if config is None:
        assert message.startswith(f"{name} must be ")
    else:
        assert GPT(config)(torch.zeros(1, 30, dtype=torch.long)).isfinite().all()


@pytest.mark.parametrize("noise", [0, DENORMAL, 1e-300, 1e6])
def test_noise_of_a_guess_at_its_ends_gives_documents_and_a_prediction(noise: float) -> None:
    task = replace(TASK, direct_noise=noise, reasoned_share=DENORMAL, slip_rate=DENORMAL)
    assert len(task.document(0, 0)) > 0
    assert all(map(math.isfinite, predict_chain(task, RewardShaping(beta=-0.25)).entropy_by_position))


def test_rewards_beyond_a_float_are_refused() -> None:
    with pytest.raises(ValueError, match="probs must give the target more than 0"):
        cross_entropy_rewards([1.0, DENORMAL], 1)
    for rewards in ([HUGE, 0.0], [math.nan, 0.0]):
        with pytest.raises(ValueError, match="rewards must be 2 finite numbers"):
            reinforce_variance([0.5, 0.5], rewards)
    with pytest.raises(ValueError, match="baseline must be a finite number"):
        reinforce_gradient([0.5, 0.5], [1, 0], [1, 1], math.inf)
    with pytest.raises(ValueError, match="beta must be"):
        expected_score(Q, Q, HUGE)


# --- groups ---


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize(
    "rewards",
    [
        torch.ones(3, 1), torch.ones(3, 0), torch.ones(0, 4), torch.ones(4), torch.ones(2, 2).long(),
        torch.tensor([[1.0, math.nan]]), torch.tensor([[1.0, math.inf]]), torch.tensor([[-math.inf, 0.0]]),
        torch.tensor([[3e38, -3e38]]),
    ],
)  # fmt: skip
def test_group_of_one_and_rewards_that_are_no_numbers_have_no_advantages(
    scale: Any, rewards: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match=r"^rewards must be "):
        group_advantages(rewards, scale)


def test_settings_of_the_loss_that_make_no_sense_are_named() -> None:
    two = torch.zeros(2, 3)
    arguments = {"epsilon": 0.2, "epsilon_high": 0.2, "loss_type": "dapo", "max_completion_length": 3}
    for name, value in (
        ("epsilon", 2),
        ("epsilon_high", HUGE),
        ("loss_type", "sum"),
        ("max_completion_length", 0),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must be "):
            grpo_loss(two, two, torch.ones(2), two == 0, **(arguments | {name: value}))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale_rewards must be one of"):
        group_advantages(two, "std")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="loss_type must be one of"):
        masked_mean(two, two == 0, "mean", 3)  # type: ignore[arg-type]


# --- counts ---

COUNTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "pass_at_k: k": ("k", lambda n: pass_at_k(5, 2, n)),
    "bootstrap_interval: resamples": ("resamples", lambda n: bootstrap_interval([0, 1], 0, resamples=n)),
    "percentile_interval: problems": ("problems", lambda n: percentile_interval(lambda rows: rows.mean(1), n, 0)),
    "calibration: bins": ("bins", lambda n: calibration([0.5], [1], n)),
    "repetition: n": ("n", lambda n: repetition([[1, 2, 3]], n)),
    "distinct: n": ("n", lambda n: distinct([[1, 2, 3]], n)),
    "policy_flow: steps": ("steps", lambda n: policy_flow([0, 0, 0], Q, RewardShaping(), n, 0.1)),
    "simplex_field: resolution": ("resolution", lambda n: simplex_field(RewardShaping(), Q, n)),
    "reinforce_residual: samples": ("samples", lambda n: reinforce_residual(Q, (1, 0, 0), n, 2, 0)),
    "reinforce_residual: repeats": ("repeats", lambda n: reinforce_residual(Q, (1, 0, 0), 2, n, 0)),
    "predict_chain: problems": ("problems", lambda n: predict_chain(TASK, RewardShaping(), n)),
    "generate": ("num_generations", lambda n: new_model().generate(prompt(), 2, num_generations=n)),
    "generate: length": ("max_completion_length", lambda n: new_model().generate(prompt(), n)),
    "draw_samples: prompts": ("prompts", lambda n: draw_samples(new_model(), TASK, prompts=n)),
    "draw_samples: samples": ("samples", lambda n: draw_samples(new_model(), TASK, samples=n)),
    "evaluate_documents: batch_size": ("batch_size", lambda n: evaluate_documents(new_model(), [[1, 2, 3]], n)),
    "sample_records": ("problems", lambda n: sample_records(new_model(), TASK, EvaluationConfig(), problems=n)),
    **{
        f"{kind.__name__}: {name}": (name, lambda n, kind=kind, name=name: kind(**{name: n}))  # type: ignore[misc]
        for kind, names in {
            RewardShaping: ("top_k",),
            EvaluationConfig: ("problems", "samples", "documents", "batch_size"),
            PretrainConfig: ("steps", "batch_size", "warmup_steps", "eval_every", "eval_documents", "save_every"),
            GRPOConfig: ("steps", "prompts_per_step", "num_generations", "num_minibatches", "num_iterations",
                         "max_completion_length", "max_refills", "save_every"),
            PlaygroundState: ("steps", "top_k"),
            ChainSum: ("num_operands", "max_operand"),
            Countdown: ("count", "max_number", "max_attempts"),
            GPTConfig: ("vocab_size",),
            StudyConfig: ("workers", "top_k"),
        }.items()
        for name in names
    },
}  # fmt: skip


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "value",
    [1.5, 2.0, -1, math.nan, math.inf, True, np.bool_(True), "2", [2], np.array([2, 3]), np.float64(2),
     Fraction(3, 2), Decimal(2), 2j, torch.tensor(2), np.array(2)],
    ids=repr,
)  # fmt: skip
def test_half_a_sample_is_refused_by_name(count: str, value: Any) -> None:
    name, use = COUNTS[count]
    with pytest.raises(ValueError, match=rf"^{name} must be ") as refused:
        use(value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("n", "c"), [(5.0, 2), (5, 2.0), (5, math.nan), (5, "2"), ([5, 4], [1.5, 1]), (5, None)])
def test_counts_of_pass_at_k_are_whole(n: Any, c: Any) -> None:
    with pytest.raises(ValueError, match="n and c must be whole numbers"):
        pass_at_k(n, c, 1)


def test_pass_at_k_of_narrow_counts_does_not_overflow() -> None:
    assert pass_at_k(np.uint8(200), np.uint8(100), 3) == pass_at_k(200, 100, 3)  # type: ignore[call-overload]
    np.testing.assert_array_equal(
        pass_at_k(np.int8(100), np.array([3, 4], np.uint64), 2), pass_at_k(100, [3, 4], 2)
    )


def test_tables_with_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="rewards must hold finite numbers"):
        avg_at_m([[1, math.nan]])
    with pytest.raises(ValueError, match="correct must say"):
        cons_at_m([["1", "2"]], [[math.nan, 1]])
    with pytest.raises(ValueError, match="correct must say"):
        calibration([0.5, 0.5], [1, math.nan])
    for counts in ([1.5, 1], [math.inf, 1], [math.nan, 1], [-1, 2]):
        with pytest.raises(ValueError, match="counts must hold a whole number"):
            bootstrap_interval([0, 1], 0, counts=counts)
    for counts in ([0.5, 1], [math.inf, 1]):
        with pytest.raises(ValueError, match="counts must be whole numbers"):
            reinforce_gradient([0.5, 0.5], [1, 0], counts)
    with pytest.raises(ValueError, match="resamples must be more"):
        bootstrap_interval([1] + [0] * 50, 2, counts=[1] + [0] * 50, resamples=1)
    for documents in ([], [[1]], [[]]):
        with pytest.raises(ValueError, match="documents must hold one of two tokens"):
            evaluate_documents(new_model(), documents, 2)


@pytest.mark.parametrize("token", [1.5, 2.0, math.nan, "2", None, -1, 10**400, np.float64(2)])
def test_half_a_token_is_none(token: Any) -> None:
    with pytest.raises(ValueError, match=r"^prompts must be or hold ids"):
        new_model().generate([[2, token]], 2, temperature=0)
    with pytest.raises(ValueError, match=r"^eos_id must be or hold ids"):
        new_model().generate([[2]], 2, temperature=0, eos_id=[token])
    with pytest.raises(ValueError, match=r"^ids must be in"):
        TASK.decode([2, token])
    assert TASK.decode(np.array([2, 6])) == TASK.decode(torch.tensor([2, 6])) == TASK.decode([2, 6])  # type: ignore[arg-type]


@pytest.mark.parametrize("target", [0.5, 1.0, -1, 3, True, None, "1"])
def test_half_a_target_is_none(target: Any) -> None:
    for reward in HIDDEN_REWARDS.values():
        with pytest.raises(ValueError, match="target must be an id"):
            reward.rewards(Q, target)
    with pytest.raises(ValueError, match="target must be an id"):
        cross_entropy_rewards(Q, target)
    with pytest.raises(ValueError, match="target must hold ids"):
        token_rewards(torch.tensor(Q), torch.tensor(0.5), RewardShaping())


@pytest.mark.parametrize("number", [0.5, 1.0, math.nan, "1", True, None])
def test_half_a_document_is_none(number: Any) -> None:
    for draw in (TASK.document, TASK.problem, Countdown().document, Countdown().problem):
        for seed, index in ((number, 0), (0, number)):
            with pytest.raises(ValueError, match="seed and index must be whole numbers"):
                draw(seed, index)
    assert TASK.document(np.int64(3), np.uint8(4)) == TASK.document(3, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("ks", [5, 1.5, (1.5,), (True,), ("1",), (0,), (np.float64(1),), None])
def test_ks_are_whole(ks: Any) -> None:
    with pytest.raises(ValueError, match=r"^ks must be whole numbers"):
        EvaluationConfig(ks=ks)


# --- numbers of other types ---


class Two(IntEnum):
    TWO = 2


WHOLE = (np.int8(2), np.uint8(2), np.int64(2), np.uint64(2), Two.TWO, np.array([2])[0])
HALF = (np.float16(0.5), np.float32(0.5), np.float64(0.5), np.longdouble(0.5), Fraction(1, 2))
SETTINGS: tuple[Callable[..., Any], ...] = (
    RewardShaping, ModelShape, PretrainConfig, GRPOConfig, EvaluationConfig, ChainSum, Countdown, PlaygroundState,
    lambda **given: GPTConfig(**{"vocab_size": 8, **given}), StudyConfig,
)  # fmt: skip


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_take_every_number_and_write_pythons(kind: Callable[..., Any]) -> None:
    usual, tried = kind(), 0
    for field in fields(usual):
        for numbers, plain in ((WHOLE, 2), (HALF, 0.5)):
            if not isinstance(getattr(usual, field.name), (int, float, type(None))):
                continue
            try:
                wanted = kind(**{field.name: plain})
            except (ValueError, TypeError):
                continue  # not a setting that takes this number
            if type(getattr(wanted, field.name)) is not type(plain):
                continue
            for number in numbers:
                settings = kind(**{field.name: number})
                assert settings == wanted
                assert type(getattr(settings, field.name)) is type(plain)
                assert config_to_dict(settings) == config_to_dict(wanted)
                json.dumps(config_to_dict(settings), allow_nan=False)
                tried += 1
    assert tried


def test_rows_of_numbers_are_pythons_too(tmp_path: Path) -> None:
    study = StudyConfig(tmp_path, arms=["ce"], seeds=np.arange(2))  # type: ignore[arg-type]
    assert study == StudyConfig(tmp_path, arms=("ce",), seeds=(0, 1))
    write_json(tmp_path / "a.json", study.settings())
    json.dumps([row.identity for row in study.spec().rows])
    assert EvaluationConfig(ks=np.array([1, 4])) == EvaluationConfig(ks=(1, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [Decimal("0.5"), np.array(0.5), torch.tensor(0.5), True, np.True_, 1j, "0.5", [0.5]]
)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_is_no_number_is_refused_by_name(kind: type, name: str, value: Any) -> None:
    assert made(kind, name, value) is None


def test_model_shape_of_numpy_is_a_model() -> None:
    shape = ModelShape(**{f.name: np.asarray(getattr(SHAPE, f.name))[()] for f in fields(SHAPE)})
    assert shape == SHAPE
    assert repr(shape.config(TASK)) == repr(SHAPE.config(TASK))


@pytest.mark.parametrize("correct", [["no"], [None]])
def test_a_word_is_not_a_right_answer(correct: list[object]) -> None:
    with pytest.raises(ValueError, match="correct must say of each sample whether it is right"):
        cons_at_m([["1"]], [correct])


def test_an_interval_of_numbers_whose_sum_overflows_is_refused_and_a_list_is_a_row() -> None:
    with pytest.raises(ValueError, match=r"values must be numbers of at most 1e\+150"):
        bootstrap_interval([1e308, 1e308], 0)
    assert estimate([1, 2], 0)["value"] == 1.5


@pytest.mark.parametrize(
    ("name", "value"),
    [("labels", None), ("labels", [1j] * 8), ("labels", ["a"] * 8), ("tokens", None), ("tokens", 3)],
)
def test_a_state_of_the_playground_names_what_is_no_row(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        PlaygroundState(**{name: value})
