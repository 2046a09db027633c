"""The mixture of experts: Qwen3-MoE's logits, gradients and balancing loss; what is logged; what is refused.

That packing, the KV cache, shared prompts and the files work with it is in the tests of those, shape "mixture".
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from plain_gpt import SHAPES, make, plain_mixture, random_ids, seeded
from tiny import SHAPE, TASK
from torch import Tensor, nn

from pgce_mini import GPT, PAPER_ARMS, GPTConfig, ShapedLM
from pgce_mini.cli import main
from pgce_mini.gpt.config import MIXTURE
from pgce_mini.gpt.experts import Mixture, balancing_loss, expert_load, largest_load, router_logits, routes
from pgce_mini.gpt.memory import parameter_count
from pgce_mini.gpt.model import MLP
from pgce_mini.gpt.stack import Stack
from pgce_mini.runs import Run, config_to_dict, load_model
from pgce_mini.tasks import PAD_ID
from pgce_mini.training import GRPOConfig, ModelShape, PretrainConfig, pretrain, train_grpo

EXPERTS = replace(SHAPE, num_experts=4, moe_intermediate_size=16)


def mixture(experts: int = 5, per_token: int = 2, normalize: bool = True) -> Mixture:
    """In double precision, of 6 numbers a token."""
    config = GPTConfig(9, 6, 1, 1, 1, num_experts=experts, num_experts_per_tok=per_token, norm_topk_prob=normalize)
    torch.manual_seed(0)
    return Mixture(config, (MLP(6, 4) for _ in range(experts))).double()


def stacked(gpt: GPT, layer: int) -> dict[str, Tensor]:
    """The gradients of a layer's experts as transformers holds them, all in one tensor."""
    experts: Any = gpt.model.layers[layer].mlp.experts
    return {
        "gate_up_proj": torch.stack(
            [torch.cat([e.gate_proj.weight.grad, e.up_proj.weight.grad]) for e in experts]
        ),
        "down_proj": torch.stack([e.down_proj.weight.grad for e in experts]),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 2e-6)])
@pytest.mark.parametrize("normalize", [True, False])
def test_logits_gradients_and_balancing_loss_are_those_of_transformers(
    normalize: bool, dtype: torch.dtype, tolerance: float, tmp_path: Path
) -> None:
    from transformers import Qwen3MoeForCausalLM

    ours = GPT(replace(SHAPES["mixture"], norm_topk_prob=normalize, router_aux_loss_coef=0.3), seeded())
    ours.load_state_dict(make("mixture").state_dict())
    ours.to_qwen3(tmp_path)
    ours = ours.to(dtype)
    theirs = Qwen3MoeForCausalLM.from_pretrained(tmp_path, dtype=dtype, experts_implementation="eager")
    assert theirs.config.norm_topk_prob is normalize
    ids = random_ids(4, 17)
    found = theirs(ids, labels=ids, output_router_logits=True)
    found.loss.backward()

    with router_logits(ours) as routed:
        logits = ours(ids)
    balance = balancing_loss(routed, expert_load(routed, 2), 2)
    loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()) + 0.3 * balance
    loss.backward()

    def assert_same(one: Tensor, other: Tensor) -> None:
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * other.detach().abs().max().item())

    assert_same(logits, found.logits)
    assert_same(balance, found.aux_loss.to(dtype))
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    for name, parameter in theirs.named_parameters():
        layers, _, end = name.partition(".mlp.experts.")
        expected: Any = parameter.grad
        assert_same(stacked(ours, int(layers[-1]))[end] if end else gradients[name], expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("normalize", [True, False])
def test_gradient_of_a_mixture_is_the_derivative(normalize: bool) -> None:
    layer = mixture(4, 2, normalize)
    x = torch.randn(3, 2, 6, dtype=torch.float64, generator=seeded()).requires_grad_()
    config = GPTConfig(9, 6, 1, 1, 1, num_experts=4, norm_topk_prob=normalize)
    torch.testing.assert_close(layer(x), plain_mixture(layer, x, config), rtol=0, atol=1e-14)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


def test_experts_of_a_token_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 5.0]]).log()
    weights, chosen = routes(logits, 2, True)
    assert chosen.tolist() == [[2, 1]]
    assert weights[0].tolist() == pytest.approx([5 / 7, 2 / 7])
    assert routes(logits, 2, False)[0][0].tolist() == pytest.approx([5 / 8, 2 / 8])
    assert routes(logits, 1, True)[0].tolist() == [[1]]
    assert routes(logits.bfloat16(), 2, True)[0].dtype == torch.bfloat16


