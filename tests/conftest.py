"""Every test computes on one thread and, for hypothesis, on the same examples each time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tiny import SHAPE, TASK
from trainings import Training, undisturbed

from pgce_mini.training import PretrainConfig, pretrain

torch.set_num_threads(1)  # two xdist workers fill two cores, and sums are taken in one order everywhere

settings.register_profile("pgce_mini", deadline=None, derandomize=True)
settings.load_profile("pgce_mini")

MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Streamlit's AppTest leaves a page in the place of `__main__`, which every new process of a later test would
    run."""
    yield
    sys.modules["__main__"] = MAIN


@pytest.fixture(scope="session")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a tiny prior that guesses, is sometimes right, and ends most of its completions."""
    config = PretrainConfig(
        run_dir=tmp_path_factory.mktemp("prior"), corpus=replace(TASK, reasoned_share=0.3), model=SHAPE,
        steps=200, batch_size=32, lr=1e-2, eval_documents=1,
    )  # fmt: skip
    return pretrain(config, progress=False).path


@pytest.fixture(scope="session", params=["pretrain", "grpo"])
def training(request: pytest.FixtureRequest, prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Each of the two trainings, run once to its end."""
    return undisturbed(request.param, prior, tmp_path_factory.mktemp("undisturbed"))
