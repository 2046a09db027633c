import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SHAPE, TASK
from torch import Tensor

import pgce_mini.training.grpo as grpo
from pgce_mini.gpt import GPT, written
from pgce_mini.runs import Run, RunError, load_model, save_model
from pgce_mini.tasks import ChainSum, Problem, Text
from pgce_mini.tasks.base import EOS_ID, PAD_ID
from pgce_mini.training import (
    MAX_DRAWS,
    GRPOConfig,
    Rollout,
    adamw,
    group_advantages,
    per_token_logps,
    sample_rollout,
    train_grpo,
    update_policy,
)
from pgce_mini.training.rollout import heldout_reward


@pytest.fixture
def config(prior: Path, tmp_path: Path) -> GRPOConfig:
    return GRPOConfig(run_dir=tmp_path / "policy", prior=prior, steps=3, prompts_per_step=4, num_generations=4)


def train(config: GRPOConfig, **changes: Any) -> Run:
    return train_grpo(replace(config, **changes), progress=False)


def judge(monkeypatch: pytest.MonkeyPatch, reward: Callable[[Problem, Sequence[int]], float]) -> None:
    monkeypatch.setattr(ChainSum, "reward", lambda self, problem, completion: reward(problem, completion))


# --- scoring ---


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_scores_are_those_of_each_sequence_alone_at_the_temperature(temperature: float, heads: int) -> None:
    """Prompts and completions of all lengths, one completion left out, with and without shared key heads."""
    shape = replace(SHAPE, num_key_value_heads=heads)
    model = GPT(shape.config(TASK), torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10 if parameter.dim() == 2 else 1)
    draw = torch.Generator().manual_seed(1)
    prompts = torch.randint(2, 20, (2, 5), generator=draw)
    completions = torch.randint(2, 20, (2, 3, 4), generator=draw)
    prompt_lengths = torch.tensor([3, 5])
    lengths = torch.tensor([[1, 4, 2], [0, 3, 1]])
    mask = torch.arange(4) < lengths[..., None]
    filler = torch.zeros(2, 3, 4), torch.zeros(2, 3)
    rollout = Rollout(prompts, prompt_lengths, completions, mask, *filler)
    logps, entropies = per_token_logps(model, rollout, temperature)
    assert not entropies.requires_grad
    assert (logps[~mask] == 0).all()
    assert (entropies[~mask] == 0).all()
    for group in range(2):
        for row in range(3):
            prompt = prompts[group, : prompt_lengths[group]]
            completion = completions[group, row, : lengths[group, row]]
            log_probs = (model(torch.cat([prompt, completion])[None])[0] / temperature).log_softmax(-1)
            log_probs = log_probs[len(prompt) - 1 : -1]
            wanted = log_probs.gather(1, completion[:, None])[:, 0]
            torch.testing.assert_close(logps[group, row, : len(completion)], wanted)
            entropy = -(log_probs.exp() * log_probs).sum(-1).detach()
            torch.testing.assert_close(entropies[group, row, : len(completion)], entropy)


# --- the rollout ---


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.5])
def test_ratio_is_one_in_the_first_update(temperature: float, config: GRPOConfig, prior: Path) -> None:
    """What the sampler wrote down is what scoring finds, also at other temperatures than 1."""
    model, task = load_model(prior)
    rollout, _ = sample_rollout(model, task, replace(config, temperature=temperature, num_generations=16), step=1)
    logps, _ = per_token_logps(model, rollout, temperature)
    ratio = (logps - rollout.old_per_token_logps).exp()[rollout.completion_mask]
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)