def test_expert_without_a_token_has_a_gradient_of_zero() -> None:
    """None in its place would leave it out of what several processes add up."""
    layer = mixture(3, 1)
    with torch.no_grad():
        layer.gate.weight.zero_()[1] = 1
    layer(torch.ones(4, 6, dtype=torch.float64)).sum().backward()
    sizes = [sum(float(p.grad.abs().sum()) for p in expert.parameters()) for expert in layer.experts]  # type: ignore[union-attr]
    assert sizes[0] == sizes[2] == 0 < sizes[1]


# --- balance ---


def test_balancing_loss_by_hand() -> None:
    even = torch.zeros(4, 4)  # one layer, every expert as likely
    load = torch.full((1, 4), 2)
    assert balancing_loss([even], load, 2).item() == pytest.approx(2)
    assert largest_load(load).item() == pytest.approx(1)

    sure = torch.tensor([[30.0, 0, 0, 0]] * 3)  # every token to the first
    load = expert_load([sure], 1)
    assert load.tolist() == [[3, 0, 0, 0]]
    assert balancing_loss([sure], load, 1).item() == pytest.approx(4)
    assert largest_load(load).item() == pytest.approx(4)

    # two layers that make up for each other: even over both, not within either
    other = sure.roll(1, 1)
    load = expert_load([sure[:, :2], other[:, :2]], 1)
    assert load.tolist() == [[3, 0], [0, 3]]
    assert balancing_loss([sure[:, :2], other[:, :2]], load, 1).item() == pytest.approx(1)
    assert largest_load(load).item() == pytest.approx(2)


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_balancing_losses_of_parts_add_up_to_that_of_the_batch(sizes: list[int], seed: int) -> None:
    layers = [torch.randn(sum(sizes), 3, dtype=torch.float64, generator=seeded(seed + i)) for i in range(2)]
    load = expert_load(layers, 2)
    whole = balancing_loss(layers, load, 2)
    parts = [balancing_loss(list(part), load, 2) for part in zip(*(x.split(sizes) for x in layers), strict=True)]
    weighted = sum(size / sum(sizes) * part for size, part in zip(sizes, parts, strict=True))
    torch.testing.assert_close(weighted, whole, rtol=1e-12, atol=0)
    assert whole.item() >= 0
    assert 1 <= largest_load(load).item() <= 3


def test_balancing_loss_balances() -> None:
    layer = mixture(4, 1)
    tokens = torch.randn(200, 6, dtype=torch.float64, generator=seeded()) + 1
    with torch.no_grad():
        layer.gate.weight[0] += 1  # the first is everyone's favourite
    optimizer = torch.optim.Adam([layer.gate.weight], 0.05)

    def balance() -> tuple[Tensor, float]:
        with router_logits(layer) as routed:
            layer(tokens)
        load = expert_load(routed, 1)
        return balancing_loss(routed, load, 1), largest_load(load).item()

    before = balance()[1]
    for _ in range(60):
        optimizer.zero_grad()
        balance()[0].backward()
        optimizer.step()
    assert before > 3.5
    assert balance()[1] < 2


def test_routers_are_heard_only_within_the_block_and_only_of_kept_positions() -> None:
    model, ids = make("mixture"), random_ids(2, 7)
    keep = torch.arange(7) < torch.tensor([[7], [3]])
    with router_logits(model) as routed:
        model(ids, keep)
    assert [tuple(logits.shape) for logits in routed] == [(10, 5)] * 2
    model(ids, keep)
    assert len(routed) == 2
    with router_logits(make("plain")) as routed:
        make("plain")(ids)
    assert routed == []


