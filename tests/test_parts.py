"""A part of a study in one line: its verdict, what it contradicts, and how the results page says it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from app_files import APP, app_on_the_path
from streamlit.testing.v1 import AppTest

from pgce_mini.runs import write_json
from pgce_mini.shipped import RESULTS
from pgce_mini.study import Columns, Curve, write_curves, write_rows
from pgce_mini.study.analysis import ORDER, PROTOCOLS, REGISTERED, Evidence, check_predictors, first_line
from pgce_mini.study.analysis.protocol_2 import CHAIN, CONFIRM, TRAP


def write_confirm(folder: Path, seeds: int) -> None:
    """precision is 0.1 better than the other arms; at the end of the third cell worse, in the last equal."""
    rng = random.Random(0)
    results: list[tuple[Columns, list[Curve]]] = []
    for variant in CONFIRM:
        for arm in ("ce", "precision", "matched-precision", "temperature-0.75"):
            for seed in range(10, 10 + seeds):
                lift = 0.1 if arm == "precision" and variant != TRAP else 0.0
                reward, end = (
                    0.5 + sign * lift + rng.gauss(0, 0.01) for sign in (1, -1 if variant == CHAIN else 1)
                )
                row = {"study": "confirm", "variant": variant, "arm": arm, "seed": seed, "error": None}
                row |= {"task": "chain-sum", "settings": json.dumps({"evaluation": {"samples": 16}})}
                row |= {"avg_at_m_after": end, "avg_at_m_at_0.75_after": end}
                results.append(
                    (row, [{"stage": "rl", "metric": "reward", "steps": [1, 2], "values": [reward] * 2}])
                )
    write_rows(folder / "confirm.parquet", [row for row, _ in results])
    write_curves(folder / "confirm-curves.parquet", results)


def test_contradictions_of_the_paper_and_of_study_one_are_in_the_line(tmp_path: Path) -> None:
    for name in ("trap.parquet", "trap-curves.parquet"):
        shutil.copy(RESULTS / name, tmp_path)
    write_confirm(tmp_path, 20)
    line = first_line(Evidence(tmp_path), "confirm")
    assert line.startswith(
        "Study II, confirm. Speed: a precision prior learns faster: supported in 3 of 4 cells of confirm; "
        "null within ±0.03 in confirm at the rates of trap. "
    )
    cell = "the rates of chain"
    assert f"the paper: Avg@16 after RL: precision - ce ({cell}), the reverse is supported." in line
    assert "It contradicts our protocol: " in line  # nor is it more than a temperature there
    of_first = line.partition("It contradicts study I: ")[2]
    assert of_first.startswith("mean reward through RL: precision - ce is ")
    assert (
        of_first.count(" in trap") == 2
    )  # the area, and the accuracy, whose interval in study I is clear of 0, too
    assert "here, +0.111 [+0.031, +0.189] in trap" in of_first


def test_a_line_says_what_the_prose_of_our_protocol_did_not_expect() -> None:
    line = first_line(Evidence(), "confirm-countdown")
    assert "It contradicts our protocol's prose, which expects that a temperature does the same: confirm-c" in line
    line = first_line(Evidence(), "confirm")
    assert "5 not jointly supported; 3 supported (smaller than 0.03 for Avg at T = 0.75 after RL)" in line
    assert line.count("precision higher than ") == 3  # at T = 1 by more than d
    assert line.count("our protocol's prose, which expects that a temperature does the same: confirm at ") == 1
    line = first_line(Evidence(), "lr")
    assert "at every rate, not jointly supported (the reverse is supported for" in line  # one rate of three
    assert first_line(Evidence(), "long").endswith(
        "It contradicts our protocol's prose, which expects that it is not higher after long training: Avg@16 "
        "after RL: precision - ce (the rates of trap), supported."
    )


def test_what_is_told_apart_in_a_line_is_named() -> None:
    line = first_line(Evidence(), "family")
    assert (
        "null within ±0.03 for precision - gem-1.13, precision - coverage-0.64; the reverse is supported" in line
    )
    lines = [first_line(Evidence(), part) for protocol in PROTOCOLS for part in protocol.parts]
    assert not [line for line in lines if " for ," in line or " for ." in line or " for ;" in line]


def test_an_unfinished_part_contradicts_nothing(tmp_path: Path) -> None:
    write_confirm(tmp_path, 3)
    line = first_line(Evidence(tmp_path), "confirm")
    assert "not finished (3 of 20 seeds) in all 4 cells of confirm" in line
    assert "contradicts" not in line
    assert "supported" not in line


def test_lines_of_the_first_study() -> None:
    evidence = Evidence()
    lines = {part: first_line(evidence, part) for part in PROTOCOLS[0].parts}
    assert (
        "undecided for precision (36 seeds would find ±0.03), tail-penalty (88 seeds would find ±0.03)"
        in lines["chain"]
    )
    assert lines["chain"].endswith(
        "It contradicts the paper: change of entropy early in RL: diversity - ce, the reverse is supported."
    )
    assert lines["trap"].endswith(
        "The reverse of what the paper or our protocol expects is supported nowhere in it."
    )
    assert (
        "in held-out entropy of the prior, supported: lower for precision (loss arm); supported: higher for "
        "diversity (loss arm); null within ±0.02 for precision (loss ce), diversity (loss ce); in Avg@64 after "
        "RL, undecided for precision (loss arm)"
    ) in lines["midtraining"]
    assert "no comparison was planned here" in lines["phase"]
    with pytest.raises(ValueError, match="part must be one of a protocol"):
        first_line(evidence, "mine")


@pytest.fixture(scope="module")
def app() -> Iterator[Callable[[str], ModuleType]]:
    with app_on_the_path() as imported:
        yield imported


def results_page(**address: str) -> AppTest:
    page = AppTest.from_file(APP / "views" / "diversity_or_precision.py", default_timeout=120)
    for name, value in address.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def test_page_says_in_one_line_that_a_part_has_not_been_run(
    app: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app("tables"), "RESULTS", tmp_path)
    monkeypatch.setattr(app("shell"), "RUNS", tmp_path)
    assert list(app("tables").studies(tmp_path)) == list(ORDER)
    page = results_page(study="confirm", beside="lr")
    said = [html.proto.body for html in page.get("html")]
    lines = [text for text in said if 'class="part"' in text]
    assert lines == [f'<p class="part">Study II, {part}: not run yet.</p>' for part in ("confirm", "lr")]
    assert not any("takeaway" in text or "refusal" in text for text in said)


def test_page_shows_predictions_beside_what_was_measured(app: Callable[[str], ModuleType]) -> None:
    page = results_page(study="theory", predicted="entropy by position")
    said = " ".join(html.proto.body for html in page.get("html"))
    found = [p for p in check_predictors(Evidence(), "theory") if (p.predictor, p.measure) in REGISTERED]
    of_entropy = [p for p in found if p.measure == "entropy by position"]
    right, worst = sum(p.right for p in of_entropy), max(of_entropy, key=lambda p: abs(p.error))
    assert (
        f"(B), is right to within 0.08 for {right} of 12; furthest off is {worst.arm}, by {worst.error:+.3f}."
        in said
    )
    beside = results_page(study="theory", beside="dose")
    assert "only theory has predictions that were registered" in " ".join(
        html.proto.body for html in beside.get("html")
    )


def test_page_reads_no_study_but_those_of_the_package_and_of_the_runs_folder(
    app: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("runs/mine", "outside"):
        write_json(tmp_path / folder / "config.json", {"kind": "study", "config": {}})
    (tmp_path / "runs" / "live").mkdir()
    monkeypatch.setattr(app("shell"), "RUNS", tmp_path / "runs")
    usual = results_page()
    assert "mine" in usual.selectbox(key="study").options
    said = [html.proto.body for html in usual.get("html")]
    for study in ("../outside", str(tmp_path / "outside"), "../../etc", "live"):
        page = results_page(study=study, picture="x", paper="y")
        assert page.selectbox(key="study").value == usual.selectbox(key="study").value
        assert [html.proto.body for html in page.get("html")] == said