def test_rollout_holds_prompts_completions_and_advantages_in_their_places(config: GRPOConfig, prior: Path) -> None:
    model, task = load_model(prior)
    settings = replace(config, dynamic_sampling=False, mask_truncated_completions=False, scale_rewards="none")
    rollout, row = sample_rollout(model, task, settings, step=2)
    rewards, reasoned = torch.zeros(4, 4), 0
    for group in range(4):
        problem = task.problem(0, 2 * MAX_DRAWS + group)
        assert rollout.prompts[group, : rollout.prompt_lengths[group]].tolist() == list(problem.prompt)
        rows = zip(rollout.completions[group].tolist(), rollout.completion_mask[group].tolist(), strict=True)
        for index, (completion, mask) in enumerate(rows):
            length = mask.index(False) if False in mask else len(mask)
            assert not any(mask[length:])
            assert not any(completion[length:])
            assert EOS_ID not in completion[: length - 1]
            rewards[group, index] = task.reward(problem, completion[:length])
            reasoned += task.reasoned(problem, completion[:length])
    assert 0 < rewards.sum() < 16
    torch.testing.assert_close(rollout.advantages, rewards - rewards.mean(1, keepdim=True))
    assert row["reward"] == pytest.approx(rewards.mean().item())
    assert row["reward_std"] == pytest.approx(rewards.std(1).mean().item())
    assert row["completions/mean_length"] == pytest.approx(rollout.completion_mask.sum().item() / 16)
    assert 0 < reasoned < 8
    assert row["reasoned_share"] == pytest.approx(reasoned / 16)


def test_rollout_is_a_pure_function_of_weights_and_step(config: GRPOConfig, prior: Path) -> None:
    model, task = load_model(prior)
    torch.manual_seed(1)
    first, _ = sample_rollout(model, task, config, step=1)
    torch.manual_seed(2)
    again, _ = sample_rollout(model, task, config, step=1)
    other, _ = sample_rollout(model, task, config, step=2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.prompts, other.prompts)


def test_truncated_completions_teach_nothing_but_count_in_the_metrics(config: GRPOConfig, prior: Path) -> None:
    model, task = load_model(prior)
    settings = replace(config, max_completion_length=4, dynamic_sampling=False, num_generations=16)
    masked, row = sample_rollout(model, task, settings, step=1)
    unmasked, _ = sample_rollout(model, task, replace(settings, mask_truncated_completions=False), step=1)
    truncated = ~(masked.completions == EOS_ID).any(2)  # (4, 16)
    assert 0 < truncated.sum() < 64
    assert row["completions/clipped_ratio"] == pytest.approx(truncated.double().mean().item())
    assert torch.equal(masked.completion_mask, unmasked.completion_mask & ~truncated[..., None])
    assert (unmasked.completion_mask[truncated].sum(-1) == 4).all()
    assert torch.equal(masked.advantages, unmasked.advantages)