# --- training ---


def config(run_dir: Path, **changes: Any) -> PretrainConfig:
    small: dict[str, Any] = {"model": EXPERTS, "steps": 6, "batch_size": 12, "eval_documents": 4, "lr": 3e-3}
    return PretrainConfig(run_dir=run_dir, corpus=TASK, **{**small, **changes})


def test_training_logs_the_load_saves_the_mixture_and_goes_on_to_rl(tmp_path: Path) -> None:
    run = pretrain(config(tmp_path / "prior"), progress=False)
    for row in run.metrics():
        assert 1 <= row["expert_load_max"] <= 2  # of four experts, two a token
        assert 1 < row["aux_loss"] < 3
    model, _ = load_model(run.path)
    assert model.config == EXPERTS.config(TASK)
    rl = GRPOConfig(run_dir=tmp_path / "policy", prior=run.path, steps=2, prompts_per_step=4, num_generations=4)
    rows = train_grpo(rl, progress=False).metrics()
    assert len(rows) == 2
    assert "aux_loss" not in rows[-1]


def test_balance_is_outside_of_the_shaping(tmp_path: Path) -> None:
    """The gradient is that of the arm's loss, and coef times that of the balancing loss, whatever the arm."""
    arm = replace(PAPER_ARMS["precision"], top_k=6)
    runs = {
        coef: pretrain(
            config(
                tmp_path / str(coef), steps=1, shaping=arm, max_grad_norm=1e9,
                model=replace(EXPERTS, router_aux_loss_coef=coef),
            ),
            progress=False,
        ).metrics()[0]
        for coef in (0.0, 1.0, 2.0)
    }  # fmt: skip
    rows = [{name: row[name] for name in ("loss", "cross_entropy", "aux_loss")} for row in runs.values()]
    assert rows[0] == rows[1] == rows[2]
    documents = [torch.tensor(TASK.document(0, i)) for i in range(12)]
    model = GPT(EXPERTS.config(TASK), torch.Generator().manual_seed(0))
    ids = nn.utils.rnn.pad_sequence(documents, batch_first=True, padding_value=PAD_ID)
    keep = ids[:, 1:] != PAD_ID
    with router_logits(model) as routed:
        loss = ShapedLM(model, arm)(ids[:, :-1], ids[:, 1:], keep) / keep.sum()
    balance = balancing_loss(routed, expert_load(routed, 2), 2)
    of_loss, of_balance = (
        torch.cat([g.flatten() for g in torch.autograd.grad(x, list(model.parameters()), retain_graph=True,
                                                           materialize_grads=True)])
        for x in (loss, balance)
    )  # fmt: skip
    for coef, row in runs.items():
        assert row["grad_norm"] == pytest.approx((of_loss + coef * of_balance).norm().item(), rel=1e-4)


def test_batch_in_parts_trains_as_a_whole(tmp_path: Path) -> None:
    shape = replace(EXPERTS, router_aux_loss_coef=1.0)
    runs = [
        pretrain(config(tmp_path / str(n), model=shape, gradient_accumulation_steps=n), progress=False)
        for n in (1, 3)
    ]
    for one, other in zip(*(run.metrics() for run in runs), strict=True):
        for name in ("loss", "cross_entropy", "aux_loss", "expert_load_max", "grad_norm"):
            assert one[name] == pytest.approx(other[name], rel=1e-4), name


def test_models_stacked_send_tokens_where_each_model_does() -> None:
    models = [make("mixture", seed) for seed in (0, 1)]
    prompt, uniforms = [5, 6, 7, 8], torch.rand(3, 6, generator=seeded(2))
    read, _, _ = Stack(models).write(prompt, uniforms, eos_id=1)
    for model, logits in zip(models, read, strict=True):
        torch.testing.assert_close(logits, model(torch.tensor([prompt]))[0], rtol=0, atol=1e-4)


