"""The study's document: the one in the repository is what its tables give, and what tables give is right."""

from __future__ import annotations

import functools
import random
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq
import pytest

from pgce_mini.evaluation import LENGTH
from pgce_mini.reports.study_document import build
from pgce_mini.shipped import RESULTS
from pgce_mini.study import (
    Columns,
    Curve,
    Row,
    inventory,
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
    PROTOCOLS,
    Comparison,
    Evidence,
    advice,
    by_seed,
    decide_claims,
    drawn_curves,
    first_line,
    format_difference,
    further_answers,
    holm,
    paired_over_seeds,
    precision_answer,
    variants,
    verdict,
)
from pgce_mini.study.analysis.first_rule import chance_to_hold, first_decisions
from pgce_mini.study.analysis.post_hoc import speeds, tokens_per_completion_token
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
        columns["accuracy_if_direct_before"] = prediction.accuracy_if_direct
        values = [*prediction.entropy_by_position]
        steps = list(range(1, len(values) + 1))
        curves.append({"stage": "before", "metric": "entropy", "steps": steps, "values": values})
    steps = list(range(1, 21))
    for metric in ("reward", "heldout_reward", "entropy", LENGTH):
        fall = 0.02 if row.arm.name == "diversity" else 0.01
        values = [0.9 - fall * step + noise * (step > 10) + lift * ("reward" in metric) for step in steps]
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
def made_up(results: Path) -> Evidence:
    return Evidence(results)


@pytest.fixture(scope="module")
def shipped() -> Evidence:
    return Evidence()


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


def test_no_word_is_supported_without_the_plan_and_its_correction(
    tmp_path: Path, made_up: Evidence, shipped: Evidence
) -> None:
    # In trap the interval excludes 0, Holm's p does not pass.
    difference = shipped.compare(Comparison("trap", "precision", AFTER_RL, "higher"))
    assert difference is not None
    assert verdict(difference, 0.03) == "higher"
    found = shipped.verdict("trap", "precision", AFTER_RL)
    assert found is not None
    assert found.word == "undecided"
    assert shipped.verdict("trap", "diversity", AFTER_RL) is None  # not planned
    assert str(shipped.verdict("chain", "precision", "entropy_before")) == "supported"
    assert "RL? Yes, here" in precision_answer(shipped)
    for study in ("chain", "trap", "countdown"):
        for name in (f"{study}.parquet", f"{study}-curves.parquet"):
            (tmp_path / name).write_bytes((RESULTS / name).read_bytes())
    answer = precision_answer(Evidence(tmp_path))
    assert answer.startswith("Does a precision prior help RL? Undecided, leaning to yes: Avg@64 after RL")
    assert "+0.071 [+0.020, +0.112] over 10 seeds" in answer
    assert "countdown (59 seeds would find ±0.015)" in answer
    assert "Yes, here" in precision_answer(made_up)
    assert "Not known yet" in precision_answer(Evidence(tmp_path / "nothing"))


def test_with_some_of_the_tables_nothing_is_said_that_needs_the_rest(results: Path, tmp_path: Path) -> None:
    for name in ("chain.parquet", "chain-curves.parquet"):
        (tmp_path / name).write_bytes((results / name).read_bytes())
    evidence = Evidence(tmp_path)
    decisions = list(decide_claims(evidence).values())
    assert dict(decisions[1].parts)["precision"] == "supported in chain; not run yet in trap, countdown"
    assert "not run yet" in decisions[0].verdict
    assert "Yes, here, as far as it is run: " in precision_answer(evidence)
    assert precision_answer(evidence).endswith("supported in chain; not run yet in trap, countdown.")
    assert not any("RL" in line for line in advice(evidence))
    assert first_decisions(evidence)["2"] == "not decided"
    text = build(tmp_path, SPECS)["study.md"]
    assert text.count("| **not run yet** |") == len(list(SPECS.glob("*.toml"))) - 1
    assert "| not run yet |" in text


