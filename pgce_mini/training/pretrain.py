"""Pre-training with the shaped loss: from new weights, or from an earlier prior (the paper's mid-training).

AdamW with weight decay on matrices only, gradient clipping, and a warmup-stable-decay learning rate. A batch is
a pure function of (corpus, seed, step), so arms with one seed see the same data in the same order, and a run
needs only its weights, moments and step to resume.
"""

from __future__ import annotations

import time
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.optim import Optimizer

from pgce_mini.evaluation import evaluate_documents, token_entropy
from pgce_mini.gpt import GPT
from pgce_mini.gpt.experts import balancing_loss, expert_load, largest_load, router_logits
from pgce_mini.loss import coverage_loss, focal_loss, gem_loss, maxrl_loss, shaped_cross_entropy
from pgce_mini.runs import Run, RunError, config_to_dict, fingerprint, load_model
from pgce_mini.tasks import PAD_ID, Split, Text, task_to_dict
from pgce_mini.training.config import PretrainConfig, check_head, check_length, check_pretraining_memory
from pgce_mini.training.distributed import agreed, counts, processes_here, share, sum_gradients, summed, together
from pgce_mini.training.fsdp import backward
from pgce_mini.training.loop import run_training
from pgce_mini.training.optimizer import clip_gradient, divergence

OTHER_LOSSES = {
    "focal_gamma": focal_loss,
    "gem_beta": gem_loss,
    "coverage_samples": coverage_loss,
    "maxrl_order": maxrl_loss,
}
"""By the setting that asks for it, with its number: (N, V), (N), number -> (N)."""
ADVICE = "lower lr, or take a milder shaping"
"""where a training diverges"""


def pretrain(config: PretrainConfig, *, progress: bool = True) -> Run:
    """Runs or continues the pre-training; returns its finished run.

    Each line of metrics.jsonl has `loss` (the surrogate, which does not measure progress), `cross_entropy` and
    `entropy` (plain, nats/token, of this batch before the update), `grad_norm` (before clipping), `lr`,
    `tokens_per_second` (targets without padding), and every `eval_every` steps and at the end
    `heldout_cross_entropy` and `heldout_entropy`. With experts also `aux_loss`, the balancing loss, which is
    added with its weight to the gradient, outside of the shaping and of `loss`, and `expert_load_max`: the largest
    share that one expert has of a layer's assignments, times the experts (1: all have the same).

    Ctrl-C saves the state after the current step and raises KeyboardInterrupt; SIGTERM does the same and raises
    SystemExit(143). The same call goes on from there.

    Called by every process that torchrun has started, it trains on all of them: see `training.distributed`.

    Raises:
        RunError: run_dir holds something else or is damaged, another process is running it, the text has changed
            since it was begun, or init_from is no prior for this corpus.
        ValueError: the device is not on this machine, the batch cannot be split as asked, the head is the whole
            vocabulary, documents are too long for the model, or the text cannot be read or is too short for them.
            Nothing is written then.
        FloatingPointError: the training diverged; the message names the step.
    """
    with together(config, "batch_size", config.batch_size):
        with agreed():
            model, settings = _prepared(config)

        def train_step(optimizer: Optimizer, step: int) -> dict[str, float | None]:
            row = _update(model, optimizer, config, step)
            if step % config.eval_every == 0 or step == config.steps:
                row |= _heldout(model, config, step)
            return row

        corpus, shown = config.corpus, "cross_entropy={cross_entropy:.3f}, entropy={entropy:.3f}"
        return run_training(
            "pretrain", config, settings, model, corpus, train_step, shown=shown, progress=progress
        )


def _prepared(config: PretrainConfig) -> tuple[GPT, dict[str, Any]]:
    """The model with its first weights, and the settings to record; the errors that `pretrain` names."""
    text = _text(config)
    check_head(config.shaping, config.corpus)
    model = _initial_model(config)
    for split in get_args(Split):
        config.corpus.document(config.seed, 0, split)  # a text without one says so, before anything is written
    settings = config_to_dict(config) | text
    if config.init_from is not None:
        settings["init_from"] = fingerprint(model)
    return model, settings


def _text(config: PretrainConfig) -> dict[str, str]:
    """The SHA-256 of the text, recorded in the run's settings beside its path; nothing for other corpora.

    Raises:
        RunError: the text is not the one that the run was begun with.
    """
    if not isinstance(config.corpus, Text):
        return {}
    text, run = config.corpus.fitted_state()["text"], Run(config.run_dir)
    if run.config_path.exists():
        begun = run.config().get("config", {})
        same_corpus = begun.get("corpus") == task_to_dict(config.corpus)  # if not, `Run.start` says what differs
        if same_corpus and begun.get("text") != text:
            raise RunError(
                f"the text of {config.corpus.source} has changed since {run.path} was begun: restore it, or "
                "choose another folder"
            )
    return {"text": text}


