"""What a machine without an accelerator can tell about one: float64, which MPS lacks, is made on the host alone,
and no tensor is made on whatever device is the default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tiny import SHAPE, TASK
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pgce_mini import RewardShaping
from pgce_mini.evaluation import EvaluationConfig, evaluate, matching_temperature
from pgce_mini.gpt import GPT
from pgce_mini.teaching.grpo_trace import trace_step
from pgce_mini.training import GRPOConfig, PretrainConfig, adamw, distributed, sample_rollout, update_policy
from pgce_mini.training.pretrain import _heldout, _update

CONFIG = GRPOConfig(
    prompts_per_step=2, num_generations=4, kl_coef=0.1, dynamic_sampling=False, mask_truncated_completions=False
)


def gpt() -> GPT:
    return GPT(SHAPE.config(TASK), device="cpu")


def evaluated() -> object:
    return evaluate(gpt(), TASK, EvaluationConfig(problems=3, samples=4, ks=(1,), documents=5, batch_size=4))


def rl_step() -> object:
    model = gpt()
    rollout, _ = sample_rollout(model, TASK, CONFIG, step=1)
    assert rollout is not None
    return update_policy(model, gpt(), adamw(model, 1e-3, 0.0), rollout, CONFIG, 5, step=1)


def traced() -> object:
    return trace_step(gpt(), TASK, CONFIG).ratio_after.tolist()


def matched() -> object:
    return matching_temperature(gpt(), [TASK.document(0, index, "heldout") for index in range(5)], 1.0)


def pretrained() -> object:
    shaping = RewardShaping(lambda_tail=-0.1, top_k=5)
    config = PretrainConfig(corpus=TASK, model=SHAPE, batch_size=4, eval_documents=5, shaping=shaping)
    model = gpt()
    row = _update(model, adamw(model, 1e-3, 0.1), config, step=1)
    del row["tokens_per_second"]
    return row | _heldout(model, config, step=1)


each_use = pytest.mark.parametrize("use", [evaluated, rl_step, traced, matched, pretrained])


class NoFloat64(TorchDispatchMode):
    """Refuses float64, as MPS does, but for what is made of tensors that `.cpu()` gave."""

    def __init__(self) -> None:
        super().__init__()
        self.on_host: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        doubles = [x for x in tree_leaves(out) if isinstance(x, Tensor) and x.dtype == torch.float64]
        if doubles:
            given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
            if not given or any(all(x is not host for host in self.on_host) for x in given):
                raise TypeError(f"{func} makes float64 on the device")
            self.on_host += doubles
        return out


@pytest.fixture
def no_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    mode = NoFloat64()

    def cpu(tensor: Tensor) -> Tensor:
        mode.on_host.append(tensor.clone())  # on this machine `.cpu()` does nothing that could be seen
        return mode.on_host[-1]

    monkeypatch.setattr(Tensor, "cpu", cpu)
    with mode:
        yield


@each_use
@pytest.mark.usefixtures("no_float64")
def test_float64_is_made_on_the_host_alone(use: Callable[[], object]) -> None:
    use()


@pytest.mark.usefixtures("no_float64")
def test_float64_on_the_device_would_be_seen() -> None:
    assert torch.ones(2).cpu().double().mean().item() == 1
    with pytest.raises(TypeError, match="float64 on the device"):
        torch.ones(2).double()


@each_use
def test_the_default_device_is_asked_for_nothing(use: Callable[[], object]) -> None:
    """Nothing can be read from the meta device."""
    found = use()
    with torch.device("meta"):
        assert use() == found


def test_numbers_that_processes_exchange_are_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_gather", lambda every, own: [each.copy_(own) for each in every])
    with torch.device("meta"):
        assert distributed.counts(3) == [3, 3]


def test_a_model_made_under_another_default_device_is_whole_and_on_the_cpu() -> None:
    with torch.device("meta"):
        model = gpt()
    assert {x.device.type for x in (*model.parameters(), *model.buffers())} == {"cpu"}
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(ids), gpt()(ids))