def test_a_temperature_beside_precision_is_told_by_the_means_of_the_tables(shipped: Evidence) -> None:
    def gap(study: str, of: tuple[str, str], minus: tuple[str, str], variant: str = "") -> float:
        """of, minus: (arm, metric)"""
        one, other = (by_seed(shipped.rows(study), *arm_metric, variant) for arm_metric in (of, minus))
        return fmean(one[seed] - other[seed] for seed in one)

    cells = [(study, cell) for study in ("confirm", "confirm-countdown") for cell in variants(shipped.rows(study))]
    answer = further_answers(shipped)["Is it more than a lower temperature?"]
    for control in ("matched-precision", "temperature-0.75"):
        told = f"minus {control}"
        for metric, link in (("rl_heldout_area", " "), ("rl_area", " and ")):
            gaps = [gap(study, ("precision", metric), (control, metric), v) for study, v in cells]
            told += f"{link}{min(gaps):+.3f} to {max(gaps):+.3f}"
        assert told in answer

    def by_scoring(study: str, variant: str = "") -> float:
        return gap(study, ("ce", "avg_at_m_at_0.75_after"), ("ce", AFTER_RL), variant)

    of_long = [by_scoring("long", v) for v in variants(shipped.rows("long"))] + [by_scoring("long-countdown")]
    (line,) = (line for line in advice(shipped) if "in scoring first" in line)
    assert f" in lr by {by_scoring('lr', 'lr=0.001'):+.3f}, after 400 steps by " in line
    assert f" after 400 steps by {min(of_long):+.3f} to {max(of_long):+.3f}. " in line


def test_other_questions_of_study_two_are_answered_by_differences(made_up: Evidence, tmp_path: Path) -> None:
    lasts, losses, dose, experts = list(further_answers(made_up).values())[1:]  # without RL the first is not asked
    trap = "long at the rates of trap"
    gap = re.search(
        rf"after RL, precision minus ce: .*; {trap} (\S+), (\S+) against (\S+) \(supported\); long-c",
        lasts,
    )
    assert float(gap[1]) == pytest.approx(float(gap[2]) - float(gap[3]), abs=0.0011)
    assert re.search(rf" never at 1: .*; \S+ to \S+ scored at T = 1 in {trap}; ", lasts)  # not at 0.75
    assert lasts.endswith(" precision 10 of 10, matched-precision 5 of 10, temperature-0.75 5 of 10.")
    assert "; precision minus maxrl-1024 +0.1" in losses
    assert "tail-1.1 minus ce in dose-countdown" in dose
    assert re.search(
        r"; against the dense model of equal total size [+-]0\.0\d\d \[\S+ \S+\] \(null within ±0\.03\)\. ",
        experts,
    )
    assert len(re.findall(r"\+0\.(?:09|10)\d \[\S+ \S+\] in the [a-z ]+, where ce has 0\.\d{3}[;.]", experts)) == 3
    assert re.search(r" The same two differences in log odds \S+ \[\S+ \S+\] and \S+ \[\S+ \S+\]", experts)
    assert re.search(r", on held-out problems at T = 1 \S+ \[\S+ \S+\] and \S+ \[\S+ \S+\] \(no verdict", experts)
    assert not further_answers(Evidence(tmp_path))


def test_first_steps_of_long_rl_are_those_of_the_table(shipped: Evidence) -> None:
    table = pq.read_table(RESULTS / "long-countdown-curves.parquet").to_pylist()
    rewards: dict[str, list[float]] = {"precision": [], "ce": []}
    for point in table:
        of_rl = (point["stage"], point["metric"]) == ("rl", "reward") and point["step"] <= 80
        if of_rl and point["arm"] in rewards:
            rewards[point["arm"]].append(point["value"])
    assert len(rewards["ce"]) == 10 * 80
    gap = fmean(rewards["precision"]) - fmean(rewards["ce"])
    lasts = further_answers(shipped)["Does the gain last through 400 steps of RL?"]
    assert f"; {gap:+.3f} [-0.007, +0.020] in long-countdown (post hoc)" in lasts


def test_an_answer_says_where_what_is_supported_is_a_loss(shipped: Evidence) -> None:
    losses = further_answers(shipped)["Is it the paper's reward, or any loss that sharpens?"]
    assert "gem-1.13 minus ce +0.083 (supported)" in losses
    assert "dynamic minus ce -0.734 (supported: lower)" in losses


