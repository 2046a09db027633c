"""The project's own files agree with one another, and the library needs only what it says it needs."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import pgce_mini

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
DIRECT = [
    line
    for lines in (PROJECT["dependencies"], *EXTRAS.values())
    for line in lines
    if not line.startswith(PROJECT["name"])  # an extra that holds others
]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "pgce_mini").rglob("*.py")
)
PACKAGES = [module for module in MODULES if (ROOT / module.replace(".", "/")).is_dir()]
NOT_FOR_TRAINING = {"plotly", "tyro", "tokenizers"}  # core dependencies of pictures, of `pgce`, of a text's tokens

# Runs in a fresh interpreter: makes `absent` packages truly absent (an import fails, find_spec finds nothing) and
# device queries an error, imports `modules` and prints every package that was loaded.
IMPORT = """
import json, sys
from importlib.machinery import PathFinder

absent, modules = json.loads(sys.argv[1])

class WithoutAbsent(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutAbsent

import torch

def query(*args, **kwargs):
    raise AssertionError("a device was asked for at import")

torch.cuda.is_available = torch.cuda.device_count = torch.backends.mps.is_available = query
torch.accelerator.is_available = torch.accelerator.current_accelerator = query
for module in modules:
    __import__(module)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def import_in_fresh_interpreter(modules: Iterable[str], absent: Iterable[str] = ()) -> set[str]:
    """The packages that are loaded once `modules` are imported where `absent` cannot be."""
    arguments = json.dumps([sorted(absent), list(modules)])
    done = subprocess.run([sys.executable, "-c", IMPORT, arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def with_dependencies(requirements: Iterable[str], *, on_every_platform: bool = False) -> set[str]:
    """Canonical names of the distributions that `requirements` bring along here (or on every platform), themselves
    included."""
    found: set[str] = set()
    queue = list(requirements)
    while queue:
        requirement = Requirement(queue.pop())
        name, marker = canonicalize_name(requirement.name), requirement.marker
        here_alone = on_every_platform and re.search("platform|os_name", str(marker))
        if name not in found and not here_alone and (not marker or marker.evaluate({"extra": ""})):
            found.add(name)
            queue += importlib.metadata.requires(name) or []
    return found


def packages_beyond_core() -> set[str]:
    """Import names of everything installed that a plain `pip install .` would not bring."""
    core = with_dependencies([PROJECT["name"]])
    return {
        package
        for package, distributions in importlib.metadata.packages_distributions().items()
        if not core & {canonicalize_name(distribution) for distribution in distributions}
    }


@pytest.mark.parametrize("line", DIRECT)
def test_every_dependency_is_pinned_within_its_bounds(line: str) -> None:
    requirement = Requirement(line)
    pins = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in PINS)}
    assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_every_indirect_dependency_is_pinned() -> None:
    pinned = {canonicalize_name(pin.split("==")[0]) for pin in PINS}
    needed = with_dependencies(DIRECT, on_every_platform=True)  # not CUDA's: torch pins those itself
    assert needed - {"setuptools"} <= pinned  # torch's from Python 3.12 on; pip freeze leaves it out on 3.11


def test_constraints_are_exact_versions_of_public_releases() -> None:
    for pin in PINS:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", pin), pin  # no path, no local version as +cpu
    names = [canonicalize_name(pin.split("==")[0]) for pin in PINS]
    assert len(set(names)) == len(names)


def test_the_extra_all_holds_every_other_extra() -> None:
    assert EXTRAS["all"] == [f"{PROJECT['name']}[{','.join(name for name in EXTRAS if name != 'all')}]"]


def test_conda_environment_installs_this_project_with_the_constraints() -> None:
    lines = (ROOT / "environment.yml").read_text().splitlines()
    entries = [line.strip().removeprefix("- ").partition(" #")[0] for line in lines]
    assert "-c constraints.txt" in entries
    (installed,) = (Requirement(f"pgce-mini{entry.removeprefix('-e .')}") for entry in entries if "-e ." in entry)
    assert installed.extras == {"notebooks", "app"} <= set(EXTRAS)
    (python,) = (entry.removeprefix("python=") for entry in entries if entry.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    conda_packages = entries[entries.index("dependencies:") + 1 : entries.index("pip:")]
    assert conda_packages == [f"python={python}", "pip"]  # nothing whose version pip's constraints do not see


def test_changelog_begins_with_the_version_of_the_package() -> None:
    found = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert found[1] == pgce_mini.__version__


def test_modules_import_with_the_core_dependencies_alone() -> None:
    absent = packages_beyond_core()
    assert {"streamlit", "jupyterlab", "pytest", "transformers"} <= absent
    assert not absent & {"pgce_mini", "torch", "numpy", "plotly", "tyro"}
    assert "pgce_mini" in import_in_fresh_interpreter(MODULES, absent)


def test_importing_the_package_loads_nothing_but_what_makes_it_lazy() -> None:
    code = "import sys; before = {*sys.modules}; import pgce_mini; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()} - sys.stdlib_module_names
    assert loaded == {"pgce_mini", "lazy_loader"}  # no torch


def test_training_and_evaluation_load_no_pictures_no_command_line_and_no_extra() -> None:
    loaded = import_in_fresh_interpreter(["pgce_mini.theory", "pgce_mini.training", "pgce_mini.evaluation"])
    assert not loaded & NOT_FOR_TRAINING
    assert not loaded & (packages_beyond_core() - import_in_fresh_interpreter(["torch"]))


def test_the_public_names_are_these() -> None:
    assert sorted(pgce_mini.__all__) == [
        "ChainSum", "Countdown", "EvaluationConfig", "GPT", "GPTConfig", "GRPOConfig", "PAPER_ARMS",
        "PretrainConfig", "RewardShaping", "ShapedCrossEntropyLoss", "ShapedLM", "StudyConfig", "TASKS", "Text",
        "__version__", "avg_at_m", "check", "cons_at_m", "evaluate", "linear_shaped_cross_entropy", "pass_at_k",
        "policy_flow", "pretrain", "run_study", "shaped_cross_entropy", "simplex_field", "stationary_policies",
        "stationary_policy", "token_rewards", "train_grpo",
    ]  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_that_a_package_hands_out_is_there(package: str) -> None:
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        getattr(module, name)
    stub = ROOT / package.replace(".", "/") / "__init__.pyi"
    if stub.exists():
        lines = ast.parse(stub.read_text(encoding="utf-8")).body
        imported = [alias for line in lines if isinstance(line, ast.ImportFrom) for alias in line.names]
        assert all(isinstance(line, ast.ImportFrom) for line in lines)
        assert {alias.name for alias in imported} == {alias.asname for alias in imported} == set(names)


def floors() -> dict[str, int]:
    """room -> floor, from CONTRIBUTING's table, whose first row is the top."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = text.partition("## Layout")[2].partition("\n## ")[0].splitlines()
    return {
        room.removesuffix(".py").removesuffix("/"): int(row.split("|")[1])
        for row in rows
        if re.match(r"\| \d", row)
        for room in re.findall(r"`pgce_mini/([^`]+)`", row.split("|")[2])
    }


def room_of(module: str) -> str:
    return module.split(".")[1]


def imported_by(module: str) -> Iterator[str]:
    """The library's modules that a module imports, anywhere in it; `pgce_mini` for its public names."""
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module} has a relative import"
            deeper = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in deeper]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "pgce_mini")