def test_step_of_truncated_completions_alone_changes_no_weight_and_has_no_entropy(
    config: GRPOConfig, prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(monkeypatch, lambda problem, completion: float(completion[0] % 2))
    run = train(config, max_completion_length=1, dynamic_sampling=False, weight_decay=0.5)
    assert run.model_path.read_bytes() == (prior / "model.safetensors").read_bytes()
    for row in run.metrics():
        assert row["completions/clipped_ratio"] == 1
        assert row.keys().isdisjoint({"loss", "entropy", "grad_norm", "clip_ratio/low", "clip_ratio/high"})


@pytest.mark.parametrize("masked", [0, 1])
def test_minibatch_without_a_kept_token_is_as_if_it_had_not_been(
    masked: int, config: GRPOConfig, prior: Path
) -> None:
    """A step of the optimizer would move the weights by momentum and decay, an entropy of 0 halve the mean."""
    settings = replace(
        config, prompts_per_step=2, num_minibatches=2, dynamic_sampling=False, weight_decay=0.5, kl_coef=0.1,
        mask_truncated_completions=False,
    )  # fmt: skip
    reference, task = load_model(prior)
    rollout, _ = sample_rollout(reference, task, settings, step=1)
    mask = rollout.completion_mask.clone()
    mask[masked] = False
    kept = 1 - masked
    alone = Rollout(*(tensor[kept : kept + 1] for tensor in rollout))
    found = []
    for batch in (rollout._replace(completion_mask=mask), alone):
        model, _ = load_model(prior)
        optimizer = adamw(model, settings.lr, settings.weight_decay)
        for step in (1, 2):  # in the second there is momentum
            row = update_policy(model, reference, optimizer, batch, settings, 8, step)
        found.append((model.state_dict(), row))
    assert found[0][1] == found[1][1]
    assert all(torch.equal(value, found[1][0][name]) for name, value in found[0][0].items())


def test_dynamic_sampling_refills_until_the_step_is_full(
    config: GRPOConfig, prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reward given is written down: metrics count all groups, the rollout has those whose rewards differ."""
    model, task = load_model(prior)
    verify, given = task.reward, []

    def verify_and_note(problem: Problem, completion: Sequence[int]) -> float:
        given.append(verify(problem, completion))
        return given[-1]

    judge(monkeypatch, verify_and_note)
    settings = replace(config, prompts_per_step=6, max_refills=50)
    rollout, row = sample_rollout(model, task, settings, step=1)
    rewards = torch.tensor(given).view(-1, 4)  # (groups sampled, 4)
    differ = rewards.amin(1) < rewards.amax(1)
    assert row["sampled_groups"] == len(rewards) > differ.sum() == len(rollout.prompts) == row["groups"] == 6
    assert row["refills"] > 0
    assert row["frac_reward_zero_std"] == pytest.approx(1 - 6 / len(rewards))
    assert row["reward"] == pytest.approx(rewards.mean().item())
    assert torch.equal(rollout.advantages, group_advantages(rewards[differ], config.scale_rewards))
    _, plain = sample_rollout(model, task, replace(settings, dynamic_sampling=False), step=1)
    assert (plain["sampled_groups"], plain["groups"], plain["refills"]) == (6, 6, 0)
    assert plain["frac_reward_zero_std"] > 0


def test_refills_come_to_an_end(config: GRPOConfig, prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one prompt teaches: it is trained on, and every group sampled is in the metrics."""
    model, task = load_model(prior)
    special = task.problem(0, MAX_DRAWS + 2)
    flips = iter([0.0, 1.0] * 100)
    judge(monkeypatch, lambda problem, completion: next(flips) if problem == special else 1.0)
    rollout, row = sample_rollout(model, task, replace(config, max_refills=2), step=1)
    assert (len(rollout.prompts), row["groups"], row["refills"]) == (1, 1, 2)
    assert row["frac_reward_zero_std"] == pytest.approx(9 / 10)  # 4 groups, then 3 and 3
    assert row["reward"] == pytest.approx(38 / 40)


def test_step_without_a_group_to_learn_from_changes_no_weight(
    config: GRPOConfig, prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(monkeypatch, lambda problem, completion: 1.0)
    run = train(config, weight_decay=0.5, save_every=1)
    assert run.model_path.read_bytes() == (prior / "model.safetensors").read_bytes()
    assert [row["frac_reward_zero_std"] for row in run.metrics()] == [1, 1, 1]
    assert all(row["groups"] == 0 and "loss" not in row for row in run.metrics())


def test_model_that_writes_pads_and_never_ends_can_be_trained(tmp_path: Path) -> None:
    """Untrained, it writes every token, <pad> included."""
    model = GPT(SHAPE.config(TASK))
    with torch.no_grad():
        model.unembedding[EOS_ID] = -3 * model.unembedding.mean(0)
    save_model(tmp_path / "prior" / "model.safetensors", model, TASK)
    settings = GRPOConfig(
        run_dir=tmp_path / "run", prior=tmp_path / "prior", steps=2, prompts_per_step=4, num_generations=8,
        dynamic_sampling=False, mask_truncated_completions=False,
    )  # fmt: skip
    rollout, _ = sample_rollout(model, TASK, settings, step=1)
    assert (rollout.completions[rollout.completion_mask] == PAD_ID).any()
    logps, _ = per_token_logps(model, rollout, 1.0)
    torch.testing.assert_close(logps, rollout.old_per_token_logps, rtol=0, atol=1e-5)
    assert all(math.isfinite(value) for row in train(settings).metrics() for value in row.values())


# --- held-out problems ---


def test_heldout_reward_is_of_heldout_problems_of_the_step_at_temperature_1(
    config: GRPOConfig, prior: Path
) -> None:
    model, task = load_model(prior)
    settings = replace(config, temperature=0.3, eval_problems=60)
    problems = [task.problem(0, 3 * MAX_DRAWS + i, "heldout") for i in range(60)]
    generator = torch.Generator().manual_seed(MAX_DRAWS - 3)
    drawn = model.generate([p.prompt for p in problems], task.max_completion_length, generator=generator)
    rewards = map(task.reward, problems, written(drawn.completions, drawn.completion_mask))
    assert heldout_reward(model, task, settings, step=3) == pytest.approx(sum(rewards) / 60)


def test_heldout_problems_are_answered_after_the_first_step_the_last_and_every_so_many(config: GRPOConfig) -> None:
    often = replace(config, steps=8, eval_every=3)
    assert [step for step in range(1, 9) if often.evaluates_after(step)] == [1, 3, 6, 8]
    assert not any(map(config.evaluates_after, range(1, 4)))


# --- the update ---


Updates = list[tuple[dict[str, Tensor], dict[str, Tensor], float]]


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> Updates:
    """The gradients of every update, not clipped, the weights that they belong to, and the norm to clip to."""
    recorded: Updates = []

    def record(model: GPT, max_norm: float, step: int) -> float:
        named = list(model.named_parameters())
        gradients = {name: p.grad.clone() for name, p in named}
        recorded.append((gradients, {name: p.detach().clone() for name, p in named}, max_norm))
        return 0.0

    monkeypatch.setattr(grpo, "clip_gradient", record)
    return recorded


def test_gradient_of_the_first_update_is_reinforce(config: GRPOConfig, prior: Path, updates: Updates) -> None:
    """The oracle goes through completions one by one: no batch, no padding, no ratio."""
    settings = replace(config, num_minibatches=1, steps=1, temperature=1.3)
    (row,) = train(settings).metrics()
    model, task = load_model(prior)
    rollout, _ = sample_rollout(model, task, settings, step=1)
    objective, entropy, tokens = torch.zeros(()), torch.zeros(()), 0
    for group, prompt in enumerate(rollout.prompts):
        of_group = (rollout.completions[group], rollout.completion_mask[group], rollout.advantages[group])
        for padded, mask, advantage in zip(*of_group, strict=True):
            completion = padded[mask]  # empty if truncated
            log_probs = (model(torch.cat([prompt, completion])[None])[0] / 1.3).log_softmax(-1)
            for position, token in enumerate(completion, start=len(prompt)):
                objective = objective + advantage * log_probs[position - 1, token]
                entropy -= (log_probs[position - 1].exp() * log_probs[position - 1]).sum().detach()
                tokens += 1
    assert row["entropy"] == pytest.approx(entropy.item() / tokens, rel=1e-4)
    (-objective / tokens).backward()
    ((found, _, _),) = updates
    assert max(gradient.abs().max() for gradient in found.values()) > 0.01
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("num_iterations", "num_minibatches", "kl_coef"),
    [(2, 1, 0.0), (1, 2, 0.0), (2, 1, 3.0)],
    ids=["passes", "parts", "kl"],
)
def test_later_updates_use_the_ratio_to_the_policy_that_sampled(
    num_iterations: int, num_minibatches: int, kl_coef: float, config: GRPOConfig, prior: Path, updates: Updates
) -> None:
    settings = replace(
        config, steps=1, lr=3e-3, num_iterations=num_iterations, num_minibatches=num_minibatches, kl_coef=kl_coef,
        epsilon=0.1, epsilon_high=0.4, max_grad_norm=0.5,
    )  # fmt: skip
    train(settings)
    _, (gradients, weights, max_norm) = updates
    assert max_norm == 0.5
    model, task = load_model(prior)
    rollout, _ = sample_rollout(model, task, settings, step=1)
    part = slice(2, 4) if num_minibatches == 2 else slice(0, 4)  # groups of the second update
    prompts, completions = rollout.prompts[part], rollout.completions[part]  # (G, 10), (G, 4, L)
    ids = torch.cat([prompts[:, None].expand(-1, 4, -1), completions], 2).flatten(0, 1)
    mask, old = rollout.completion_mask[part].flatten(0, 1), rollout.old_per_token_logps[part].flatten(0, 1)
    advantages = rollout.advantages[part].flatten()

    def score() -> Tensor:
        log_probs = model(ids[:, :-1]).log_softmax(-1)
        next_logps: Tensor = log_probs.gather(2, ids[:, 1:, None])[:, 9:, 0]
        return next_logps

    prior_logps = score().detach()
    model.load_state_dict(weights)
    logps = score()
    ratio = (logps - old).exp()
    assert (ratio[mask] - 1).abs().max() > 0.05
    a = advantages[:, None]
    objective = torch.minimum(ratio * a, ratio.clamp(0.9, 1.4) * a)
    kl = (prior_logps - logps).exp() - (prior_logps - logps) - 1
    (kl_coef * kl - objective)[mask].mean().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-6)


def test_minibatches_are_whole_groups_and_every_group_comes_once_a_pass(
    config: GRPOConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    score = grpo.per_token_logps

    def spy(model: GPT, rollout: Rollout, temperature: float) -> tuple[Tensor, Tensor]:
        seen.append([tuple(prompt) for prompt in rollout.prompts.tolist()])
        return score(model, rollout, temperature)

    monkeypatch.setattr(grpo, "per_token_logps", spy)
    train(config, steps=1, num_minibatches=3, num_iterations=2, max_refills=100)
    assert [len(part) for part in seen] == [2, 1, 1, 2, 1, 1]
    assert seen[:3] == seen[3:]
    assert len({prompt for part in seen for prompt in part}) > 1


def test_first_update_has_no_kl(config: GRPOConfig) -> None:
    (row,) = train(config, steps=1, num_minibatches=1, kl_coef=0.5, temperature=1.3).metrics()
    assert row["kl"] == pytest.approx(0, abs=1e-9)
    assert row["clip_ratio/low"] == row["clip_ratio/high"] == 0
    assert row["grad_norm"] > 0
    assert "kl" not in train(config, run_dir=config.run_dir.with_name("without"), steps=1).metrics()[0]


def test_reward_is_learnt(config: GRPOConfig) -> None:
    run = train(config, steps=40, prompts_per_step=12, num_generations=8, lr=3e-3)
    rewards = [row["reward"] for row in run.metrics()]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.1
    assert load_model(run.path)[1] == load_model(config.prior)[1]


# --- what is refused ---


def test_prior_without_a_verifier_is_refused_before_a_folder_is_made(config: GRPOConfig, tmp_path: Path) -> None:
    text = Text(tokenizer="char", context_length=8)
    save_model(tmp_path / "text" / "model.safetensors", GPT(SHAPE.config(text)), text)
    with pytest.raises(RunError, match="trained on text, which has no verifier"):
        train(config, prior=tmp_path / "text")
    assert not config.run_dir.exists()


def test_missing_prior_is_named(config: GRPOConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere.* does not exist"):
        train(config, prior=tmp_path / "nowhere")
    assert not config.run_dir.exists()


def test_completions_too_long_for_the_model_are_refused_before_a_folder_is_made(config: GRPOConfig) -> None:
    with pytest.raises(ValueError, match=r"must fit max_position_embeddings \(32\): got 10 \+ .* 23"):
        train(config, max_completion_length=23)
    assert not config.run_dir.exists()
    assert train(config, max_completion_length=22, steps=1, seed=10**12).finished  # the largest seed


def test_run_is_not_written_into_its_prior(config: GRPOConfig, prior: Path) -> None:
    with pytest.raises(RunError, match="kind is 'pretrain' there and 'rl' now"):
        train(config, run_dir=prior)


def test_unknown_device_is_refused(config: GRPOConfig) -> None:
    with pytest.raises(ValueError, match="device must be cpu, cuda or mps"):
        train(config, device="tpu")


@pytest.mark.parametrize("num_minibatches", [1, 2])
@pytest.mark.parametrize("lr", [1e15, 1e38])
def test_divergence_is_named_with_its_step(lr: float, num_minibatches: int, config: GRPOConfig) -> None:
    with pytest.raises(FloatingPointError, match=r"diverged at step [12] .*: lower lr$"):
        train(config, lr=lr, num_minibatches=num_minibatches)
    assert not Run(config.run_dir).finished


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("prompts_per_step", 0), ("num_generations", 1), ("max_completion_length", 0),
        ("temperature", 0), ("temperature", math.inf), ("lr", 0), ("weight_decay", -1), ("max_grad_norm", 0),
        ("num_minibatches", 5), ("num_minibatches", 0), ("num_iterations", 0), ("epsilon", 1.5),
        ("epsilon_high", -0.1), ("kl_coef", -1), ("loss_type", "ppo"), ("scale_rewards", True),
        ("max_refills", -1), ("save_every", 0), ("seed", -1), ("seed", 10**14),
    ],
)  # fmt: skip
def test_value_that_makes_no_sense_is_refused_by_name(name: str, value: Any, config: GRPOConfig) -> None:
    with pytest.raises(ValueError, match=name):
        replace(config, **{name: value})