def test_long_rl_is_drawn_by_what_all_arms_answer_at_one_temperature(
    made_up: Evidence, files: dict[str, str]
) -> None:
    drawn = drawn_curves(made_up, "long")
    assert [f"study/{name}.svg" in files for name in drawn] == [True, True]
    for picture in drawn.values():
        assert picture.metric == "heldout_reward"
        assert list(picture.curves) == ["ce", "precision", "matched-precision", "temperature-0.75"]
    assert not drawn_curves(made_up, "lr")


def test_the_newest_protocol_answers_with_what_is_complete_of_it(
    results: Path, made_up: Evidence, tmp_path: Path
) -> None:
    answer = precision_answer(made_up)
    assert answer.startswith("Does a precision prior help RL? Yes, here: mean reward through RL, precision minus")
    assert "over 20 seeds" in answer
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    rows = [row for row in read_rows(results / "confirm.parquet") if row["seed"] != 29]
    write_rows(tmp_path / "confirm.parquet", rows)  # nineteen of twenty seeds get no word
    evidence = Evidence(tmp_path)
    assert "not finished (19 of 20 seeds) in all 4 cells of confirm" in precision_answer(evidence)
    found = [f.verdict for (family, c), f in evidence.findings.items() if (family, c.study) == ("II.1", "confirm")]
    assert {str(verdict) for verdict in found} == {"not finished (19 of 20 seeds)"}


