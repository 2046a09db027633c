"""What the models' page is made of; the page itself is in tests/e2e/test_site_model_page.py."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pgce_mini import PAPER_ARMS
from pgce_mini.playground.modules import join_as_function
from pgce_mini.shipped import policies, priors
from pgce_mini.site.model import fragment, write_model_page_assets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "new" / "models"
    write_model_page_assets(folder)
    return folder


def test_each_model_is_a_script_that_holds_its_file(folder: Path) -> None:
    found = {}
    for path in folder.glob("*-*-*.js"):
        line = re.fullmatch(r'\(self\.pgceModels \?\?= {}\)\["(.+)"\] = "(.+)";\n', path.read_text("ascii"))
        assert line is not None
        assert path.name == f"{line[1]}.js"
        found[line[1]] = b64decode(line[2], validate=True)
    for arm in PAPER_ARMS:
        for task in ("chain-sum", "countdown"):
            assert found.pop(f"policies-{task}-{arm}") == policies.path(task, arm).read_bytes()
            assert found.pop(f"priors-{task}-{arm}") == priors.path(task, arm).read_bytes()
        assert found.pop(f"priors-text-{arm}") == priors.path("text", arm).read_bytes()
    assert found == {}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10e6


def test_the_fragment_has_no_inline_script_and_asks_for_what_is_in_the_folder(folder: Path) -> None:
    class Reader(HTMLParser):
        asked: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            assert not any(name == "style" or name.startswith("on") for name in given)
            if tag == "script":
                self.asked = [*getattr(self, "asked", []), given["src"] or ""]

        def handle_data(self, data: str) -> None:
            assert self.lasttag != "script" or not data.strip()

    reader = Reader()
    reader.feed(fragment("to/models/"))
    assert reader.asked == ["to/models/tiny-gpts.js"]
    assert fragment('a"b/').count('src="a&quot;b/tiny-gpts.js"') == 1
    script = (folder / "tiny-gpts.js").read_text("utf-8")
    assert "https://" not in script
    assert "http://" not in script
    assert not re.search(r"\b(fetch|XMLHttpRequest|eval|Function)\(", script)


def test_a_function_of_modules_returns_the_exports_of_its_entry() -> None:
    modules = {"one": "export const a = 1;\n", "two": 'import { a } from "./one.js";\nexport const b = a + 1;\n'}
    joined = join_as_function(modules, "two")
    assert joined.startswith("() => {\n")
    assert joined.endswith("\nreturn two_js;\n}")
    assert joined.index("one_js") < joined.index("two_js")
    assert not re.search(r"^\s*(import|export)\b", joined, re.MULTILINE)
    with pytest.raises(ValueError, match=r"there is no module one\.js"):
        join_as_function({"two": modules["two"]}, "two")