def _initial_model(config: PretrainConfig) -> GPT:
    if config.init_from is None:
        check_pretraining_memory(config, config.model.config(config.corpus), **processes_here())
        model = GPT(config.model.config(config.corpus), torch.Generator().manual_seed(config.seed), "cpu")
    else:
        model, corpus = load_model(config.init_from)
        if corpus.vocab != config.corpus.vocab:
            raise RunError(
                f"{config.init_from} has another vocabulary than the corpus: choose a prior of the same task"
            )
        check_pretraining_memory(config, model.config, **processes_here())
    check_length(config.corpus, model.config)
    return model


def _update(model: GPT, optimizer: Optimizer, config: PretrainConfig, step: int) -> dict[str, float | None]:
    started = time.perf_counter()
    lr = learning_rate(config, step)
    for group in optimizer.param_groups:
        group["lr"] = lr
    first = (step - 1) * config.batch_size
    indices = share(range(first, first + config.batch_size))
    documents = [torch.tensor(config.corpus.document(config.seed, index), device="cpu") for index in indices]
    size = len(documents) // config.gradient_accumulation_steps
    parts = [documents[i : i + size] for i in range(0, len(documents), size)]
    tokens = sum(counts(sum(len(document) - 1 for document in documents)))  # targets of the whole batch
    per_token = model.config.num_experts_per_tok
    load = None  # (layers, experts): tokens of the whole batch that go to each expert
    if model.config.num_experts and len(parts) > 1:
        load = _load(model, parts, config)

    optimizer.zero_grad()
    metrics = []
    for part in parts:
        ids, targets, keep_mask = _padded(part, config)  # (B, T)
        target = targets[keep_mask]  # (N)
        weight = len(target) / tokens  # the part's in the mean over the batch; 1 if it is all of it

        with router_logits(model) as routed:
            logits = model(ids, keep_mask)  # (N, V), padding left out
        loss = _loss(logits, target, config)
        numbers, total = [loss], loss
        if routed:
            load = summed(expert_load(routed, per_token)) if load is None else load
            balance = balancing_loss(routed, load, per_token)
            numbers, total = [loss, balance], loss + model.config.router_aux_loss_coef * balance
        backward(total * weight, config)
        with torch.no_grad():
            cross_entropy, entropy = F.cross_entropy(logits, target), token_entropy(logits).mean()
            metrics.append(weight * torch.stack([cross_entropy, entropy, *numbers]))
    sum_gradients(model)
    grad_norm = clip_gradient(model, config.max_grad_norm, step, ADVICE)
    optimizer.step()
    mean_cross_entropy, mean_entropy, mean_loss, *mean_balance = summed(sum(metrics[1:], metrics[0])).tolist()
    row: dict[str, float | None] = {
        "loss": mean_loss,
        "cross_entropy": mean_cross_entropy,
        "entropy": mean_entropy,
        "grad_norm": grad_norm,
        "lr": lr,
        "tokens_per_second": tokens / (time.perf_counter() - started),
    }
    if load is not None:
        row |= {"aux_loss": mean_balance[0], "expert_load_max": largest_load(load).item()}
    return row


def _padded(documents: list[Tensor], config: PretrainConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, their targets, and where those are no padding: (B, T) each."""
    rows = pad_sequence(documents, batch_first=True, padding_value=PAD_ID).to(config.device)
    return rows[:, :-1], rows[:, 1:], rows[:, 1:] != PAD_ID


@torch.no_grad()
def _load(model: GPT, parts: list[list[Tensor]], config: PretrainConfig) -> Tensor:
    """What the balancing loss of each part needs to know of all: (layers, experts)."""
    with router_logits(model) as routed:
        for part in parts:
            ids, _, keep_mask = _padded(part, config)
            model(ids, keep_mask)
    layers = model.config.num_hidden_layers
    every = [torch.cat(routed[layer::layers]) for layer in range(layers)]  # (N, E) of all parts
    return summed(expert_load(every, model.config.num_experts_per_tok))


def _loss(logits: Tensor, target: Tensor, config: PretrainConfig) -> Tensor:
    """The mean loss of the arm, or of the control in its place. (N, V), (N) -> ()"""
    if config.label_smoothing:
        return F.cross_entropy(logits, target, label_smoothing=config.label_smoothing)
    for name, loss in OTHER_LOSSES.items():
        if number := getattr(config, name):
            return loss(logits, target, number).mean()
    return shaped_cross_entropy(logits, target, config.shaping)


def _heldout(model: GPT, config: PretrainConfig, step: int) -> dict[str, float | None]:
    documents = [config.corpus.document(config.seed, i, "heldout") for i in range(config.eval_documents)]
    try:
        heldout = evaluate_documents(model, documents, config.batch_size // config.gradient_accumulation_steps)
    except ValueError as error:
        raise divergence(step, str(error), ADVICE) from error
    return {"heldout_cross_entropy": heldout["cross_entropy"], "heldout_entropy": heldout["entropy"]}


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Warmup-stable-decay: linear up, constant, linear down to final_lr_share * lr; `step` counts from 1."""
    warmup = min(1.0, step / config.warmup) if config.warmup else 1.0
    into_decay = max(0, step - (config.steps - config.decay))
    decay = 1 - (1 - config.final_lr_share) * into_decay / config.decay if config.decay else 1.0
    return config.lr * min(warmup, decay)
