"""The losses and the verifiers in transformers' and TRL's trainers, and the examples that show them."""

from __future__ import annotations

import math
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SHAPE, TASK
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from pgce_mini.gpt import GPT
from pgce_mini.integrations.export import from_transformers, to_transformers
from pgce_mini.integrations.hf import PART_ROWS, PlainMetricsMixin, causal_lm_loss, plain_rows
from pgce_mini.integrations.trl import ShapedLossMixin, problem_rows, verifier_reward
from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.reward import PAPER_ARMS, RewardShaping
from pgce_mini.runs import load_model
from pgce_mini.shipped import priors
from pgce_mini.tasks import EOS_ID, Text

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ARMS = {
    "ce": RewardShaping(),
    "precision": PAPER_ARMS["precision"],
    "exponent": RewardShaping(beta=0.5, form="exponent"),
    "tail-penalty": RewardShaping(lambda_tail=-0.1, top_k=4),
}
every_arm = pytest.mark.parametrize("arm", ARMS)
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of TRL's and transformers' own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model."""
    path = tmp_path_factory.mktemp("plugs") / "model"
    to_transformers(GPT(SHAPE.config(TASK), torch.Generator().manual_seed(2)), TASK, path)
    return path


@pytest.fixture
def model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


def batch(count: int = 6) -> dict[str, Tensor]:
    """Documents right-padded, with prompts that are no targets."""
    documents = [torch.tensor(TASK.document(0, index)) for index in range(count)]
    ids = torch.nn.utils.rnn.pad_sequence(documents, batch_first=True)
    labels = ids.where(ids != 0, -100)
    labels[:, :6] = -100
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": labels}


def by_hand(model: Any, inputs: dict[str, Tensor], shaping: RewardShaping) -> tuple[Tensor, Tensor, Tensor]:
    """The sum of the shaped loss over the batch's targets; their logits, (N, V), and ids, (N)."""
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, :-1]
    target = inputs["labels"][:, 1:]
    logits, target = logits[target != -100], target[target != -100]
    return shaped_cross_entropy(logits, target, shaping, reduction="sum"), logits.detach(), target


def gradient_of(model: Any, loss: Tensor) -> Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def entropy_of(logits: Tensor) -> Tensor:
    return torch.distributions.Categorical(logits=logits).entropy()


@every_arm
def test_a_models_own_loss_is_the_shaped_one(arm: str, model: Any) -> None:
    inputs = batch()
    total, _, target = by_hand(model, inputs, ARMS[arm])
    gradient = gradient_of(model, total)
    model.loss_function = causal_lm_loss(ARMS[arm])
    for count, divisor in ((None, len(target)), (torch.tensor(7), 7), (7, 7)):
        loss = model(**inputs, num_items_in_batch=count).loss
        torch.testing.assert_close(loss * divisor, total, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(gradient_of(model, loss) * divisor, gradient, rtol=1e-4, atol=1e-5)
    shifted = F.pad(inputs["labels"], (0, 1), value=-100)[:, 1:]
    moved = model(**inputs, shift_labels=shifted).loss
    torch.testing.assert_close(moved, total / len(target), rtol=1e-5, atol=1e-5)


def test_the_loss_of_half_precision_logits_is_summed_in_single_precision() -> None:
    logits, labels = torch.zeros(1, 40_001, 8, dtype=torch.float16), torch.zeros(1, 40_001, dtype=torch.int64)
    loss = causal_lm_loss(RewardShaping())(logits, labels, num_items_in_batch=1)
    assert loss.item() == pytest.approx(40_000 * math.log(8), rel=1e-5)  # more than fp16 can hold


def test_a_shaping_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a RewardShaping"):
        causal_lm_loss(-0.25)  # type: ignore[arg-type]
    for shaping in ({}, {"shaping": "precision"}):
        with pytest.raises(TypeError, match="shaping must be set in the class, to a RewardShaping"):
            type("Shaped", (ShapedLossMixin,), shaping)().compute_loss(None, batch())


class Largest(TorchDispatchMode):
    """The elements of the largest tensor of single precision that is made."""

    most = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor) and tensor.dtype == torch.float32:
                self.most = max(self.most, tensor.numel())
        return made


