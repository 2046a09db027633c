"""The priors and policies that come with the package are those of their manifests."""

from __future__ import annotations

import hashlib
import json
from types import ModuleType

import pytest

from pgce_mini import PAPER_ARMS
from pgce_mini.runs import config_to_dict
from pgce_mini.shipped import policies, priors

KINDS = {"priors": priors, "policies": policies}
EVERY = [("priors", task, arm) for task in priors.SETTINGS for arm in priors.arms_of(task)] + [
    ("policies", task, arm) for task in policies.SETTINGS for arm in PAPER_ARMS
]


@pytest.mark.parametrize(("kind", "more"), [("priors", {"text-windows.safetensors"}), ("policies", set())])
def test_every_arm_of_every_task_is_there_and_nothing_else(kind: str, more: set[str]) -> None:
    module = KINDS[kind]
    names = {f"{task}-{arm}" for of, task, arm in EVERY if of == kind}
    assert set(module.manifest()[kind]) == names
    files = {file.name for file in module.FOLDER.iterdir() if file.suffix == ".safetensors"}
    assert files == {f"{name}.safetensors" for name in names} | more


@pytest.mark.parametrize(("kind", "task", "arm"), EVERY, ids=["-".join(names) for names in EVERY])
def test_manifest_has_the_hash_of_the_file_and_the_settings_of_the_code(kind: str, task: str, arm: str) -> None:
    entry = KINDS[kind].manifest()[kind][f"{task}-{arm}"]
    data = KINDS[kind].path(task, arm).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    assert len(data) < 600_000
    recorded = entry["settings"]
    now = json.loads(json.dumps(config_to_dict(KINDS[kind].settings(task, arm))))
    assert {name: now[name] for name in recorded} == recorded  # settings that came later had no other value then


@pytest.mark.parametrize(
    ("module", "task", "arm", "name"),
    [
        (priors, "sums", "ce", "task"),
        (priors, "text", "greedy", "arm"),
        (policies, "text", "ce", "task"),
        (policies, "chain-sum", "greedy", "arm"),
    ],
)
def test_unknown_model_is_named(module: ModuleType, task: str, arm: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be one of .*, got '(sums|text|greedy)'"):
        module.load(task, arm)
