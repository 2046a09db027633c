"""The study's document: the one in the repository is what its tables give, and what tables give is right."""

from __future__ import annotations

import functools
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from statistics import fmean

import pytest

from pgce_mini.evaluation import LENGTH
from pgce_mini.reports.study_document import build
from pgce_mini.shipped import RESULTS
from pgce_mini.study import (
    Columns,
    Curve,
    Row,
    key_of,
    load_spec,
    read_curves,
    read_rows,
    write_curves,
    write_rows,
)
from pgce_mini.study.analysis import (
    AFTER_RL,
    FAMILIES,
    PREDICTED,
    Comparison,
    Evidence,
    decide,
    decide_claims,
    holm,
    paired_over_seeds,
    precision_answer,
    verdict,
)
from pgce_mini.tasks import ChainSum
from pgce_mini.theory import predict_chain

ROOT = Path(__file__).resolve().parents[1]
SPECS = ROOT / "studies"
BY_NAME = {family.name: family for family in FAMILIES}

predicted = functools.cache(predict_chain)


def invented(row: Row, rng: random.Random) -> tuple[Columns, list[Curve]]:
    """Numbers for a row as its study would leave them: precision 0.1 better than the rest, noise small."""
    lift = 0.1 if row.arm.name == "precision" else 0.0
    noise = rng.gauss(0, 0.01)
    columns = {**row.identity, "temperature": 1.0, "cross_entropy_before": 0.7 + noise / 10, "ece_before": 0.01}
    columns["entropy_before"] = 0.7 - 2 * lift + noise
    curves: list[Curve] = []
    if row.rl is None:
        names = ("repetition", "distinct_1", "distinct_2", "distinct_3")
        return columns | {f"{name}_before": 0.5 + noise for name in names}, curves
    corpus = row.pretrain.corpus
    for when in ("before", "after"):
        columns |= {
            f"{name}_{when}": 0.5 + lift + noise
            for name in ("avg_at_m", "pass_at_8", "pass_at_64", "completion_length", "reasoned_share")
        }
    if isinstance(corpus, ChainSum) and row.arm.name in PREDICTED:
        prediction = predicted(corpus, row.pretrain.shaping)
        columns["reasoned_share_before"] = prediction.reasoned_share + 0.01
        columns["accuracy_if_reasoned_before"] = prediction.accuracy_if_reasoned
        values = [*prediction.entropy_by_position]
        steps = list(range(1, len(values) + 1))
        curves.append({"stage": "before", "metric": "entropy", "steps": steps, "values": values})
    steps = list(range(1, 21))
    for metric in ("reward", "entropy", LENGTH):
        fall = 0.02 if row.arm.name == "diversity" else 0.01
        values = [1 - fall * step + noise * (step > 10) for step in steps]
        curves.append({"stage": "rl", "metric": metric, "steps": steps, "values": values})
    return columns, curves


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for path in sorted(SPECS.glob("*.toml")):
        rng = random.Random(path.stem)
        found = [invented(row, rng) for row in load_spec(path, folder / "runs").rows]
        write_rows(folder / f"{path.stem}.parquet", [{**columns, "error": None} for columns, _ in found])
        write_curves(folder / f"{path.stem}-curves.parquet", found)
    return folder


@pytest.fixture(scope="module")
def files(results: Path) -> dict[str, str]:
    return build(results, SPECS)


def test_document_in_the_repository_is_what_its_tables_give() -> None:
    for name, content in build(RESULTS, SPECS).items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == content, f"{name}: make study-report"


def test_without_tables_the_document_says_that_nothing_has_been_run(tmp_path: Path) -> None:
    files = build(tmp_path, SPECS)
    assert list(files) == ["study.md"]
    assert files["study.md"].count("**not run yet**") == len(list(SPECS.glob("*.toml")))
    assert "The paper's claims" not in files["study.md"]


def test_no_word_is_higher_without_the_plan_and_its_correction(results: Path, tmp_path: Path) -> None:
    trap = Evidence()  # shipped: its interval excludes 0, Holm's p does not pass
    assert verdict(trap.compare(Comparison("trap", "precision", AFTER_RL, "higher"))) == "higher"
    assert trap.seen("trap", "precision", AFTER_RL) == "no difference seen"
    assert trap.seen("trap", "diversity", AFTER_RL) is None  # not planned
    assert trap.seen("chain", "precision", "entropy_before") == "lower"
    assert "Not seen here: by the planned, corrected comparisons" in (answer := precision_answer(trap))
    assert "in 0 of 3 studies" in answer
    assert "trap +0.180 [+0.029, +0.313]" in answer
    assert "Yes, here" in precision_answer(Evidence(results))
    assert "Not known yet" in precision_answer(Evidence(tmp_path))


