"""What the site is made of, piece by piece; all of it, built once, is in tests/e2e/test_site.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pgce_mini
from pgce_mini.cli.commands import run
from pgce_mini.site import reference
from pgce_mini.site.build import build_site
from pgce_mini.site.docstrings import as_rst
from pgce_mini.site.markdown import REPOSITORY, Sections, lowered, with_links
from pgce_mini.site.notebooks import with_live_pictures

ROOT = Path(__file__).parents[1]
README = """\
# Name

About.

## First `part`

[below](#a-detail), [code](a/file.py)

```bash
# no heading
## nor this
```

### A detail

## Second

Text.
"""


def test_readme_is_a_page_a_section_and_links_find_the_page() -> None:
    sections = Sections(README)
    assert sections.introduction.strip() == "# Name\n\nAbout."
    assert list(sections.pages) == ["first-part", "second"]
    first = sections.pages["first-part"]
    assert first.startswith("# First `part`\n")
    assert "\n## A detail\n" in first
    assert "# no heading\n## nor this\n" in first  # code stays as it is
    assert "[below](first-part.md#a-detail)" in with_links(first, ROOT, "", sections.owner)


def test_headings_move_down_and_code_does_not() -> None:
    assert lowered("# A\n\n```\n# b\n```\n\n### C\n") == "## A\n\n```\n# b\n```\n\n#### C\n"


@pytest.mark.parametrize(
    ("folder", "link", "leads"),
    [
        ("docs", "study.md", "study.md"),
        ("docs", "../README.md", "../index.md"),
        ("docs", "../studies/slurm.sbatch", f"{REPOSITORY}/blob/main/studies/slurm.sbatch"),
        ("", "pgce_mini/gpt", f"{REPOSITORY}/tree/main/pgce_mini/gpt"),
        ("notebooks", "solutions", "solutions/index.md"),
        ("docs", "not-there.md", "not-there.md"),  # Sphinx then warns of it
        ("", "https://example.org/a", "https://example.org/a"),
    ],
)
def test_a_link_leads_to_a_page_or_to_the_repository(folder: str, link: str, leads: str) -> None:
    assert with_links(f"See [it]({link}).", ROOT, folder) == f"See [it]({leads})."
    assert with_links(f"See `[it]({link})`.", ROOT, folder) == f"See `[it]({link})`."


def test_docstrings_keep_their_formulas_and_their_signs() -> None:
    lines = ["The reward *r* of a|b, `x_` kept.", "", "    a = x:   1 / pi", "    a != x:  0", "", "Raises:"]
    assert as_rst([*lines, "    ValueError: a* is wrong."]) == [
        r"The reward \*r\* of a\|b, `x_` kept.", "", "", ".. code-block:: none", "",
        "        a = x:   1 / pi", "        a != x:  0", "", "Raises:", r"    ValueError: a\* is wrong.",
    ]  # fmt: skip


def test_every_public_name_is_in_the_reference_once() -> None:
    text = "\n".join(page.text for page in reference.pages())
    shown = [line.split(":: ")[1] for line in text.splitlines() if line.startswith((".. auto", ".. py:type"))]
    assert len(set(shown)) == len(shown)
    assert {f"pgce_mini.{name}" for name in pgce_mini.__all__} <= set(shown)
    assert shown.index("pgce_mini.shaped_cross_entropy") < shown.index("pgce_mini.pretrain")
    first = reference.pages()[0]
    assert (first.name, first.source) == ("index", "pgce_mini/__init__.py")


def test_a_name_leads_to_the_lines_of_its_code() -> None:
    found = reference.source_of("py", {"module": "pgce_mini", "fullname": "RewardShaping"})
    assert found
    file, _, lines = found.partition("#")
    assert file == f"{REPOSITORY}/blob/main/pgce_mini/reward.py"
    first = int(lines.removeprefix("L").partition("-")[0])
    assert "class RewardShaping" in "\n".join(
        (ROOT / "pgce_mini/reward.py").read_text(encoding="utf-8").splitlines()[first - 1 : first + 1]
    )


def test_pictures_of_a_notebook_are_files_with_their_data_beside_them(tmp_path: Path) -> None:
    path = ROOT / "notebooks" / "00_start_here.ipynb"
    notebook = json.loads(with_live_pictures(path, ROOT, tmp_path / "pictures"))
    shown = [
        output["data"]["text/html"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {})
    ]
    pictures = [html for html in shown if "live-picture" in html]
    assert pictures
    assert len(pictures) == len([*(tmp_path / "pictures").iterdir()])
    for html in pictures:
        figure = json.loads(html.partition('application/json">')[2].partition("</script>")[0])
        assert figure["data"]
        assert "template" not in figure["layout"]
    assert any('src="../playground.html#beta=-0.25"' in html for html in shown)


def test_a_formula_that_goes_on_in_the_next_line_is_no_quotation(tmp_path: Path) -> None:
    path = tmp_path / "notebooks" / "00.ipynb"
    path.parent.mkdir()
    cell = {"cell_type": "markdown", "source": ["# T\n", "For $\\beta\n", "> -1$ it ends.\n", "$$\n", "x\n", "$$"]}
    path.write_text(json.dumps({"cells": [cell]}))
    made = json.loads(with_live_pictures(path, tmp_path, tmp_path / "pictures"))
    assert made["cells"][0]["source"] == "# T\nFor $\\beta > -1$ it ends.\n$$\nx\n$$"


def test_a_folder_that_is_no_site_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit) as ended:
        run(["site", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "holds files that are no site" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [tmp_path / "thesis.txt"]
    with pytest.raises(ValueError, match=r"thesis\.txt is a file"):
        build_site(tmp_path / "thesis.txt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"furo.* not installed: pip install .*\[site\]"):
        build_site(tmp_path / "new")
    assert not (tmp_path / "new").exists()
