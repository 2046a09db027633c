"""A study as it lies on the disk, made up and written in no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pgce_mini.checkpoint import write_json

SAMPLES, KS, PROBLEMS = 4, [1, 2, 4], 8
STEPS = 20


def evaluation(right: int, entropy: float) -> dict[str, Any]:
    """`right` of 4 samples right in half of the problems, none in the others."""
    return {
        "corpus": {"name": "chain-sum"},
        "config": {"problems": PROBLEMS, "samples": SAMPLES, "ks": KS},
        "heldout": {
            "cross_entropy": 0.5, "entropy": entropy, "ece": 0.02,
            "reliability": [
                {"low": 0.0, "high": 0.5, "confidence": None, "accuracy": None, "count": 0},
                {"low": 0.5, "high": 0.75, "confidence": 0.6, "accuracy": 0.7, "count": 9},
                {"low": 0.75, "high": 1.0, "confidence": 0.9, "accuracy": 0.85, "count": 90},
            ],
        },
        "samples": {"entropy_by_position": [1.5 * entropy, entropy, 0.5 * entropy, 0.1]},
        "per_problem": {
            "correct": [right, 0] * (PROBLEMS // 2),
            "consensus": [float(right > 2), 0.0] * (PROBLEMS // 2),
            "completion_length": [3.0, 11.0] * (PROBLEMS // 2),
            "entropy": [entropy] * PROBLEMS,
            "reasoned_share": [0.25] * PROBLEMS,
        },
    }  # fmt: skip


def metrics(stage: str, entropy: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"step": step, "entropy": entropy / step} for step in range(1, STEPS + 1)]
    for row in rows:
        if stage == "policy":
            row |= {"reward": 1 - 1 / (1 + row["step"]), "completions/mean_length": 3 + row["step"] / 4}
        elif row["step"] % 5 == 0:
            row |= {"heldout_cross_entropy": 0.5 + 1 / row["step"], "heldout_entropy": entropy + 1 / row["step"]}
    return rows


def write_study(study: Path) -> None:
    """The paper's five arms, two seeds, the last arm failed."""
    arms = {"ce": 1, "precision": 2, "diversity": 1, "tail-penalty": 1, "head-reward": 0}
    settings = {"samples": SAMPLES, "ks": KS, "problems": PROBLEMS}
    write_json(
        study / "config.json",
        {"kind": "study", "config": {"arms": list(arms), "seeds": [0, 1], "evaluation": settings}},
    )
    for arm, right in arms.items():
        for seed in (0, 1):
            cell = study / f"{arm}-seed{seed}"
            if arm == "head-reward":
                cell.mkdir()
                (cell / "error.txt").write_text("loss is nan <b>at step 3</b>\n")
                continue
            for stage, more, entropy in (("prior", 0, 0.9), ("policy", 2, 0.2)):
                write_json(cell / stage / "evaluation.json", evaluation(right + more, entropy))
                lines = [json.dumps(row) + "\n" for row in metrics(stage, entropy)]
                (cell / stage / "metrics.jsonl").write_text("".join(lines))
