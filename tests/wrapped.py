"""What each of two processes does for test_wrappers.py: one step of a `ShapedLM` under every wrapper."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from pgce_mini import GPT, GPTConfig, RewardShaping, ShapedLM, shaped_cross_entropy

PROCESSES, V, LENGTH = 2, 39, 26
SHAPING = RewardShaping(beta=-0.25, lambda_head=0.1, top_k=6)
HALF = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
FORMS = [(True, True), (False, False)]  # (tied, linear)
CASES = [
    "ddp", "ddp, checkpointed layers", "ddp within", "ddp, autocast", "fsdp", "fsdp per layer", "fsdp within",
    "fsdp per layer, checkpointed layers", "fsdp, bf16", "fsdp per layer, bf16", "fsdp per layer from meta",
    "fsdp, embedding alone",
]  # fmt: skip


def new(tied: bool, linear: bool, device: str = "cpu") -> ShapedLM:
    shape = GPTConfig(V, hidden_size=32, num_key_value_heads=2, intermediate_size=32, tie_word_embeddings=tied)
    return ShapedLM(GPT(shape, device=device), SHAPING, linear=linear)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """ids, target and keep: one process has more tokens than the vocabulary, which it looks up, one fewer."""
    ids = torch.randint(3, V, (4, LENGTH), generator=torch.Generator().manual_seed(0))
    target = ids.roll(-1, 1)
    target[0, :5] = -100
    return ids, target, torch.arange(LENGTH) < torch.tensor([26, 10, 25, 7])[:, None]


def wrapped(case: str, tied: bool, linear: bool) -> nn.Module:
    lm = new(tied, linear, "meta" if case.endswith("from meta") else "cpu")
    gpt = lm.model
    assert isinstance(gpt, GPT)
    layers = gpt.model.layers
    settings = {"mp_policy": HALF} if case.endswith("bf16") else {}
    if "checkpointed" in case:
        for i, layer in enumerate(layers):
            layers[i] = checkpoint_wrapper(layer)
    if "per layer" in case or case == "fsdp within":
        for layer in layers:
            fully_shard(layer, **settings)
    if case == "fsdp, embedding alone":
        fully_shard(gpt.model.embed_tokens)
    if case == "ddp within":
        lm.model = DistributedDataParallel(gpt)
    elif case == "fsdp within":
        fully_shard(gpt)
    elif case.startswith("ddp"):
        return DistributedDataParallel(lm)
    else:
        fully_shard(lm, **settings)
    if case.endswith("from meta"):
        lm.to_empty(device="cpu")
        whole = new(tied, linear).state_dict()
        set_model_state_dict(lm, whole, options=StateDictOptions(full_state_dict=True))
    return lm


def full(x: Tensor) -> Tensor:
    return x.full_tensor() if hasattr(x, "full_tensor") else x


def largest_error(module: nn.Module, single: nn.Module) -> float:
    """Of the gradients, relative to the norm of each in a single process."""
    pairs = zip(module.parameters(), single.parameters(), strict=True)
    return max(float((full(p.grad) - q.grad).norm() / q.grad.norm()) for p, q in pairs)


def step(case: str, tied: bool, linear: bool, rank: int) -> dict[str, Any]:
    ids, target, keep = batch()
    single = new(tied, linear)
    expected = single(ids, target, keep) / keep.sum()
    expected.backward()
    module = wrapped(case, tied, linear)
    rows = slice(rank, None, PROCESSES)
    with torch.autocast("cpu", torch.bfloat16, enabled=case.endswith("autocast")):
        loss = module(ids[rows], target[rows], keep[rows]) / keep.sum() * PROCESSES
    loss.backward()
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    value = abs(mean.item() / PROCESSES / expected.item() - 1)
    return {"gradient": largest_error(module, single), "value": value, "dtype": str(loss.dtype)}


def around_the_wrapper(rank: int) -> dict[str, Any]:
    """A loss of `ddp.module.hidden_states`, which the wrapper does not see, in place of a head."""
    ids, target, keep = batch()
    single = new(True, False)
    (single(ids, target, keep) / keep.sum()).backward()
    found = {}
    for seen in (False, True):
        gpt = new(True, False).model
        ddp, rows = DistributedDataParallel(gpt), slice(rank, None, PROCESSES)
        wanted = target[rows][keep[rows]]

        def head(hidden: Tensor, weight: Tensor, wanted: Tensor = wanted) -> Tensor:
            return shaped_cross_entropy(hidden @ weight.T, wanted, SHAPING, reduction="sum")

        if seen:
            loss = ddp(ids[rows], keep[rows], head)
        else:
            loss = head(ddp.module.hidden_states(ids[rows], keep[rows]), ddp.module.unembedding)
        (loss / keep.sum() * PROCESSES).backward()
        found["head" if seen else "around"] = largest_error(gpt, single)
    return found


def nothing_kept(rank: int, wrap: str) -> float:
    """The second process has a batch of padding alone."""
    ids, target, keep = batch()
    keep[1::2] = False
    single, module = new(False, True), wrapped(wrap, False, True)
    (single(ids, target, keep) / keep.sum()).backward()
    rows = slice(rank, None, PROCESSES)
    (module(ids[rows], target[rows], keep[rows]) / keep.sum() * PROCESSES).backward()
    return largest_error(module, single)


def generated() -> bool:
    """Whether a sharded model samples what a whole one does."""
    gpt: Any = wrapped("fsdp within", True, False).model
    register_fsdp_forward_method(gpt, "generate")
    prompts, whole = [[3, 4, 5], [6]], new(True, False).model
    assert isinstance(whole, GPT)
    both = [
        model.generate(prompts, 6, num_generations=20, generator=torch.Generator().manual_seed(0))
        for model in (gpt, whole)
    ]
    return torch.equal(both[0].completions, both[1].completions)


def process(rank: int, folder: str) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=PROCESSES)
    found: dict[str, Any] = {
        "around the wrapper": around_the_wrapper(rank),
        "nothing kept": [nothing_kept(rank, wrap) for wrap in ("ddp", "fsdp per layer")],
        "generate": generated(),
    }
    for case in CASES:
        for tied, linear in FORMS:
            if not (
                tied and case == "fsdp, embedding alone"
            ):  # a tied embedding is used outside of its module, too
                found[f"{case}; {tied=}, {linear=}"] = step(case, tied, linear, rank)
    if rank == 0:
        (Path(folder) / "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()