def test_with_some_of_the_tables_nothing_is_decided_that_needs_the_rest(results: Path, tmp_path: Path) -> None:
    for name in ("chain.parquet", "chain-curves.parquet"):
        (tmp_path / name).write_bytes((results / name).read_bytes())
    decisions = decide_claims(Evidence(tmp_path))
    verdicts = [decision.verdict for decision in decisions.values()]
    assert verdicts[:4] == ["not decided"] * 3 + ["holds"]  # one arm and task suffice
    assert decisions[list(decisions)[3]].rests_on[0][0].startswith("precision in chain")
    assert str(decisions[list(decisions)[1]]) == "not decided: 2 of 3 comparisons are not run yet"
    text = build(tmp_path, SPECS)["study.md"]
    assert text.count("**not run yet**") == len(list(SPECS.glob("*.toml"))) - 1
    assert "not run yet |" in text


def test_numbers_of_a_comparison_are_those_of_the_statistics(results: Path, files: dict[str, str]) -> None:
    evidence = Evidence(results)
    rows = {
        (study, row["arm"], row["seed"]): row["avg_at_m_after"]
        for study in ("chain", "trap", "countdown")
        for row in evidence.rows(study)
    }
    differences = {
        f"{study} {arm}": paired_over_seeds(
            {seed: rows[study, arm, seed] for seed in range(10)},
            {seed: rows[study, "ce", seed] for seed in range(10)},
        )
        for arm in ("precision", "tail-penalty")
        for study in ("chain", "trap", "countdown")
    }
    adjusted = holm({name: difference.p for name, difference in differences.items()})
    for comparison in BY_NAME["2"].comparisons:
        name = f"{comparison.study} {comparison.arm}"
        finding = evidence.findings["2", comparison]
        assert finding.difference == differences[name]
        assert finding.adjusted_p == pytest.approx(adjusted[name])
        expected = differences[name]
        interval = f"{expected.mean:+.3f} [{expected.low:+.3f}, {expected.high:+.3f}]"
        arms = (comparison.arm, "ce")
        means = ", ".join(f"{fmean(rows[comparison.study, arm, seed] for seed in range(10)):.3f}" for arm in arms)
        line = (
            f"| `{comparison.study}` | Avg@64 after RL: {comparison.arm} - ce | 10 | {means} | {interval} | "
            f"{adjusted[name]:.3f} | {expected.detectable:.3f} | higher "
        )
        assert line in files["study.md"]


def test_decisions_follow_the_rule(results: Path) -> None:
    evidence = Evidence(results)

    def decision(name: str, place: int) -> str:
        family = BY_NAME[name]
        return str(decide(evidence, family, family.hypotheses[place]))

    assert decision("1a", 0) == "holds (as expected in 12 of 12)"
    assert decision("1b", 0) == "does not hold (as expected in 3 of 12, no difference seen in 9)"
    assert decision("2", 0) == "holds (as expected in 3 of 3)"
    assert decision("2", 1) == "does not hold (as expected in 0 of 3, no difference seen in 3)"
    assert decision("3", 0) == "holds (as expected in 3 of 3)"
    assert decision("5", 1) == "holds (as expected in 3 of 3)"
    claims = list(decide_claims(evidence).values())
    verdicts = ["does not hold", "does not hold", "holds", "holds", "cannot be tested at this scale"]
    assert [claim.verdict for claim in claims] == verdicts
    assert [d.verdict for _, d in claims[1].rests_on] == ["holds", "does not hold"]  # tail-penalty fails
    assert claims[1].lines[1] == "precision: Avg@64 after RL higher than ce: holds (as expected in 3 of 3)"
    assert claims[2].reasons == ("both halves as expected in 3 of 3", "chain", "trap", "countdown")
    assert claims[2].lines[0] == "holds (both halves as expected in 3 of 3, chain, trap, countdown)"
    assert str(claims[4]) == "cannot be tested at this scale"


def flipped(results: Path, folder: Path, study: str, arm: str, metric: str) -> Evidence:
    """The tables with the RL curves of an arm in a study turned round."""
    for path in results.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rows, curves = read_rows(results / f"{study}.parquet"), read_curves(results / f"{study}-curves.parquet")
    for key, of_row in curves.items():
        for curve in of_row:
            if key[1] == arm and (curve["stage"], curve["metric"]) == ("rl", metric):
                curve["values"] = curve["values"][::-1]
    write_curves(folder / f"{study}-curves.parquet", [(row, curves[key_of(row)]) for row in rows])
    return Evidence(folder)