IMPORTS = {module: set(imported_by(module)) for module in MODULES if module != "pgce_mini"}


def test_every_room_has_a_floor() -> None:
    assert {room_of(module) for module in IMPORTS} == floors().keys()


@pytest.mark.parametrize("module", IMPORTS)
def test_a_file_imports_from_lower_floors_or_files_of_its_own_room(module: str) -> None:
    room, floor = room_of(module), floors()
    assert not IMPORTS[module] & ({"pgce_mini", f"pgce_mini.{room}"} - {module})
    others = {room_of(name) for name in IMPORTS[module]} - {room}
    assert not {other for other in others if floor[other] >= floor[room]}


def test_no_circle_between_files() -> None:
    assert list(TopologicalSorter(IMPORTS).static_order())  # CycleError names the circle


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_a_path_that_a_document_names_is_there(document: str) -> None:
    """It is one of the repository or of the library, `pgce_mini/` left out."""
    text = (ROOT / document).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w/.-]+\.(?:py|js|css|md|toml))`", text)
    assert len(paths) > 10
    made = {
        ".venv/bin/mypy",
        "runs/demo/",
        "runs/studies",
        "site/index.html",
        "tests/test_MODULE.py",
    }  # by make, or by you
    missing = [p for p in paths if p not in made and not any((ROOT / f / p).exists() for f in ("", "pgce_mini"))]
    assert not missing


def test_no_file_names_a_folder_of_a_developers_machine() -> None:
    folder = re.compile(rf"(?<![\w.~}}])({re.escape(str(ROOT))}|/(?:home|Users|root))/")
    kinds = {".py", ".md", ".toml", ".txt", ".yml", ".ipynb", ".html", ".css", ".js", ""}
    ours = [path for path in ROOT.iterdir() if path.name == ".ci" or not path.name.startswith(".")]
    files = [file for path in ours if path.name != "runs" for file in (path, *path.rglob("*"))]
    named = {
        str(file.relative_to(ROOT)): found.group()
        for file in files
        if file.is_file() and file.suffix in kinds and (found := folder.search(file.read_text(encoding="utf-8")))
    }
    assert not named
