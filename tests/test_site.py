"""What the site is made of, piece by piece; all of it, built once, is in tests/e2e/test_site.py."""

from __future__ import annotations

import json
import os
import re
from html import escape
from pathlib import Path

import pytest

import pgce_mini
from pgce_mini.cli.commands import run
from pgce_mini.site import build, reference
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
    assert "[below](first-part.md#a-detail)" in with_links(first, ROOT, "README.md", sections.owner)
    elsewhere = with_links("[it](../README.md#a-detail), [here](#a-detail)", ROOT, "docs/a.md", sections.owner)
    assert elsewhere == "[it](../first-part.md#a-detail), [here](#a-detail)"


def test_headings_move_down_and_code_does_not() -> None:
    assert lowered("# A\n\n```\n# b\n```\n\n### C\n") == "## A\n\n```\n# b\n```\n\n#### C\n"


@pytest.mark.parametrize(
    ("file", "link", "leads"),
    [
        ("docs/a.md", "study.md", "study.md"),
        ("docs/a.md", "../README.md", "../index.md"),
        ("docs/a.md", "../studies/slurm.sbatch", f"{REPOSITORY}/blob/main/studies/slurm.sbatch"),
        ("README.md", "pgce_mini/gpt", f"{REPOSITORY}/tree/main/pgce_mini/gpt"),
        ("notebooks/00.ipynb", "solutions", "solutions/index.md"),
        ("docs/a.md", "not-there.md", "not-there.md"),  # Sphinx then warns of it
        ("README.md", "https://example.org/a", "https://example.org/a"),
    ],
)
def test_a_link_leads_to_a_page_or_to_the_repository(file: str, link: str, leads: str) -> None:
    assert with_links(f"See [it]({link}).", ROOT, file) == f"See [it]({leads})."
    assert with_links(f"See `[it]({link})`.", ROOT, file) == f"See `[it]({link})`."


def test_docstrings_keep_their_formulas_and_their_signs() -> None:
    lines = ["The reward *r* of a|b, `x_` kept.", "", "    a = x:   1 / pi", "    a != x:  0", "", "Raises:"]
    assert as_rst([*lines, "    ValueError: a* is wrong."]) == [
        r"The reward \*r\* of a\|b, `x_` kept.", "", "", ".. code-block:: none", "",
        "        a = x:   1 / pi", "        a != x:  0", "", "Raises:", r"    ValueError: a\* is wrong.",
    ]  # fmt: skip


def test_parts_of_a_docstring_are_lines_of_prose() -> None:
    lines = ["Shapes:", "    z: (V) -> ()", "    nats, a *surrogate*", "After."]
    assert as_rst(lines) == ["", "**Shapes**", "", "| z: (V) -> ()", r"| nats, a \*surrogate\*", "", "After."]


def test_every_public_name_is_in_the_reference_once() -> None:
    first, *rooms = reference.pages()
    text = "\n".join(page.text for page in (first, *rooms))
    text = re.sub(r"^(\.\. py:\w+:: )(.+)((?:\n   .+)*?\n   :module: )(.+)", r"\1\4.\2\3\4", text, flags=re.M)
    shown = re.findall(r"^\.\. (?:auto|py:)\w+:: (.+)", text, re.MULTILINE)
    assert len(set(shown)) == len(shown)
    assert {f"pgce_mini.{name}" for name in pgce_mini.__all__} <= set(shown)
    assert shown.index("pgce_mini.shaped_cross_entropy") < shown.index("pgce_mini.pretrain")
    assert (first.name, first.source) == ("index", "pgce_mini/__init__.py")
    assert "* - :py:obj:`token_rewards <pgce_mini.token_rewards>`\n     - The reward of every token" in first.text
    assert "five arms of the paper" in first.text  # a constant, whose own docstring is that of its type
    loss = next(page.text for page in rooms if page.name == "loss")
    assert loss.index("pgce_mini.shaped_cross_entropy") < loss.index("pgce_mini.loss.coverage_loss")


