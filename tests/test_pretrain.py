import itertools
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import SHAPE, TASK, new_model
from torch import Tensor

from pgce_mini.gpt import GPT
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import Run, RunError, load_model
from pgce_mini.tasks import PAD_ID, ChainSum, Text
from pgce_mini.training import (
    CONTROLS,
    PretrainConfig,
    adamw,
    check_device,
    clip_gradient,
    learning_rate,
    pretrain,
)


def config(run_dir: Path, **changes: Any) -> PretrainConfig:
    tiny = PretrainConfig(
        run_dir=run_dir, corpus=TASK, model=SHAPE, steps=8, batch_size=6, warmup_steps=2, decay_steps=2,
        eval_every=100, eval_documents=4,
    )  # fmt: skip
    return replace(tiny, **changes)


def train(run_dir: Path, **changes: Any) -> Run:
    return pretrain(config(run_dir, **changes), progress=False)


def losses_by_document(model: GPT, documents: list[list[int]]) -> Tensor:
    """The cross-entropy of every target, one document at a time. (N)"""
    ids = [torch.tensor(document) for document in documents]
    return torch.cat([F.cross_entropy(model(d[None, :-1])[0], d[1:], reduction="none") for d in ids])


# --- what is learnt ---


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """400 steps on sums without noise: slips and guesses gone, only the operands are random."""
    return train(
        tmp_path_factory.mktemp("learnt"),
        corpus=replace(TASK, reasoned_share=1.0, slip_rate=0.0),
        steps=400, batch_size=32, lr=1e-2, warmup_steps=20, decay_steps=100, eval_every=200, eval_documents=200,
    )  # fmt: skip


def test_plain_cross_entropy_falls_to_what_the_documents_cannot_tell(learnt: Run) -> None:
    rows = learnt.metrics()
    model, _ = load_model(learnt.path)
    assert rows[0]["cross_entropy"] == pytest.approx(math.log(model.config.vocab_size), abs=0.3)
    # Of 16 targets four operands are uniform over 4 values and '=' or '≡' over 2; all else follows.
    floor = (4 * math.log(4) + math.log(2)) / 16
    assert floor - 0.005 < rows[-1]["heldout_cross_entropy"] < 1.15 * floor
    assert rows[-1]["heldout_cross_entropy"] == pytest.approx(rows[-1]["heldout_entropy"], abs=0.05)


def test_heldout_documents_are_judged_now_and_then_and_at_the_end_on_the_saved_model(learnt: Run) -> None:
    judged = {row["step"]: row["heldout_cross_entropy"] for row in learnt.metrics() if "heldout_entropy" in row}
    assert list(judged) == [200, 400]
    model, corpus = load_model(learnt.path)
    with torch.no_grad():
        losses = losses_by_document(model, [corpus.document(0, index, "heldout") for index in range(200)])
    assert losses.mean().item() == pytest.approx(judged[400], rel=1e-4)


# --- one step ---