def test_numbers_of_a_comparison_are_those_of_the_statistics(made_up: Evidence, files: dict[str, str]) -> None:
    rows = {
        (study, row["arm"], row["seed"]): row["avg_at_m_after"]
        for study in ("chain", "trap", "countdown")
        for row in made_up.rows(study)
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
        finding = made_up.findings["2", comparison]
        assert finding.difference == differences[name]
        assert finding.adjusted_p == pytest.approx(adjusted[name])
        expected = differences[name]
        interval = f"{expected.mean:+.3f} [{expected.low:+.3f}, {expected.high:+.3f}]"
        arms = (comparison.arm, "ce")
        means = ", ".join(f"{fmean(rows[comparison.study, arm, seed] for seed in range(10)):.3f}" for arm in arms)
        line = (
            f"| `{comparison.study}` | Avg@64 after RL: {comparison.arm} - ce | 10 | {means} | {interval} | "
            f"[{expected.low_90:+.3f}, {expected.high_90:+.3f}] | {adjusted[name]:.3f} | higher | "
            f"{finding.verdict} |"
        )
        assert line in files["study.md"]


BOTH_LENGTHS = "change of length early in RL: diversity - ce and change of length early in RL: diversity"


def test_claims_are_told_arm_by_arm_and_study_by_study(made_up: Evidence) -> None:
    claims = list(decide_claims(made_up).values())
    assert dict(claims[0].parts)["precision"] == "supported in chain, countdown, text"
    assert dict(claims[0].parts)["diversity"] == (
        "not jointly supported (null within ±0.02 for held-out entropy of the prior) in chain, countdown, text"
    )
    parts = dict(claims[1].parts)
    (dose,) = (about for about in parts if "shift of entropy" in about)
    at_the_dose = parts.pop(dose)
    assert at_the_dose.count("null within ±0.03") == at_the_dose.count(" in dose (")  # alike, or one by one
    assert "dose-countdown (head+1.02)" in at_the_dose
    assert parts == {
        "precision": "supported in chain, trap, countdown",
        "tail-penalty": "null within ±0.03 in chain, trap; null within ±0.015 in countdown",
        "precision, in study II": "supported in all 4 cells of confirm, in confirm-countdown",
        "precision after 400 steps of RL, in study II": (
            "the reverse is supported: higher in long at the rates of chain; supported in long at the rates of "
            "trap; supported: higher in long-countdown"
        ),
    }
    assert claims[1].verdict.startswith("precision: supported in chain, trap, countdown; tail-penalty: null")
    assert (
        claims[2].lines[0]
        == f"diversity: supported (smaller than 0.5 for {BOTH_LENGTHS}) in chain, trap, countdown"
    )
    assert claims[3].lines[0] == "precision: supported in chain, trap, countdown"
    assert claims[4].lines[0] == "precision: null within ±0.03 in both comparisons of experts"
    assert claims[5].lines == ["cannot be tested at this scale"]


def test_first_rule_decides_in_its_own_words(made_up: Evidence) -> None:
    decided = first_decisions(made_up)
    assert decided["1"].startswith("does not hold (1a as expected in 12 of 12; 1b as expected in 3 of 12,")
    assert decided["2"] == (
        "does not hold (precision as expected in 3 of 3; tail-penalty as expected in 0 of 3, no difference seen "
        "in 3)"
    )
    assert decided["3"] == "holds (both halves as expected in 3 of 3, chain, trap, countdown)"
    assert decided["4"] == "holds (precision in chain, precision in trap, precision in countdown)"


def test_first_rule_said_of_the_shipped_tables_what_it_still_says(shipped: Evidence) -> None:
    decided = first_decisions(shipped)
    assert [words.partition(" (")[0] for words in decided.values()] == [*["does not hold"] * 3, "holds"]
    assert "the reverse for head-reward in text" in decided["1"]
    assert decided["3"].endswith("(both halves as expected in 1 of 3, trap)")


def test_chance_that_the_first_rule_says_holds_grows_with_the_truth(shipped: Evidence, tmp_path: Path) -> None:
    none, small, large = (chance_to_hold(shipped, mean) for mean in (0.0, 0.05, 0.1))
    assert none.of_precision < 0.01
    assert 0.45 < small.of_precision < 0.65
    assert large.of_precision > 0.98
    assert chance_to_hold(shipped).of_precision < 0.1  # at what was measured
    assert 0 == none.of_claim < small.of_claim < small.of_precision / 2  # claim 2 asks tail-penalty, too
    assert 0.85 < large.of_claim < 0.95
    with pytest.raises(ValueError, match="not all been run"):
        chance_to_hold(Evidence(tmp_path))


def flipped(results: Path, folder: Path, study: str, arm: str, metric: str) -> Evidence:
    """The tables with the RL curves of an arm in a study turned round."""
    shutil.copytree(results, folder, dirs_exist_ok=True)
    rows, curves = read_rows(results / f"{study}.parquet"), read_curves(results / f"{study}-curves.parquet")
    for key, of_row in curves.items():
        for curve in of_row:
            if key[1] == arm and (curve["stage"], curve["metric"]) == ("rl", metric):
                curve["values"] = curve["values"][::-1]
    write_curves(folder / f"{study}-curves.parquet", [(row, curves[key_of(row)]) for row in rows])
    return Evidence(folder)


def test_claim_3_needs_all_of_its_parts_in_the_same_task(results: Path, tmp_path: Path) -> None:
    evidence = flipped(results, tmp_path, "trap", "diversity", "entropy")
    claim = list(decide_claims(evidence).values())[2]
    assert claim.parts == (
        (
            "diversity",
            f"supported (smaller than 0.5 for {BOTH_LENGTHS}) in chain, countdown; not jointly supported (the "
            "reverse is supported for change of entropy early in RL: diversity - ce and change of entropy early "
            "in RL: diversity) in trap",
        ),
    )
    parts = dict(claim.details)
    assert parts["diversity: change of length early in RL below 0 (post hoc)"] == (
        "supported, smaller than 0.5 in chain, trap, countdown"
    )
    entropy = parts["diversity: change of entropy early in RL below 0 (post hoc)"]
    assert entropy == "supported in chain, countdown; the reverse is supported in trap"
    assert first_decisions(evidence)["3"] == "does not hold (both halves as expected in 2 of 3, chain, countdown)"


def test_a_difference_can_be_that_of_ce_and_yet_no_decrease(shipped: Evidence) -> None:
    """Of the shipped tables: in chain diversity's responses lengthen, by less than those of ce."""
    parts = dict(list(decide_claims(shipped).values())[2].details)
    assert "supported in chain" in parts["diversity: change of length early in RL lower than ce"]
    within = parts["diversity: change of length early in RL below 0 (post hoc)"]
    assert within.startswith("the reverse is supported in chain")


def test_post_hoc_sections_give_no_verdict_and_say_that_they_are_post_hoc(files: dict[str, str]) -> None:
    text = files["study.md"].partition("## Chosen after the results were seen")[2].partition("\n## ")[0]
    assert "No correction and no verdict in this section" in text
    for section in (
        "How fast, not how high",
        "Claim 2 in all three tasks",
        "completion token",
        "a temperature does",
    ):
        assert section in text
    for word in ("supported", "undecided", "higher"):
        assert word not in text


def test_what_rl_draws_stands_in_the_document() -> None:
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8").partition("### What RL draws")[2]
    assert "| long at the rates of trap | precision | 1.48 | 3.70 | +0.060 [" in text.partition("###")[0]


def test_cross_entropy_a_completion_token_is_scaled_by_the_documents_themselves(shipped: Evidence) -> None:
    row = shipped.rows("chain")[0]
    documents = [ChainSum().document(0, index, "heldout") for index in range(512)]  # as the row was scored
    prompt = 16  # 8 numbers, 7 plus signs, =
    expected = sum(len(d) - 1 for d in documents) / sum(len(d) - prompt for d in documents)
    assert tokens_per_completion_token(row) == pytest.approx(expected)
    with pytest.raises(ValueError, match="a task with problems"):
        tokens_per_completion_token(shipped.rows("text")[0])


def test_speed_is_the_area_and_the_steps_of_the_curves(shipped: Evidence) -> None:
    found = next(s for s in speeds(shipped) if (s.area.study, s.area.arm) == ("chain", "precision"))
    curves = {key: of for key, of in shipped.curves("chain").items() if key[1] in ("precision", "ce")}
    means = {
        (arm, seed): fmean(curve["values"])
        for (_, arm, seed), of in curves.items()
        for curve in of
        if (curve["stage"], curve["metric"]) == ("rl", "reward")
    }
    gaps = [means["precision", seed] - means["ce", seed] for seed in range(10)]
    assert found.area_difference.mean == pytest.approx(fmean(gaps))
    assert found.ahead == sum(gap > 0 for gap in gaps) == 10
    assert format_difference(found.area_difference) == "+0.075 [+0.051, +0.099]"
    assert found.steps_difference.high < 0


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


def test_every_part_opens_with_what_it_says_and_contradicts(made_up: Evidence, files: dict[str, str]) -> None:
    for study in (study for study in inventory(made_up, SPECS) if study.finished):
        section = files["study.md"].partition(f"\n## `{study.spec.name}`\n\n")[2]
        assert section.startswith(f"*{study.spec.question}*\n\n{first_line(made_up, study.spec.name)}\n")


def test_a_seed_that_failed_is_missing_from_the_verdict(results: Path, tmp_path: Path) -> None:
    """Seeds do not fail at random: those that are left are no fair sample of an arm."""
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    rows = read_rows(results / "confirm.parquet")
    failed = next(row for row in rows if row["arm"] == "precision")
    failed["error"] = "diverged"
    write_rows(tmp_path / "confirm.parquet", rows)
    for (family, c), found in Evidence(tmp_path).findings.items():
        if c.study == "confirm" and found.difference:
            lacks = str(found.verdict) == "not finished (19 of 20 seeds)"
            assert lacks == (c.variant == failed["variant"]), family
            if lacks:
                assert found.adjusted_p == 1, family


def test_failed_rows_are_listed_and_counted_in_nothing(results: Path, tmp_path: Path) -> None:
    rows = read_rows(results / "trap.parquet")
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
    seeds = {study: count for protocol in PROTOCOLS for study, count in protocol.seeds.items()}
    for family in FAMILIES:
        for comparison in family.comparisons:
            names = {(row.variant, row.arm.name) for row in specs[comparison.study].rows}
            other = comparison.baseline_variant or comparison.variant
            assert {(comparison.variant, comparison.arm), (other, comparison.baseline)} <= names
            assert len(specs[comparison.study].seeds) == seeds[comparison.study] >= 6  # five could never pass 5 %