def test_every_room_with_names_of_its_own_has_a_page() -> None:
    folder = Path(pgce_mini.__path__[0])
    rooms = {
        path.parent.relative_to(folder).as_posix().replace("/", ".")
        for path in folder.glob("*/**/__init__.py")
        if "__all__" in path.read_text(encoding="utf-8")
    }
    assert rooms - {"cli", "site", "site.model"} <= {*reference.ROOMS}


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
        assert f'style="--height: {figure["layout"]["height"]}px"' in html  # of its place
    assert any('src="../playground.html#beta=-0.25"' in html for html in shown)


@pytest.mark.parametrize(
    ("made", "state"),
    [
        ("beta=-0.25, top_k=2, form='exponent', rl=True, start='labels', right=[0, 2]",
         "beta=-0.25&k=2&form=exponent&rl=1&start=labels&right=0,2"),
        ("tokens=['a&b', 'c'], labels=[0.7, 0.3], prediction=[0.5, 0.5]",
         "prompt=2+%2B+2+%3D&token=a%26b&token=c&given=0.7,0.3&predict=0.5,0.5"),
    ],
)  # fmt: skip
def test_a_playground_of_a_notebook_is_in_its_state(tmp_path: Path, made: str, state: str) -> None:
    path = tmp_path / "notebooks" / "00.ipynb"
    path.parent.mkdir()
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": [f"Playground({made})"]}
    cell = {"cell_type": "code", "source": [], "outputs": [{"output_type": "display_data", "data": widget}]}
    path.write_text(json.dumps({"cells": [cell]}))
    notebook = json.loads(with_live_pictures(path, tmp_path, tmp_path / "pictures"))
    shown = notebook["cells"][0]["outputs"][0]["data"]["text/html"]
    assert f'src="../playground.html#{escape(state)}"' in shown


def test_a_formula_that_goes_on_in_the_next_line_is_no_quotation(tmp_path: Path) -> None:
    path = tmp_path / "notebooks" / "00.ipynb"
    path.parent.mkdir()
    cell = {"cell_type": "markdown", "source": ["# T\n", "For $\\beta\n", "> -1$ it ends.\n", "$$\n", "x\n", "$$"]}
    path.write_text(json.dumps({"cells": [cell]}))
    made = json.loads(with_live_pictures(path, tmp_path, tmp_path / "pictures"))
    assert made["cells"][0]["source"] == "# T\nFor $\\beta > -1$ it ends.\n$$\nx\n$$"


def test_a_folder_is_replaced_only_when_all_in_it_is_ours_and_else_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, new = tmp_path / "site", tmp_path / "new"
    for folder in (site, new):
        (folder / "docs").mkdir(parents=True)
        (folder / "docs" / "a.html").write_text(folder.name)
        build._mark(folder)
    build._check_free(site)
    with monkeypatch.context() as broken:
        rename = os.rename
        broken.setattr(
            os, "rename", lambda a, b: rename(a, b) if a != new else (_ for _ in ()).throw(OSError("full"))
        )
        with pytest.raises(OSError, match="full"):
            build._replace(site, new, tmp_path / "old")
    assert (site / "docs" / "a.html").read_text() == "site"
    build._replace(site, new, tmp_path / "old")
    assert (site / "docs" / "a.html").read_text() == "new"
    for added in (".git/config", "CNAME", "docs/mine.txt"):
        (site / added).parent.mkdir(exist_ok=True)
        (site / added).touch()
        with pytest.raises(ValueError, match=f"did not write, {added}"):
            build._check_free(site)
        (site / added).unlink()
        if added.startswith("."):
            (site / added).parent.rmdir()


def test_a_warning_makes_the_command_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pgce_mini.site.build_site", lambda to, progress: ["index.md: no target"])
    with pytest.raises(SystemExit) as ended:
        run(["site", "--out", str(tmp_path)])
    assert ended.value.code == 1
    assert "pgce: index.md: no target" in capsys.readouterr().err


def test_a_folder_that_is_no_site_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit) as ended:
        run(["site", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "holds what pgce site did not write, thesis.txt" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [tmp_path / "thesis.txt"]
    with pytest.raises(ValueError, match=r"thesis\.txt is a file"):
        build_site(tmp_path / "thesis.txt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"furo.* not installed: pip install .*\[site\]"):
        build_site(tmp_path / "new")
    assert not (tmp_path / "new").exists()
