"""The command line as its users meet it: in this process where that is enough, in a real one where it is not."""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import pgce

from pgce_mini.cli.commands import COMMANDS
from pgce_mini.evaluation import load_evaluation
from pgce_mini.runs import Run
from pgce_mini.shipped import RESULTS, priors

TINY_PRIOR = ["pretrain", "--steps", "12", "--batch-size", "4", "--hidden-size", "16", "--intermediate-size", "16"]
TINY_RL = ["rl", "--steps", "2", "--prompts-per-step", "2", "--num-generations", "4"]
TINY_EVALUATION = ["--problems", "4", "--samples", "4", "--ks", "1", "4", "--documents", "8"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prior, a policy trained from it, both evaluated, and a prior of text."""
    folder = tmp_path_factory.mktemp("runs")
    prior, policy, text = str(folder / "prior"), str(folder / "policy"), str(folder / "text")
    (folder / "book.txt").write_text("It was the best of times, it was the worst of times.\n" * 200)
    pgce(*TINY_PRIOR, "--quiet", "--run-dir", prior, "--arm", "precision")
    pgce(*TINY_RL, "--quiet", "--prior", prior, "--run-dir", policy)
    pgce("evaluate", prior, policy, "--quiet", *TINY_EVALUATION)
    pgce(
        *TINY_PRIOR, "--quiet", "--run-dir", text,
        "text", "--path", str(folder / "book.txt"), "--vocab-size", "300", "--context-length", "32",
    )  # fmt: skip
    return folder


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence that ends stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    sentence = printed.err.strip().splitlines()[-1]
    assert sentence.startswith("pgce: ")
    return sentence


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    pgce(command, "--help")
    printed = capsys.readouterr().out
    assert (COMMANDS[command].__doc__ or "").split()[0] in printed
    assert "--json" in printed


def test_runs_leave_their_files(runs: Path) -> None:
    for name in ("prior", "policy"):
        assert {file.name for file in (runs / name).iterdir()} - {".lock"} == {
            "config.json", "metrics.jsonl", "model.safetensors", "evaluation.json", "samples.jsonl",
        }  # fmt: skip
    assert Run(runs / "prior").config()["config"]["shaping"]["beta"] == -0.25


def test_options_change_the_values_of_an_arm(tmp_path: Path) -> None:
    pgce(*TINY_PRIOR, "--quiet", "--run-dir", str(tmp_path / "run"), "--arm", "tail-penalty", "--top-k", "6")
    shaping = Run(tmp_path / "run").config()["config"]["shaping"]
    assert (shaping["lambda_tail"], shaping["top_k"]) == (-0.1, 6)
    pgce(*TINY_PRIOR, "--quiet", "--run-dir", str(tmp_path / "plain"), "--arm", "precision", "--beta", "0")
    assert Run(tmp_path / "plain").config()["config"]["shaping"]["beta"] == 0


def test_task_is_a_subcommand_with_its_own_options(tmp_path: Path) -> None:
    pgce(*TINY_PRIOR, "--quiet", "--run-dir", str(tmp_path / "run"), "countdown", "--count", "4")
    corpus = Run(tmp_path / "run").config()["config"]["corpus"]
    assert (corpus["name"], corpus["count"]) == ("countdown", 4)


def test_compare_shows_runs_side_by_side(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pgce("compare", str(runs / "prior"), str(runs / "policy"))
    printed = capsys.readouterr().out
    assert "Avg@4" in printed
    assert f"{runs / 'policy'} - {runs / 'prior'}" in printed
    for name in ("prior", "policy"):
        assert f"{runs / name}, held-out documents: cross-entropy " in printed


def test_compare_of_texts_is_of_their_held_out_documents(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [str(tmp_path / name) for name in ("a", "b")]
    for name in both:
        shutil.copytree(runs / "text", name)
    pgce("evaluate", *both, "--quiet", "--documents", "8")
    evaluated = capsys.readouterr().out
    pgce("compare", *both)
    assert capsys.readouterr().out == evaluated
    pgce("compare", *both, "--json")
    assert {tuple(of_run["heldout"]) for of_run in json.loads(capsys.readouterr().out).values()} == {
        ("cross_entropy", "entropy", "ece")
    }
    book, another = tmp_path / "book.txt", str(tmp_path / "c")
    book.write_text("Call me Ishmael. Some years ago, never mind how long.\n" * 200)
    pgce(
        *TINY_PRIOR, "--quiet", "--run-dir", another,
        "text", "--path", str(book), "--vocab-size", "300", "--context-length", "32",
    )  # fmt: skip
    pgce("evaluate", another, "--quiet", "--documents", "8")
    config = json.loads((tmp_path / "a" / "evaluation.json").read_text())
    config["corpus"]["path"] = str(book)  # as if it had been there before
    (tmp_path / "a" / "evaluation.json").write_text(json.dumps(config))
    capsys.readouterr()
    pgce("compare", both[0], another, code=2)
    assert error_of(capsys).endswith("runs must be of one text, and the file of these has changed between them")


def test_folder_of_a_study_is_not_compared_but_told_from_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quick" / "rows").mkdir(parents=True)
    pgce("compare", str(tmp_path / "quick"), code=2)
    assert error_of(capsys).endswith("quick is the folder of a study: pgce study SPEC --collect shows its table")


def test_json_is_all_of_stdout(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["compare", str(runs / "prior"), str(runs / "policy"), "--json"],
        ["evaluate", str(runs / "prior"), "--json", *TINY_EVALUATION],
        ["sample", str(runs / "prior"), "--json"],
        ["doctor", "--json"],
        [*TINY_PRIOR, "--arm", "precision", "--run-dir", str(runs / "prior"), "--json"],
    ):
        pgce(*command)
        json.loads(capsys.readouterr().out)


def test_model_by_itself_is_evaluated_and_nothing_is_written(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.safetensors"
    shutil.copy(runs / "policy" / "model.safetensors", file)
    pgce("evaluate", str(file), "--json", *TINY_EVALUATION)
    evaluation = json.loads(capsys.readouterr().out)[str(file)]
    assert evaluation == json.loads(json.dumps(load_evaluation(runs / "policy")))
    pgce("evaluate", str(file), str(runs / "policy"), *TINY_EVALUATION)
    assert "Avg@4" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file]


def test_sample_prints_each_token_with_its_probability(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["sample", str(runs / "prior"), "--prompts", "1", "--samples", "1"]
    pgce(*options, "--json")
    (record,) = json.loads(capsys.readouterr().out)
    assert list(record) == ["prompt", "completion", "tokens", "probabilities", "reward"]
    pgce(*options)
    prompt, line = capsys.readouterr().out.splitlines()
    assert prompt == repr(record["prompt"])
    pairs = zip(record["tokens"], record["probabilities"], strict=True)
    assert line.split("  ")[-1] == " | ".join(f"{token} {probability:.2f}" for token, probability in pairs)
    pgce("sample", str(runs / "prior"), "--prompt", "1 + 1 =", "--samples", "1", "--json")
    (record,) = json.loads(capsys.readouterr().out)
    assert "reward" not in record  # nothing judges it


def test_sample_of_a_text_can_be_read_before_its_tokens_whose_spaces_and_line_ends_are_shown(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["sample", str(runs / "text"), "--prompts", "1", "--samples", "16", "--max-completion-length", "20"]
    pgce(*options, "--json")
    records = json.loads(capsys.readouterr().out)
    pgce(*options)
    _, *lines = capsys.readouterr().out.strip().splitlines()
    assert lines[::2] == [f"  {record['completion']!r}" for record in records]
    assert [line.count(" | ") for line in lines[1::2]] == [len(record["tokens"]) - 1 for record in records]
    assert "␣" in "".join(lines[1::2])
    assert "\\n" in "".join(lines[1::2])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pretrain", "--steps", "0"], "steps must be a whole number of at least 1, got 0"),
        (["pretrain", "--arm", "head-reward"], "top_k=100 leaves no tail"),
        (["pretrain", "--device", "abacus"], "device must be cpu, cuda or mps"),
        (["pretrain", "text", "--path", "missing.txt"], "missing.txt"),
        (["rl", "--prior", "missing"], "missing"),
        (["rl", "--prior", "{runs}/text"], "has no verifier"),
        (["sample", "missing"], "missing"),
        (["sample", "{runs}/book.txt"], "book.txt is no model of pgce_mini, or damaged"),
        (["sample", "{runs}/prior", "--seed", "-1"], "seed must be a whole number between 0 and"),
        (["sample", "{runs}/prior", "--prompt", ""], "the prompt is empty: write at least one token"),
        (["evaluate"], "runs must name at least one folder or model"),
        (["evaluate", "{runs}/prior", "--ks", "99"], "ks must be whole numbers between 1 and samples"),
        (["compare", "{runs}/text"], "text has not been evaluated: pgce evaluate"),
        (["compare", "{runs}/prior/model.safetensors"], "is a file: name the folder"),
        (["study", "--report", "{runs}", "--results", "missing"], "missing holds no table of a study that is"),
        (["study", "chain", "--report", "{runs}"], "report is on all studies that are shipped: leave out spec"),
        (["study", "--quick", "--report", "{runs}"], "report is on all studies that are shipped: leave out spec"),
        (["build-priors", "--arms", "beta-0.75"], "for countdown, got 'beta-0.75'"),
        (["sample", "{runs}/prior", "--quiet"], "--quiet is no option of pgce sample"),
        (["compare"], "runs must name folders"),
        (["demo", "--seeds", "1", "1"], "none twice"),
        (["demo", "--study-dir", "{runs}/prior"], "holds another run"),
        ([*TINY_PRIOR, "--run-dir", "{runs}/prior", "--lr", "0.1"], "holds another run"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    sentence: str,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    pgce(*(argument.replace("{runs}", str(runs)) for argument in arguments), code=2)
    assert sentence in error_of(capsys)
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "saves"),
    [
        (["pretrain"], True), (["rl"], True), (["demo"], True), (["study", "--quick"], True),
        (["build-priors"], True), (["build-policies"], True), (["study", "--report", "docs"], False),
        (["study", "--quick", "--check", "ce/seed0"], False), (["sample", "runs/prior"], False),
        (["evaluate", "runs/prior"], False), (["playground"], False), (["compare", "runs/prior"], False),
    ],
)  # fmt: skip
def test_commands_promise_to_go_on_only_where_something_was_saved(
    arguments: list[str], saves: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped_by: BaseException = KeyboardInterrupt()

    def run(_: object) -> None:
        raise stopped_by

    monkeypatch.setattr(COMMANDS[arguments[0]], "run", run)
    goes_on = "the same command goes on from the last saved step"
    pgce(*arguments, code=130)
    assert error_of(capsys) == (f"pgce: stopped; {goes_on}" if saves else "pgce: stopped")
    stopped_by = SystemExit(143)
    pgce(*arguments, code=143)
    assert error_of(capsys) == (f"pgce: stopped by SIGTERM; {goes_on}" if saves else "pgce: stopped by SIGTERM")
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        stopped_by = OSError(code, os.strerror(code), "runs/prior/model.safetensors")
        pgce(*arguments, code=2)
        then = goes_on if saves else "run the same command again"
        assert error_of(capsys) == f"pgce: the disk is full: free some space, then {then}"


@pytest.mark.parametrize(
    "ask",
    [
        lambda _: torch.empty(10**15), lambda _: torch.empty(10**10, 10**10), lambda _: torch.empty(10**30),
        lambda _: np.empty(10**17),
        lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")),
    ],
    ids=["more than can be addressed", "counted", "unpacked", "NumPy", "GPU"],
)  # fmt: skip
def test_too_little_memory_is_one_sentence(
    ask: Any, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pgce_mini.cli.evaluate.load_model", ask)
    pgce("sample", str(runs / "prior"), code=2)
    assert error_of(capsys) == (
        "pgce: the memory of this machine is too small for that: ask for a smaller model, smaller batches, "
        "fewer samples or fewer prompts"
    )


def test_fault_of_ours_keeps_its_trace(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgce_mini.cli.evaluate.load_model", lambda _: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        pgce("sample", str(runs / "prior"))


def test_finished_run_without_its_metrics_is_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "prior", tmp_path / "prior")
    (tmp_path / "prior" / "metrics.jsonl").unlink()
    pgce(*TINY_PRIOR, "--arm", "precision", "--run-dir", str(tmp_path / "prior"), code=2)
    assert "metrics.jsonl is missing or empty: restore a copy" in error_of(capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pretrain", "--stepz", "3"], "--stepz is no option of pgce pretrain: did you mean --steps? See"),
        (["sample", "a", "b"], "'b' is no argument of pgce sample; see pgce sample --help"),
        (["pretrain", "tex"], "'tex' is no argument of pgce pretrain: did you mean text? See pgce"),
        (["pretrain", "text", "--lr", "3"], "--lr is no option of pgce pretrain text, but of pgce pretrain: put"),
        (["rl", "--tokenizer", "char"], "--tokenizer is no option of pgce rl, but of pgce pretrain text"),
        (["pretrain", "text", "--run-dir=x"], "--run-dir=x stands where it is not read: put it right behind pgce"),
        (["pretrain", "--", "--run-dir", "x"], "--run-dir stands where it is not read: put it right behind pgce"),
        (["pretrain", "--quiet", "yes"], "'yes' is no argument of pgce pretrain"),
        (["doctor", "--quiet"], "--quiet is no option of pgce doctor"),
        (["fly"], "'fly' is no command; see pgce --help"),
        (["pretain"], "'pretain' is no command: did you mean pretrain? See pgce --help"),
        ([], "say what to do: demo, study, pretrain,"),
        (["--steps", "3"], "--steps stands before the command: say first what to do, demo,"),
        (["pretrain", "--steps"], "--steps needs a value; see pgce pretrain --help"),
        (["rl", "--prior"], "--prior needs a value; see pgce rl --help"),
        (["pretrain", "--steps", "abc"], "--steps must be a whole number, got 'abc'; see pgce pretrain --help"),
        (["pretrain", "--seed=1.5"], "--seed must be a whole number, got '1.5'"),
        (["pretrain", "--lr", ""], "--lr must be a number, got ''"),
        (["pretrain", "--warmup-steps", "x"], "--warmup-steps must be a whole number, got ['x']"),
        (["evaluate", "--ks", "1", "x"], "--ks must be whole numbers, got ['1', 'x']; see pgce evaluate --help"),
        (["pretrain", "--arm", "boldness"], "--arm must be one of ce, diversity, head-reward, precision,"),
        (["pretrain", "text", "--tokenizer", "x"], "--tokenizer must be one of bpe, char, got 'x'; see pgce"),
        (["demo", "--arms", "ce", "x"], "--arms must be one of"),
        (["pretrain", "--steps", "caf\udce9"], r"--steps must be a whole number, got 'caf\udce9'"),
        (["pretrain", "--top-k", "0"], "top_k must be a whole number of at least 1, got 0"),
        (["pretrain", "--beta", "nan"], "beta must be a finite number"),
        (["pretrain", "--arm", "precision", "--top-k", "0"], "top_k must be a whole number of at least 1, got 0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro's box has other signs then
def test_words_and_values_that_do_not_parse_are_one_sentence(
    arguments: list[str], sentence: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    pgce(*arguments, code=2)
    for stream in (out, err):
        stream.seek(0)
    assert out.read() == ""
    (line,) = err.read().splitlines()
    assert line.startswith(f"pgce: {sentence}")


@pytest.mark.parametrize("prompt", ["caf\udce9", "\ud800", "a\udcff b"])
@pytest.mark.parametrize("task", ["text", "chain-sum"])
def test_prompt_that_is_no_text_is_one_sentence(
    prompt: str, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pgce("sample", str(priors.path(task, "ce")), "--prompt", prompt, "--samples", "1", code=2)
    assert error_of(capsys).startswith("pgce: text holds ")


@pytest.mark.parametrize("columns", ["0", "1", "5", "20", "-5", "abc", "1000000000"])
def test_terminal_of_any_width_gets_help_and_the_same_sentences(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for command in ("pretrain", "doctor"):
        pgce(command, "--help")
        assert "--json" in capsys.readouterr().out
    pgce("--help")
    assert "build-policies" in capsys.readouterr().out
    pgce("pretrain", "--stepz", code=2)
    assert error_of(capsys).endswith("did you mean --steps? See pgce pretrain --help")
    assert os.environ["COLUMNS"] == columns


@pytest.mark.parametrize("finder_fails", [False, True])
def test_doctor_says_what_is_missing_and_how_to_get_it(
    finder_fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = {
        "streamlit": "app", "segno": "app", "sphinx": "site", "ray": "scale", "transformers": "hf", "trl": "trl"
    }  # fmt: skip
    find_spec = importlib.util.find_spec

    def find(name: str, *rest: Any) -> Any:
        if name in absent and finder_fails:
            raise ImportError(name)
        return None if name in absent else find_spec(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "chromium-browser" else None)
    pgce("doctor")
    assert "everything is here" not in capsys.readouterr().out
    pgce("doctor", "--json")
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["has"]["python"]
    assert report["has"]["browser"] == "chromium-browser"
    for package, extra in absent.items():
        assert f'".[{extra}]"' in report["missing"][package]
    pgce("explore", code=2)
    assert "streamlit is not installed" in error_of(capsys)


def test_a_row_is_checked_against_the_table_of_the_package_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: list[Path] = []
    monkeypatch.setattr("pgce_mini.cli.study.check_row", lambda path, row, results: tables.append(results) or [])
    monkeypatch.chdir(tmp_path)
    pgce("study", "chain", "--check", "ce/seed0")
    (tmp_path / "runs" / "studies").mkdir(parents=True)
    (tmp_path / "runs" / "studies" / "chain.parquet").touch()
    pgce("study", "chain", "--check", "ce/seed0")
    pgce("study", "chain", "--check", "ce/seed0", "--results", "mine")
    assert tables == [RESULTS, Path("runs/studies"), Path("mine")]


def test_priors_can_be_built_again_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, top_k = priors.SETTINGS["chain-sum"]
    monkeypatch.setitem(priors.SETTINGS, "chain-sum", (replace(config, steps=3, batch_size=4), top_k))
    folder = tmp_path / "files"
    pgce(
        "build-priors", "--quiet", "--json", "--folder", str(folder), "--runs-dir", str(tmp_path / "runs"),
        "--tasks", "chain-sum", "--arms", "diversity",
    )  # fmt: skip
    manifest = json.loads(capsys.readouterr().out)
    assert list(manifest["priors"]) == ["chain-sum-diversity"]
    assert json.loads((folder / "manifest.json").read_text())["priors"] == manifest["priors"]
    assert (folder / "chain-sum-diversity.safetensors").exists()


def test_explorer_is_told_where_the_runs_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGCE_RUNS_DIR", "elsewhere")
    started: list[str] = []
    monkeypatch.setattr(
        "pgce_mini.cli.open._hand_over", lambda command, cwd: started.append(os.environ["PGCE_RUNS_DIR"])
    )
    pgce("explore")
    pgce("explore", "--runs-dir", "mine")
    assert started == [str(tmp_path / "runs"), str(tmp_path / "mine")]


def test_explorer_says_where_a_class_joins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("pgce_mini.cli.open._hand_over", lambda command, cwd: commands.append(command))
    monkeypatch.setattr("pgce_mini.network.machine_address", lambda: "192.0.2.7")
    monkeypatch.setenv("PGCE_NETWORK", "")  # so that what is set here is taken back
    joins = {
        (): "",
        ("--address", "127.0.0.1"): "",
        ("--address", "0.0.0.0"): "http://192.0.2.7:8501",
        ("--address", "::", "--base-path", "lab/pgce"): "http://192.0.2.7:8501",
        ("--address", "room.example", "--port", "80"): "http://room.example:80",
        ("--address", "fd00::2"): "http://[fd00::2]:8501",
        ("--origin", "https://lab.example/"): "https://lab.example",
    }
    for options, origin in joins.items():
        pgce("explore", *options)
        assert os.environ["PGCE_NETWORK"] == origin
        path = "lab/pgce/class" if "lab/pgce" in options else "class"
        assert capsys.readouterr().out == (f"a class joins at  {origin}/{path}\n" if origin else "")
    told = [command[-1] for command in commands if "--browser.serverAddress" in command]
    assert told == ["192.0.2.7"] * 2  # where Streamlit would ask the internet for it
    pgce("explore", "--origin", "https://lab.example/pgce", code=2)
    assert "base-path" in error_of(capsys)
    for origin in ("http://[", "http://:80", "http://a:b"):
        pgce("explore", "--origin", origin, code=2)
        assert "http://HOST:PORT" in error_of(capsys)
    pgce("explore", "--address", "http://0.0.0.0", code=2)
    assert "such as 0.0.0.0" in error_of(capsys)


# --- Real processes --------------------------------------------------------------------------------------


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pgce_mini", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["Ctrl-C", "the end of stdin"])
def test_interruption_saves_and_the_same_command_goes_on(tmp_path: Path, by: str) -> None:
    command = [*TINY_PRIOR, "--quiet", "--steps", "300"]
    watch = [] if by == "Ctrl-C" else ["--stop-with-stdin"]
    pgce(*command, "--run-dir", str(tmp_path / "whole"))
    metrics = tmp_path / "parts" / "metrics.jsonl"
    process = start(*command, *watch, "--run-dir", str(tmp_path / "parts"), stdin=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 3):
        assert time.monotonic() < deadline, "no step in two minutes"
        time.sleep(0.01)
    if by == "Ctrl-C":
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # which closes stdin
    assert process.returncode == 130
    assert errors.strip() == "pgce: stopped; the same command goes on from the last saved step"
    assert 3 <= len(Run(tmp_path / "parts").metrics()) < 300
    pgce(*command, "--run-dir", str(tmp_path / "parts"))
    whole, parts = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_full_disk_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = [*TINY_PRIOR, "--quiet", "--save-every", "4", "--run-dir", str(tmp_path / "run")]

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = start(*command, preexec_fn=no_room)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors.strip() == (
        "pgce: the disk is full: free some space, then the same command goes on from the last saved step"
    )
    pgce(*command)
    assert Run(tmp_path / "run").finished


def test_trace_is_there_for_those_who_ask(tmp_path: Path) -> None:
    process = start("sample", str(tmp_path / "missing"), env={**os.environ, "PGCE_DEBUG": "1"})
    _, errors = process.communicate(timeout=60)
    assert "Traceback" in errors