def test_loss_under_autocast_stays_close() -> None:
    model, ids = make("mixture", scale=0.4), random_ids(4, 17)
    lm = ShapedLM(model, PAPER_ARMS["ce"])
    exact = lm(ids[:, :-1], ids[:, 1:], reduction="mean")
    with torch.autocast("cpu", torch.bfloat16):
        half = lm(ids[:, :-1], ids[:, 1:], reduction="mean")
    half.backward()
    assert half.item() == pytest.approx(exact.item(), rel=0.01)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


# --- settings ---


def test_parameters_of_the_study_are_counted_by_hand() -> None:
    attention, norms, ends = 4 * 64 * 64 + 2 * 16, 2 * 64, 39 * 64 + 64
    dense = GPTConfig(39)
    assert parameter_count(dense) == 2 * (attention + norms + 3 * 64 * 128) + ends
    experts = GPTConfig(39, num_experts=8)
    router = 64 * 8
    assert parameter_count(experts) == 2 * (attention + norms + router + 8 * 3 * 64 * 64) + ends == 233_280


def test_what_is_recorded_of_a_dense_model_is_what_was() -> None:
    assert not set(MIXTURE) & (config_to_dict(ModelShape()).keys() | config_to_dict(GPTConfig(17)).keys())
    recorded = config_to_dict(replace(EXPERTS, num_experts=8))
    assert (recorded["num_experts"], recorded["moe_intermediate_size"]) == (8, 16)
    assert recorded.keys() & {"num_experts_per_tok", "router_aux_loss_coef"} == set()  # at their defaults
    assert {field.name for field in fields(ModelShape)} >= set(MIXTURE) - {"norm_topk_prob"}


def test_files_of_a_dense_model_do_not_speak_of_experts(tmp_path: Path) -> None:
    make().to_qwen3(tmp_path)
    assert not set(MIXTURE) & json.loads((tmp_path / "config.json").read_text()).keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_experts": -1}, "num_experts must be a whole number of at least 0"),
        ({"num_experts": 2, "num_experts_per_tok": 3}, r"num_experts_per_tok must be at most .* \(2\), got 3"),
        ({"num_experts": 2, "num_experts_per_tok": 0}, "num_experts_per_tok must be a whole number of at least 1"),
        ({"num_experts": 2, "moe_intermediate_size": 0.5}, "moe_intermediate_size must be a whole number"),
        ({"num_experts": 2, "router_aux_loss_coef": -0.1}, "router_aux_loss_coef must be a number between 0 and"),
        ({"num_experts": 2, "norm_topk_prob": 1}, "norm_topk_prob must be True or False"),
        ({"moe_intermediate_size": 32}, "moe_intermediate_size is of a mixture of experts: set num_experts too"),
    ],
)  # fmt: skip
def test_experts_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        GPTConfig(**{"vocab_size": 9, **changes})


@pytest.mark.parametrize(
    ("field", "value"), [("decoder_sparse_step", 2), ("mlp_only_layers", [0]), ("norm_topk_prob", None)]
)
def test_import_names_the_setting_of_a_mixture_that_it_has_not(field: str, value: object, tmp_path: Path) -> None:
    make("mixture").to_qwen3(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=f"^{field} "):
        GPT.from_qwen3(tmp_path)


def test_command_trains_a_mixture_and_says_how_its_experts_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--steps 2 --batch-size 4 --eval-documents 4 --quiet --num-experts 4 --moe-intermediate-size 16"
    words = ["pretrain", "--run-dir", str(tmp_path / "run"), *options.split()]
    main(words)
    row = Run(tmp_path / "run").metrics()[-1]
    assert f"the busiest expert has {row['expert_load_max']:.2f} times an even share" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main([*words, "--num-experts", "1"])
    assert left.value.code == 2
    assert "num_experts_per_tok must be at most num_experts (1), got 2" in capsys.readouterr().err
