"""A study of one minute: a reward of your own against cross-entropy, on the same seeds, for the last notebook.

The task and the models are smaller than those of the full study, so that eight seeds of both arms fit into a
lesson. Six is the least number with which the exact sign-flip test can fall below 5 %, and only if all six agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pgce_mini.evaluation import EvaluationConfig
from pgce_mini.reward import RewardShaping
from pgce_mini.study import Arm, Spec, Templates
from pgce_mini.tasks import ChainSum
from pgce_mini.training import GRPOConfig, ModelShape, PretrainConfig, check_head

TASK = ChainSum(num_operands=4, max_operand=5)
SEEDS = tuple(range(8))
PRETRAIN = PretrainConfig(
    corpus=TASK, model=ModelShape(hidden_size=48, intermediate_size=96, num_hidden_layers=1),
    steps=200, batch_size=64, lr=1.5e-2, eval_every=200,
)  # fmt: skip
RL = GRPOConfig(steps=15, prompts_per_step=16)
EVALUATION = EvaluationConfig(problems=48, samples=32, ks=(1, 2, 4, 8, 16, 32), documents=128)


def duel(
    name: str,
    shaping: RewardShaping,
    folder: Path,
    seeds: Iterable[int] = SEEDS,
    *,
    pretrain: PretrainConfig = PRETRAIN,
    rl: GRPOConfig = RL,
    evaluation: EvaluationConfig = EVALUATION,
) -> Spec:
    """A study of two arms, `ce` and `name`, for `run_spec`; its runs go to `folder`.

    pretrain, rl: templates; folders, seeds and the arm's shaping are set here.

    Raises:
        ValueError: `name` is empty or that of cross-entropy, or the head of `shaping` leaves no tail.
    """
    if not name or name == "ce":
        raise ValueError(f"name must be one of your own, not that of the baseline, got {name!r}")
    check_head(shaping, pretrain.corpus)
    templates = Templates(folder.name, folder, folder, pretrain, rl, evaluation)
    question = f"Does {name} differ from cross-entropy, before and after RL?"
    return templates.spec(question, [Arm("ce"), Arm(name, shaping)], list(dict.fromkeys(seeds)))