def test_plain_numbers_of_many_rows_hold_few_of_them_in_single_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3 * PART_ROWS + 5, 50, generator=generator).bfloat16()
    target = torch.arange(len(logits)) % 50
    target[::3] = -100
    with Largest() as largest:
        cross_entropy, entropy = plain_rows(logits, target)
    assert largest.most <= PART_ROWS * 50
    wanted = F.cross_entropy(logits.float(), target, reduction="none")
    torch.testing.assert_close(cross_entropy, wanted)
    torch.testing.assert_close(entropy, entropy_of(logits.float()) * (target != -100))


def settings(**more: Any) -> dict[str, Any]:
    return {
        "max_steps": 1, "learning_rate": 0.0, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2,
        "per_device_eval_batch_size": 3, "logging_steps": 1, "report_to": "none", "save_strategy": "no",
        "disable_tqdm": True, "dataloader_pin_memory": False, "use_cpu": True, "bf16": False, **more,
    }  # fmt: skip


@pytest.mark.parametrize("arm", ["ce", "precision"])
def test_trainer_logs_plain_cross_entropy_and_entropy_beside_the_surrogate(
    arm: str, model: Any, tmp_path: Path
) -> None:
    from transformers import Trainer, TrainingArguments

    class Plain(PlainMetricsMixin, Trainer):
        pass

    inputs = batch(6)
    rows = [{name: values[i] for name, values in inputs.items()} for i in range(6)]
    arguments = TrainingArguments(output_dir=str(tmp_path), eval_strategy="steps", eval_steps=1, **settings())
    trainer = Plain(model=model, args=arguments, train_dataset=rows, eval_dataset=rows)
    model.loss_function = causal_lm_loss(ARMS[arm])
    trainer.train()
    total, logits, target = by_hand(model, inputs, ARMS[arm])
    plain = {"cross_entropy": F.cross_entropy(logits, target).item(), "entropy": entropy_of(logits).mean().item()}
    train, evaluation, summary = trainer.state.log_history
    assert train["loss"] == pytest.approx(total.item() / len(target), rel=1e-5)
    for name, value in plain.items():
        assert train[name] == pytest.approx(value, rel=1e-5)
        assert evaluation[f"eval_{name}"] == pytest.approx(value, rel=1e-5)
    assert not {"cross_entropy", "train_cross_entropy"} & summary.keys()
    assert (arm == "ce") == (abs(train["loss"] - train["cross_entropy"]) < 1e-5)
    trainer.predict(rows[:1])  # is no part of the next evaluation
    assert trainer.evaluate(metric_key_prefix="test")["test_cross_entropy"] == pytest.approx(
        plain["cross_entropy"]
    )


def test_batches_without_labels_or_targets_do_not_end_a_training_with_a_fault_of_the_mixin(
    model: Any, tmp_path: Path
) -> None:
    from transformers import Trainer, TrainingArguments

    class Plain(PlainMetricsMixin, Trainer):
        pass

    trainer = Plain(model=model, args=TrainingArguments(output_dir=str(tmp_path), **settings()))
    inputs = batch()
    with pytest.raises(ValueError, match="did not return a loss"):
        trainer.compute_loss(model, {name: inputs[name] for name in ("input_ids", "attention_mask")})
    model.train()
    trainer.compute_loss(model, inputs | {"labels": torch.full_like(inputs["labels"], -100)})
    trainer.log({"loss": math.nan})
    assert math.isnan(trainer.state.log_history[-1]["cross_entropy"])


def sft_trainer(model: Any, folder: Path, tmp_path: Path, shaping: RewardShaping, **more: Any) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    class Shaped(ShapedLossMixin, SFTTrainer):
        pass

    problems = [TASK.problem(0, index) for index in range(6)]
    rows = [
        {"prompt": TASK.decode(p.prompt), "completion": " " + TASK.decode(TASK.reference(p))} for p in problems
    ]
    trainer = Shaped(
        model=model, args=SFTConfig(output_dir=str(tmp_path), **settings(**more)),
        train_dataset=Dataset.from_list(rows), eval_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )  # fmt: skip
    trainer.shaping = shaping
    return trainer