def test_claim_of_two_halves_needs_both_in_the_same_task_and_the_reverse_in_none(
    results: Path, tmp_path: Path
) -> None:
    evidence = flipped(results, tmp_path, "trap", "diversity", "entropy")
    family = BY_NAME["3"]
    entropy, length = (str(decide(evidence, family, hypothesis)) for hypothesis in family.hypotheses)
    assert entropy == "does not hold (as expected in 2 of 3, the reverse for diversity in trap)"
    assert length == "holds (as expected in 3 of 3)"
    claim = list(decide_claims(evidence).values())[2]
    assert claim.verdict == "does not hold"
    assert claim.reasons == ("both halves as expected in 2 of 3", "chain", "countdown")


def test_the_same_run_in_two_studies_is_found_and_compared(results: Path, tmp_path: Path) -> None:
    chain, grids = (read_rows(results / f"{name}.parquet") for name in ("chain", "grids"))
    of_chain, of_grids = (read_curves(results / f"{name}-curves.parquet") for name in ("chain", "grids"))
    originals = {(row["arm"], row["seed"]): row for row in chain}
    twins = {"ce": "ce", "beta-0.25": "precision"}
    copies = []
    for row in grids:
        if row["arm"] in twins:
            original = originals[twins[row["arm"]], row["seed"]]
            names = {name: row[name] for name in ("study", "arm", "variant", "settings")}
            copies.append((original | names, of_chain[key_of(original)]))
        else:
            copies.append((row, of_grids[key_of(row)]))
    copies[0][0]["avg_at_m_after"] += 0.25
    write_rows(tmp_path / "chain.parquet", chain)
    write_curves(tmp_path / "chain-curves.parquet", [(row, of_chain[key_of(row)]) for row in chain])
    write_rows(tmp_path / "grids.parquet", [row for row, _ in copies])
    write_curves(tmp_path / "grids-curves.parquet", copies)
    text = build(tmp_path, SPECS)["study.md"]
    (line,) = re.findall(r"\| `chain` \| `grids` \| (\d+) \| (\d+) \| ([\d.]+) \|", text)
    assert line == ("25", "9", "0.250")  # five arms of five seeds; two are copies, but for one row


def test_failed_rows_are_listed_and_counted_in_nothing(results: Path, tmp_path: Path) -> None:
    evidence = Evidence(results)
    rows = evidence.all_rows("trap")
    rows[1] = {**{name: rows[1][name] for name in ("study", "task", "variant", "arm", "seed", "settings")},
               "error": "the training diverged at step 7"}  # fmt: skip
    write_rows(tmp_path / "trap.parquet", rows)
    (tmp_path / "trap-curves.parquet").write_bytes((results / "trap-curves.parquet").read_bytes())
    text = build(tmp_path, SPECS)["study.md"]
    assert "precision, seed 0: the training diverged at step 7" in text
    difference = Evidence(tmp_path).compare(Comparison("trap", "precision", "avg_at_m_after", "higher"))
    assert difference is not None
    assert difference.n == 9


def test_mechanism_is_right_when_the_priors_do_as_predicted(files: dict[str, str]) -> None:
    text = files["study.md"]
    assert "share of reasoned answers: **right**, the largest error is 0.010, 0.05 was allowed" in text
    assert "entropy by position: **right**, the largest error is 0.000" in text


def test_pictures_are_well_formed_and_every_one_is_shown_with_its_words(files: dict[str, str]) -> None:
    shown = dict(re.findall(r"!\[([^\]]*)\]\((study/[\w-]+\.svg)\)", files["study.md"]))
    assert set(shown.values()) == files.keys() - {"study.md"}
    assert {f"study/{spec.stem}.svg" for spec in SPECS.glob("*.toml")} <= set(shown.values())
    for words, name in shown.items():
        root = ET.fromstring(files[name])
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert title.text == words
        assert not re.search("nan|inf", files[name].split("</style>")[1])


def test_every_comparison_that_is_planned_has_its_rows_in_a_specification() -> None:
    specs = {path.stem: load_spec(path, Path("runs")) for path in SPECS.glob("*.toml")}
    for family in FAMILIES:
        for comparison in family.comparisons:
            names = {(row.variant, row.arm.name) for row in specs[comparison.study].rows}
            assert {(comparison.variant, comparison.arm), (comparison.variant, comparison.baseline)} <= names
            assert len(specs[comparison.study].seeds) == 10  # five could never pass 5 %