def test_cross_entropy_arm_is_a_plain_torch_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle pads, ignores padding, and knows nothing of rewards or packing."""
    ticks = itertools.count()  # a step takes a second
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(sys.modules[pretrain.__module__], "time", clock)
    settings = config(tmp_path, max_grad_norm=0.5)
    run = pretrain(settings, progress=False)
    model = new_model()
    decayed = [p for name, p in model.named_parameters() if "norm" not in name]
    kept = [p for name, p in model.named_parameters() if "norm" in name]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": kept, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.95))
    rates = [0.5, 1, 1, 1, 1, 1, 0.55, 0.1]  # two steps up, two down to a tenth
    for step, (row, rate) in enumerate(zip(run.metrics(), rates, strict=True)):
        documents = [TASK.document(0, 6 * step + i) for i in range(6)]
        longest = max(map(len, documents))
        ids = torch.tensor([document + [PAD_ID] * (longest - len(document)) for document in documents])
        targets = ids[:, 1:].masked_fill(ids[:, 1:] == PAD_ID, -100)
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters() if p.grad is not None))
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad *= min(1.0, 0.5 / norm)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * rate
        optimizer.step()
        log_probs = logits.log_softmax(-1)[targets != -100]
        entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
        assert row["loss"] == pytest.approx(loss.item(), rel=1e-4)
        assert row["cross_entropy"] == pytest.approx(loss.item(), rel=1e-4)
        assert row["entropy"] == pytest.approx(entropy.item(), rel=1e-4)
        assert row["grad_norm"] == pytest.approx(norm, rel=1e-3)
        assert row["lr"] == pytest.approx(settings.lr * rate)
        assert row["tokens_per_second"] == sum(len(document) - 1 for document in documents)
    trained, _ = load_model(tmp_path)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], weight, rtol=0, atol=2e-4)


@pytest.mark.parametrize("arm", ["precision", "diversity", "tail-penalty", "head-reward"])
def test_logged_cross_entropy_and_entropy_are_plain_whatever_the_arm(arm: str, tmp_path: Path) -> None:
    shaping = replace(PAPER_ARMS[arm], top_k=5)
    settings = {"steps": 2, "warmup_steps": 0, "decay_steps": 0}
    first, second = train(tmp_path / "shaped", shaping=shaping, **settings).metrics()
    plain_first, plain_second = train(tmp_path / "plain", **settings).metrics()
    assert first["cross_entropy"] == plain_first["cross_entropy"]
    assert first["entropy"] == plain_first["entropy"]
    assert first["loss"] != pytest.approx(first["cross_entropy"], rel=1e-3)
    assert second["cross_entropy"] != plain_second["cross_entropy"]


def test_arms_with_one_seed_see_the_same_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    document = ChainSum.document

    def spy(self: ChainSum, seed: int, index: int, split: Any = "train") -> list[int]:
        asked.append((seed, index, split))
        return document(self, seed, index, split)

    monkeypatch.setattr(ChainSum, "document", spy)
    seen = []
    for arm in ("ce", "diversity"):
        asked.clear()
        train(tmp_path / arm, shaping=PAPER_ARMS[arm], seed=7)
        seen.append(list(asked))
    assert seen[0] == seen[1]
    _, *training = [key for key in seen[0] if key[2] == "train"]  # the first only shows that there are any
    assert training == [(7, index, "train") for index in range(8 * 6)]  # each document once, in order


def test_first_weights_come_from_the_seed_alone(tmp_path: Path) -> None:
    models = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        run = train(tmp_path / str(seed), steps=1, warmup_steps=0, decay_steps=0)
        models.add(run.model_path.read_bytes())
    assert len(models) == 1


# --- learning rate and weight decay ---


def test_learning_rate_warms_up_stays_and_decays(tmp_path: Path) -> None:
    settings = config(tmp_path, steps=10, warmup_steps=4, decay_steps=3, lr=0.4, final_lr_share=0.25)
    rates = [learning_rate(settings, step) for step in range(1, 11)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.3, 0.2, 0.1])
    constant = replace(settings, warmup_steps=0, decay_steps=0)
    assert {learning_rate(constant, step) for step in range(1, 11)} == {0.4}


def test_warmup_and_decay_follow_the_number_of_steps(tmp_path: Path) -> None:
    for steps, warmup, decay in ((5, 0, 1), (100, 10, 20), (600, 50, 120), (10_000, 50, 2000)):
        settings = config(tmp_path, steps=steps, warmup_steps=None, decay_steps=None)
        assert (settings.warmup, settings.decay) == (warmup, decay)


def test_weight_decay_pulls_on_matrices_alone() -> None:
    model = new_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = adamw(model, lr=0.5, weight_decay=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 1.0 if "norm" in name else 1 - 0.5 * 0.1
        torch.testing.assert_close(parameter.detach(), factor * before[name], msg=name)


def test_gradient_is_clipped_and_its_norm_before_returned() -> None:
    model = torch.nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradient(model, 10.0, step=1) == pytest.approx(5)
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    assert clip_gradient(model, 1.0, step=1) == pytest.approx(5)
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.8]]))


# --- mid-training ---


def test_mid_training_goes_on_from_the_prior_with_more_reasoning_and_a_falling_rate(tmp_path: Path) -> None:
    prior = train(tmp_path / "prior")
    more = replace(TASK, reasoned_share=0.9)
    settings = config(tmp_path / "mid", corpus=more, init_from=prior.path, warmup_steps=0, decay_steps=8, lr=4e-3)
    mid = pretrain(settings, progress=False)
    assert [row["lr"] for row in mid.metrics()] == pytest.approx([4e-3 * (1 - 0.9 * i / 8) for i in range(1, 9)])
    model, _ = load_model(prior.path)
    losses = losses_by_document(model, [more.document(0, index) for index in range(6)])
    assert mid.metrics()[0]["cross_entropy"] == pytest.approx(losses.mean().item(), rel=1e-4)
    assert load_model(mid.path)[1] == more


def test_prior_of_another_vocabulary_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    prior = train(tmp_path / "prior")
    with pytest.raises(RunError, match="another vocabulary"):
        train(tmp_path / "mid", corpus=ChainSum(num_operands=6, max_operand=3), init_from=prior.path)
    assert not (tmp_path / "mid").exists()


# --- what is refused ---


@pytest.mark.parametrize(
    ("steps", "lr", "sign"),
    [
        (8, 1e30, r"diverged at step 2 \(its gradient is nan\): lower lr, or take a milder shaping"),
        (1, 1e38, r"diverged at step 1 \(model gives logits that are not numbers"),  # in the last update
    ],
)
def test_divergence_is_named_with_its_step_and_not_saved(steps: int, lr: float, sign: str, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=sign):
        train(tmp_path, lr=lr, steps=steps, warmup_steps=0, decay_steps=0)
    assert not Run(tmp_path).finished


def test_gradient_that_is_no_number_leaves_the_weights_alone() -> None:
    model = torch.nn.Linear(2, 1, bias=False)
    weight = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[math.nan, 1.0]])
    with pytest.raises(FloatingPointError, match="step 7"):
        clip_gradient(model, 1.0, step=7)
    assert torch.equal(model.weight, weight)


@pytest.mark.parametrize("device", ["tpu", "", "CPU", "cpus", "cuda:x", "cuda:", "meta"])
def test_unknown_device_is_refused_before_a_folder_is_made(device: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device must be cpu, cuda or mps"):
        train(tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


def test_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for device in ("cuda", "cuda:1", "mps"):
        with pytest.raises(ValueError, match=f"device '{device}' is not on this machine"):
            check_device(device)
    check_device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cuda:2", "cuda:256", "cpu:1"):
        with pytest.raises(ValueError, match=rf"device '{device}' is not on this machine, where the last is"):
            check_device(device)
    for device in ("cuda", "cuda:1"):
        check_device(device)


def test_documents_too_long_for_the_model_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    text = Text(tokenizer="char", context_length=33)
    with pytest.raises(ValueError, match="max_position_embeddings must be at least 33"):
        train(tmp_path / "run", corpus=text)
    assert not (tmp_path / "run").exists()


def test_text_too_short_to_hold_some_out_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("the cat sat on the mat. " * 50)
    text = Text(path=str(book), tokenizer="char", context_length=32)
    with pytest.raises(ValueError, match=r"context_length smaller: no heldout stretch of '.*book\.txt' has 33"):
        train(tmp_path / "run", corpus=text)
    assert not (tmp_path / "run").exists()
    assert train(tmp_path / "run", corpus=replace(text, context_length=8), steps=2, decay_steps=0).finished


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("batch_size", 1.5), ("eval_every", 0), ("eval_documents", 0), ("save_every", True),
        ("seed", -1), ("seed", 2**64), ("warmup_steps", -1), ("decay_steps", 0.5), ("lr", 0), ("lr", math.nan),
        ("lr", -1), ("weight_decay", -0.1), ("max_grad_norm", 0), ("final_lr_share", 1.5),
        ("label_smoothing", 1.1), ("focal_gamma", -1), ("gem_beta", -1), ("coverage_samples", 1e-9),
        ("maxrl_order", math.inf),
    ],
)  # fmt: skip
def test_value_that_makes_no_sense_is_refused_by_name(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=name):
        config(tmp_path, **{name: value})


@pytest.mark.parametrize(("changes", "message"), [
    ({"warmup_steps": 5, "decay_steps": 4}, r"warmup_steps \+ decay_steps must be at most steps=8, got 5 \+ 4"),
    ({"label_smoothing": 0.1, "focal_gamma": 2.0}, "different losses: set one"),
    ({"gem_beta": 0.7, "maxrl_order": 2}, "different losses: set one"),
    ({"label_smoothing": 0.1, "shaping": RewardShaping(lambda_tail=-0.1, top_k=6)}, "different losses: set one"),
])  # fmt: skip
def test_values_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **changes)


CONTROL_LOSSES = {  # from log pi (N, V) and log p (N) of the true tokens
    "label_smoothing": (0.1, lambda logps, true: -(0.9 * true + 0.1 * logps.mean(1))),
    "focal_gamma": (2.0, lambda logps, true: -((1 - true.exp()) ** 2) * true),
    "gem_beta": (0.5, lambda logps, true: ((2 * logps).softmax(1) * logps).sum(1) - true),
    "coverage_samples": (2.0, lambda logps, true: -(2 - 2 * true.exp()) / (2 - true.exp()) * true),
    "maxrl_order": (2.0, lambda logps, true: -(1 - (1 - true.exp()) ** 2) * true),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_control_losses_are_those_of_their_definition(name: str, tmp_path: Path) -> None:
    value, definition = CONTROL_LOSSES[name]
    run = train(tmp_path, steps=1, warmup_steps=0, decay_steps=0, **{name: value})
    documents = [torch.tensor(TASK.document(0, i)) for i in range(6)]
    model = new_model()
    logps = torch.cat([model(document[None, :-1])[0] for document in documents]).log_softmax(-1)  # (N, V)
    true = logps.gather(1, torch.cat([document[1:] for document in documents])[:, None]).squeeze(1)
    row = run.metrics()[0]
    assert row["loss"] == pytest.approx(definition(logps, true).mean().item(), rel=1e-5)
    assert row["cross_entropy"] == pytest.approx(-true.mean().item(), rel=1e-5)
    assert run.config()["config"][name] == value


def test_plain_text_can_be_learnt(tmp_path: Path) -> None:
    text = Text(tokenizer="char", context_length=24)
    rows = train(tmp_path, corpus=text, shaping=RewardShaping(beta=-0.25)).metrics()
    assert rows[-1]["cross_entropy"] < rows[0]["cross_entropy"]
