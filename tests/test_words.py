"""Every page says of the study what its tables say, in one vocabulary."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pgce_mini.study.analysis import Evidence, advice, decide_claims, further_answers, jointly, precision_answer
from pgce_mini.study.analysis.protocol_1 import RL_STUDIES

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = [
    *(ROOT / "notebooks").glob("0[0789]_*.ipynb"), *(ROOT / "notebooks" / "solutions").glob("0[789]_*.ipynb"),
]  # fmt: skip
PAGES = [
    ROOT / "README.md", ROOT / "docs" / "teaching.md", *NOTEBOOKS,
    *(ROOT / "app").rglob("*.toml"), *(ROOT / "app").rglob("*.py"),
]  # fmt: skip
README = re.sub(r"\s+", " ", (ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return Evidence()


def text_of(page: Path) -> str:
    """What a reader sees; of a notebook without its pictures."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        printed = ["".join(o.get("text", [])) for cell in cells for o in cell.get("outputs", [])]
        text = "\n".join(["".join(cell["source"]) for cell in cells] + printed)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_speaks_as_the_first_rule_did(page: Path) -> None:
    text = text_of(page).lower()
    for words in (
        "no difference seen",
        "no difference was seen",
        "no difference is seen",
        "does not hold:",
        "ended higher",
    ):
        assert words not in text
    assert not re.search(r"\bclaim \d[^.]{0,40}\b(holds|does not hold)\b", text)


def test_readme_opens_with_the_answer_of_the_tables(evidence: Evidence) -> None:
    head, interval = re.search(r"RL\? (.*?): .*? is (\S+ \[\S+ \S+\])", precision_answer(evidence)).groups()  # type: ignore[union-attr]
    opening = README.partition("## Start")[0]
    assert f"*Does a precision prior help RL?* {head}" in opening
    assert interval in opening


def test_readme_advises_and_answers_what_the_tables_do(evidence: Evidence) -> None:
    opening, studies = README.partition("## Start")[0], README.partition("## The studies")[2]
    for line in advice(evidence):
        for bold in re.findall(r"\*\*(.+?)\*\*", line):
            assert f"**{bold}**" in opening
        for number in re.findall(r"[+-]\d\.\d{3}", line):
            assert number in opening
    for question in further_answers(evidence):
        assert f"**{question}**" in studies


def test_every_number_of_readme_about_the_studies_is_one_of_their_document() -> None:
    document = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    told = README.partition("## Start")[0] + README.partition("## The studies")[2]
    numbers = re.findall(r"[+-]\d\.\d{3}|\b\d\.\d{3}|\[[+-]\S+ [+-]\S+\]", told)
    assert len(numbers) > 30  # as a guard of the pattern
    for number in numbers:
        assert number in document


def test_readme_has_the_verdict_of_each_claim(evidence: Evidence) -> None:
    said = dict(re.findall(r"\| (\d)\. [^|]+ \| ([^|]+) \|", README))
    assert said.keys() == {"1", "2", "3", "4"}
    findings = evidence.findings
    of_claim_2 = {(c.arm, c.study): f.verdict.word for (family, c), f in findings.items() if family == "2"}
    for arm, last in (("precision", "undecided"), ("tail-penalty", "null")):
        assert [of_claim_2[arm, study] for study in RL_STUDIES] == ["undecided", "undecided", last]
    of_countdown = "in `countdown` `precision` is undecided, `tail-penalty` null within ±0.015"
    assert said["2"] == f"both: undecided in `chain` and `trap`; {of_countdown}"
    for study in RL_STUDIES:
        found = [f for (family, c), f in findings.items()
                 if family in ("3", "3, within the arm") and (c.study, c.arm) == (study, "diversity")]  # fmt: skip
        together = jointly(found)
        word = "not jointly supported" if together.parts else together.word
        assert re.search(rf"(^|; ){word} in `{study}`", said["3"])
    claims = [dict(decision.parts) for decision in decide_claims(evidence).values()]
    for claim, words in (("1", claims[0]), ("4", claims[3])):
        supported = [arm for arm, told in words.items() if "null" not in told and "reverse" not in told]
        named = said[claim].partition(" in `chain`")[0]
        assert re.findall(r"`(.+?)`", named) == supported
    assert "the reverse is supported for held-out entropy of the prior) in text" in claims[0]["head-reward"]
    assert "the reverse is supported in `text`" in said["1"]


def test_notebook_8_opens_with_the_answer_of_the_tables(evidence: Evidence) -> None:
    (page,) = (page for page in NOTEBOOKS if page.name.startswith("08_diversity"))
    text = re.sub(r"-\s", "-", text_of(page))  # lines break after a hyphen
    assert re.sub(r"-\s", "-", precision_answer(evidence)) in text
