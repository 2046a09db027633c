"""Studies as they lie on the disk, made up and written in no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pgce_mini.evaluation import LENGTH
from pgce_mini.runs import write_json
from pgce_mini.study import Columns, Curve, write_curves, write_rows
from pgce_mini.study.rows import error_path

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


def metrics(folder: str, entropy: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"step": step, "entropy": entropy / step} for step in range(1, STEPS + 1)]
    for row in rows:
        if folder == "policy":
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
            row = study / f"{arm}-seed{seed}"
            if arm == "head-reward":
                error = error_path(study, f"{arm}/seed{seed}")
                error.parent.mkdir(parents=True, exist_ok=True)
                error.write_text("loss is nan <b>at step 3</b>\n")
                continue
            for folder, more, entropy in (("prior", 0, 0.9), ("policy", 2, 0.2)):
                write_json(row / folder / "evaluation.json", evaluation(right + more, entropy))
                lines = [json.dumps(row) + "\n" for row in metrics(folder, entropy)]
                (row / folder / "metrics.jsonl").write_text("".join(lines))


def write_tables(folder: Path) -> None:
    """The tables of two studies, made up: "chain" without two of its arms, and some of "phase"."""
    chain = [_row("chain", arm, seed) for seed in range(4) for arm in ("ce", "precision", "diversity")]
    failed = {**_row("chain", "tail-penalty", 0), "error": "loss is nan <b>at step 3</b>"}
    write_rows(folder / "chain.parquet", [*chain, failed])
    write_curves(folder / "chain-curves.parquet", [(row, _curves(row)) for row in chain])
    grid = [(share, slip) for share in (0.1, 0.2) for slip in (0.1, 0.2)]
    phase = [
        _row("phase", arm, seed, f"reasoned_share={share},slip_rate={slip}", share)
        for share, slip in grid[:3]
        for seed in range(2)
        for arm in ("ce", "precision")
    ]
    write_rows(folder / "phase.parquet", phase)
    write_curves(folder / "phase-curves.parquet", [(row, _curves(row)) for row in phase])
    (folder / "damaged.parquet").write_text("no table")


def _row(study: str, arm: str, seed: int, variant: str = "", lift: float = 0.1) -> Columns:
    """precision is better than ce by `lift`, diversity worse by 0.1, both by a fifth more with each seed."""
    gain = {"precision": lift, "diversity": -0.1}.get(arm, 0.0) * (1 + seed / 5)
    row = {"study": study, "task": "chain-sum", "variant": variant, "arm": arm, "seed": seed, "error": None}
    row |= {"settings": json.dumps({"evaluation": {"samples": 64}}), "temperature": 1.0}
    for when, level in (("before", 0.3), ("after", 0.6)):
        right = level + gain + seed / 50
        row |= {f"avg_at_m_{when}": right, f"pass_at_8_{when}": right + 0.1, f"pass_at_64_{when}": right + 0.2}
        row |= {f"completion_length_{when}": 8.0 + gain, f"entropy_{when}": 0.7 - gain}
    return row | {"cross_entropy_before": 0.7 + seed / 1000, "ece_before": 0.01}


def _curves(row: Columns) -> list[Curve]:
    steps = list(range(1, STEPS + 1))
    return [
        {"stage": stage, "metric": metric, "steps": steps, "values": [row["avg_at_m_after"] for _ in steps]}
        for stage, metric in (("rl", "reward"), ("rl", "entropy"), ("rl", LENGTH), ("pretrain", "heldout_entropy"))
    ]
