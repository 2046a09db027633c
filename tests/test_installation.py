"""Advice and folders for somebody who has a wheel and no clone, and what the wheel and the sdist hold."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from command import pgce

import pgce_mini
from pgce_mini import installation
from pgce_mini.installation import SOURCE, bundled, command_hint, install_hint

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ("app", "notebooks", "studies")
NOT_IN_WHEEL = ("notebooks/build.py",)


def sources(*folders: str) -> set[str]:
    """The repository's files in these folders; of an unpacked sdist, which has no git, all that are there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """The names in the sdist, and in the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    assert wheel.name == f"pgce_mini-{pgce_mini.__version__}-py3-none-any.whl"
    with tarfile.open(sdist) as tar, zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(set(names)) == len(names)
        return {name.partition("/")[2] for name in tar.getnames()}, set(names)


def test_the_wheel_holds_library_explorer_notebooks_and_studies_once_and_nothing_else(
    archives: tuple[set[str], set[str]],
) -> None:
    shipped = (f"pgce_mini/{name}" for name in sources(*BUNDLED) if not name.startswith(NOT_IN_WHEEL))
    expected = sources("pgce_mini") | set(shipped)
    assert {name for name in archives[1] if ".dist-info/" not in name} == expected


def test_the_sdist_holds_all_that_its_tests_need(archives: tuple[set[str], set[str]]) -> None:
    folders = ("benchmarks", "docs", "pgce_mini", "tests", *BUNDLED)
    files = {"CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "constraints.txt", "environment.yml"}
    assert sources(*folders) | files <= archives[0]


def test_from_a_clone_the_folders_are_the_repositorys_and_advice_names_make_and_constraints() -> None:
    assert bundled("studies") == ROOT / "studies"
    assert install_hint("app") == 'pip install -c constraints.txt -e ".[app]"'
    assert command_hint("explore") == "make explore"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the library believe that it lies in site-packages, with the folders of a wheel; the working folder is
    an empty one."""
    package = tmp_path / "site-packages" / "pgce_mini"
    package.mkdir(parents=True)
    for name in BUNDLED:
        (package / name).symlink_to(ROOT / name)
    monkeypatch.setattr(installation, "PACKAGE", package)
    monkeypatch.setattr(installation, "HOME", package)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return package


def test_from_a_wheel_the_folders_are_the_packages_and_advice_needs_no_clone(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundled("app/explorer.py") == wheel / "app" / "explorer.py"
    assert (install_hint("app"), command_hint("lab")) == (f'pip install "pgce_mini[app] @ {SOURCE}"', "pgce lab")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    pgce("explore", code=2)
    assert (
        capsys.readouterr().err == f'pgce: streamlit is not installed: pip install "pgce_mini[app] @ {SOURCE}"\n'
    )
    pgce("doctor", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["has"]["pgce_mini"] == f"{pgce_mini.__version__}, installed"
    assert found["missing"]["scipy"] == f'for the intervals of studies: pip install "pgce_mini[study] @ {SOURCE}"'
    assert not {"pytest", "chromium"} & found["missing"].keys()  # a wheel holds no tests


def test_the_package_alone_without_its_folders_says_what_is_missing(
    wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (wheel / "app").unlink()
    pgce("explore", code=2)
    assert "comes with a clone or a wheel of pgce_mini" in capsys.readouterr().err


def test_lab_copies_the_notebooks_and_never_what_somebody_has_written(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[tuple[str, Path]] = []
    monkeypatch.setattr("pgce_mini.cli.open._hand_over", lambda command, cwd: opened.append((command[-1], cwd)))
    folder = Path("pgce-notebooks").absolute()
    pgce("lab")
    lessons, solutions = list(folder.glob("*.ipynb")), list(folder.glob("solutions/*.ipynb"))
    assert len(lessons) == len(solutions) == 10
    assert capsys.readouterr().out == "pgce-notebooks: 20 notebooks copied, 0 that were there kept as they are\n"
    for path in (*lessons, *folder.glob("badges/*")):
        assert path.read_bytes() == (ROOT / "notebooks" / path.relative_to(folder)).read_bytes()
    lessons[0].write_text("my answer")
    lessons[1].unlink()
    pgce("lab", "--json")
    assert json.loads(capsys.readouterr().out) == {"folder": "pgce-notebooks", "copied": 1, "kept": 19}
    assert lessons[0].read_text() == "my answer"
    assert opened == [(str(folder), folder)] * 2
    pgce("lab", "--only-copy", "--to", "class")
    assert len(list(Path("class").rglob("*.ipynb"))) == 20
    assert len(opened) == 2
    Path("file").touch()
    pgce("lab", "--to", "file", code=2)
    assert "file is a file" in capsys.readouterr().err


def test_in_a_clone_lab_opens_the_clones_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[Path] = []
    monkeypatch.setattr("pgce_mini.cli.open._hand_over", lambda command, cwd: opened.append(cwd))
    pgce("lab")
    assert opened == [ROOT / "notebooks"]
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_named_by_its_path_or_if_it_is_shipped_by_its_bare_name(
    wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def row_of(spec: str) -> str:
        """What is said about a row that the study lacks, which is asked of the study itself."""
        pgce("study", spec, "--check", "nobody/seed0", code=2)
        return capsys.readouterr().err

    assert f"{wheel / 'studies' / 'chain.toml'} has no row" in row_of("chain")
    Path("chain").write_text((ROOT / "studies" / "trap.toml").read_text())
    assert "pgce: chain has no row" in row_of("chain")  # a file that is there comes first
    assert "'countdwn' is no file and no shipped study" in row_of("countdwn")
    assert "did you mean countdown?" in row_of("countdwn")
    assert "mine/chain.toml cannot be read" in row_of("mine/chain.toml")


@pytest.mark.parametrize("path", ["pgce", "/pgce/", "lab/pgce_mini-1.0"])
def test_the_explorer_is_told_its_path_behind_a_proxy(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("pgce_mini.cli.open._hand_over", lambda command, cwd: commands.append(command))
    monkeypatch.setenv("PGCE_RUNS_DIR", "")  # which the command sets
    monkeypatch.setenv("PGCE_TRAINING", "")
    pgce("explore", "--base-path", path, "--no-training")
    assert commands[0][commands[0].index("--server.baseUrlPath") + 1] == path.strip("/")


@pytest.mark.parametrize("path", ["../up", "a//b", "a b", "http://host/pgce", "é", "?x"])
def test_a_path_that_no_proxy_has_is_refused(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    pgce("explore", "--base-path", path, code=2)
    assert "base-path must be of letters" in capsys.readouterr().err


def test_the_version_is_printed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    pgce("--version")
    assert capsys.readouterr().out == f"pgce_mini {pgce_mini.__version__}\n"