@every_arm
def test_sft_trains_on_the_shaped_loss_and_keeps_its_metrics(
    arm: str, model: Any, folder: Path, tmp_path: Path
) -> None:
    trainer = sft_trainer(model, folder, tmp_path, ARMS[arm])
    inputs = batch()
    model.train()
    total, logits, target = by_hand(model, inputs, ARMS[arm])
    gradient = gradient_of(model, total)
    for count, divisor in ((None, len(target)), (torch.tensor(7), 7)):
        loss = trainer.compute_loss(model, dict(inputs), num_items_in_batch=count)
        torch.testing.assert_close(gradient_of(model, loss) * divisor, gradient, rtol=1e-4, atol=1e-5)
    metrics = {name: values[0] for name, values in trainer._metrics["train"].items()}
    assert metrics["cross_entropy"] == pytest.approx(F.cross_entropy(logits, target).item(), rel=1e-5)
    assert metrics["entropy"] == pytest.approx(entropy_of(logits).mean().item(), rel=1e-4)
    assert metrics["mean_token_accuracy"] == pytest.approx((logits.argmax(-1) == target).float().mean().item())


def test_sft_counts_as_many_losses_as_there_are_processes(
    model: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = sft_trainer(model, folder, tmp_path, ARMS["precision"])
    alone = trainer.compute_loss(model, batch(), num_items_in_batch=7)
    monkeypatch.setattr(type(trainer.accelerator), "num_processes", 2)
    torch.testing.assert_close(trainer.compute_loss(model, batch(), num_items_in_batch=7), 2 * alone)


def test_sft_reads_the_tokens_of_the_task_and_logs_plain_numbers(model: Any, folder: Path, tmp_path: Path) -> None:
    trainer = sft_trainer(model, folder, tmp_path, ARMS["exponent"])
    problem = TASK.problem(0, 0)
    assert trainer.train_dataset[0]["input_ids"] == [*problem.prompt, *TASK.reference(problem)]
    trainer.train()
    logged = trainer.evaluate()
    (train,) = [row for row in trainer.state.log_history if "loss" in row]
    assert train["cross_entropy"] == pytest.approx(logged["eval_cross_entropy"], rel=1e-3)  # the rate is 0
    assert train["loss"] == pytest.approx(logged["eval_loss"], rel=1e-3)
    assert abs(train["loss"] - train["cross_entropy"]) > 1e-3


def test_the_mixin_says_when_it_has_nothing_to_shape(model: Any, folder: Path, tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    class Wrong(ShapedLossMixin, Trainer):
        shaping = ARMS["precision"]

    with pytest.raises(TypeError, match="causal_lm_loss"):
        Wrong(model=model, args=TrainingArguments(output_dir=str(tmp_path))).compute_loss(model, batch())
    trainer = sft_trainer(model, folder, tmp_path, ARMS["precision"], loss_type="dft")
    with pytest.raises(TypeError, match="loss_type='nll'"):
        trainer.compute_loss(model, batch())


def test_rows_are_problems_and_the_reward_is_the_tasks() -> None:
    rows = problem_rows(TASK, 3, 5, "heldout")
    problems = [TASK.problem(3, index, "heldout") for index in range(5)]
    assert [tuple(TASK.encode(row["prompt"])) for row in rows] == [problem.prompt for problem in problems]
    right = [TASK.reference(problem) for problem in problems]
    columns = {name: [row[name] for row in rows] for name in ("operands", "target")}
    prompts = [row["prompt"] for row in rows]
    judge = verifier_reward(TASK)
    assert judge(prompts=prompts, completion_ids=right, completions=[], trainer_state=None, **columns) == [1.0] * 5
    unfinished = [ids[: ids.index(EOS_ID)] for ids in right]
    assert judge(prompts=prompts, completion_ids=unfinished, **columns) == [0.0] * 5
    targets = [problem.target for problem in problems]
    of_others = [float(target == other) for target, other in zip(targets, targets[::-1], strict=True)]
    assert 0.0 in of_others
    assert judge(prompts=prompts, completion_ids=right[::-1], **columns) == of_others
    with pytest.raises(ValueError, match="make it of problem_rows"):
        judge(prompts=prompts, completion_ids=right)
    with pytest.raises(ValueError, match="count must be a whole number"):
        problem_rows(TASK, 0, -1)
    for call in (lambda: verifier_reward(Text()), lambda: problem_rows(Text(), 0, 1)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="one with a verifier"):
            call()


@pytest.fixture
def example(tmp_path: Path) -> Callable[..., Any]:
    def run(name: str, *words: str) -> Any:
        main = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
        return main([*words, "--out", str(tmp_path / "out")])

    return run


def test_the_example_of_trainer_learns_and_its_model_comes_back(
    example: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "book.txt").write_text("the cat sat on the mat. the dog sat on the log. " * 400)
    trainer = example(
        "pretrain_with_trainer", "--text", str(tmp_path / "book.txt"), "--steps", "12", "--beta", "0.5"
    )
    rows = [row for row in trainer.state.log_history if "cross_entropy" in row]
    assert rows[-1]["cross_entropy"] < 0.7 * rows[0]["cross_entropy"]
    assert f"cross_entropy {rows[-1]['cross_entropy']:7.4f}" in capsys.readouterr().out
    _, corpus = load_model(from_transformers(tmp_path / "out/trained", tmp_path / "run").path)
    assert isinstance(corpus, Text)


def test_the_example_of_sft_learns_to_reason(example: Callable[..., Any], tmp_path: Path) -> None:
    trainer = example("sft_with_trl", "--steps", "10")
    rows = [row for row in trainer.state.log_history if "cross_entropy" in row]
    assert rows[-1]["cross_entropy"] < 0.7 * rows[0]["cross_entropy"]
    load_model(tmp_path / "out/run")


def test_the_example_of_grpo_begins_where_pgce_rl_begins(example: Callable[..., Any], tmp_path: Path) -> None:
    theirs, ours = example("grpo_with_trl", "--steps", "2")
    assert len(theirs) == len(ours) == 2
    assert theirs[0] == pytest.approx(ours[0], abs=0.15)  # 384 completions each, of the same prior
    before, _ = priors.load("chain-sum", "ce")
    after, _ = load_model(from_transformers(tmp_path / "out/trained", tmp_path / "run").path)
    moved = (after.unembedding - before.unembedding).abs()
    assert 0 < moved.max() < 4 * 2 * 2 * 3e-4  # AdamW moves a weight by about its rate an update


def test_the_code_of_the_page_runs(model: Any, folder: Path, tmp_path: Path) -> None:
    """What docs/plugs.md shows for transformers, TRL and torch."""
    from transformers import AutoTokenizer
    from trl import GRPOConfig

    page = (EXAMPLES.parent / "docs/plugs.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    hidden, weight, target = torch.randn(5, 4), torch.randn(9, 4), torch.arange(5)
    names = {
        "model": model, "task": TASK, "tokenizer": AutoTokenizer.from_pretrained(folder),
        "args": GRPOConfig(output_dir=str(tmp_path), bf16=False, use_cpu=True, report_to="none"),
        "hidden": hidden, "weight": weight, "target": target, "logits": hidden @ weight.T,
    }  # fmt: skip
    for section in ("transformers", "TRL: SFT", "TRL: GRPO", "torch"):
        (code,) = re.findall(r"```python\n(.*?)```", sections[section], re.DOTALL)
        exec(code, names)
    total, _, ids = by_hand(model, batch(), PAPER_ARMS["precision"])
    torch.testing.assert_close(model(**batch()).loss, total / len(ids), rtol=1e-5, atol=1e-5)
    expected = shaped_cross_entropy(hidden @ weight.T, target, PAPER_ARMS["precision"])
    torch.testing.assert_close(names["loss"], expected)
    shaped, trainer = names["ShapedSFTTrainer"], names["trainer"]
    assert shaped.shaping == PAPER_ARMS["precision"]
    assert len(trainer.train_dataset) == 480
