"""Settings as JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import SHAPE, TASK

from pgce_mini.evaluation import EvaluationConfig, evaluate_run
from pgce_mini.runs import config_to_dict
from pgce_mini.tasks import ChainSum
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain


def test_configuration_in_json_says_everything_but_where_it_runs() -> None:
    config = PretrainConfig(run_dir=Path("a"), corpus=TASK, model=SHAPE)
    plain = config_to_dict(config)
    assert json.loads(json.dumps(plain)) == plain
    how_it_runs = {"run_dir", "gradient_accumulation_steps", "fsdp"}
    came_later = {"gem_beta", "coverage_samples", "maxrl_order"}  # recorded where they are set
    assert plain.keys() == set(PretrainConfig.__dataclass_fields__) - how_it_runs - came_later
    assert plain["corpus"]["name"] == "chain-sum"
    assert plain["shaping"]["beta"] == 0
    assert plain == config_to_dict(replace(config, run_dir=Path("b")))


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, f.name) for kind in (PretrainConfig, GRPOConfig) for f in fields(kind) if f.type == "bool"],
)
def test_word_is_no_truth(kind: Any, field: str) -> None:
    for value in ("no", "false", 0, 1, None):
        with pytest.raises(ValueError, match=f"^{field} must be True or False, got {value!r}"):
            kind(**{field: value})
    assert getattr(kind(**{field: np.bool_(True)}), field) is True


def test_numpy_numbers_are_python_numbers_in_every_file(tmp_path: Path) -> None:
    plain = PretrainConfig(run_dir=tmp_path / "plain", corpus=TASK, model=SHAPE, steps=2, batch_size=4, lr=0.5)
    numpy = PretrainConfig(
        run_dir=tmp_path / "numpy",
        corpus=ChainSum(num_operands=np.int64(TASK.num_operands), max_operand=np.uint8(TASK.max_operand)),  # type: ignore[arg-type]
        model=replace(SHAPE, hidden_size=np.int64(SHAPE.hidden_size)),  # type: ignore[arg-type]
        steps=np.int64(2),  # type: ignore[arg-type]
        batch_size=np.uint8(4),  # type: ignore[arg-type]
        lr=np.float32(0.5),  # type: ignore[arg-type]
        seed=np.int32(0),  # type: ignore[arg-type]
    )
    for config in (numpy, plain):
        run = pretrain(config, progress=False)
        evaluate_run(run.path, EvaluationConfig(problems=2, samples=2, ks=(1, 2), documents=2), progress=False)
    for name in ("config.json", "model.safetensors", "evaluation.json"):
        assert (tmp_path / "numpy" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_numpy_numbers_in_settings_of_rl_and_evaluation_are_ready_for_json() -> None:
    rl = GRPOConfig(seed=np.int64(3), lr=np.float32(0.5))  # type: ignore[arg-type]
    judged = EvaluationConfig(samples=np.int16(4), ks=(np.int64(1), np.int64(4)))  # type: ignore[arg-type]
    for config, plain in ((rl, GRPOConfig(seed=3, lr=0.5)), (judged, EvaluationConfig(samples=4, ks=(1, 4)))):
        assert repr(config) == repr(plain)
        assert json.dumps(config_to_dict(config)) == json.dumps(config_to_dict(plain))
