"""The playground without a browser: a page that stands alone, a whole module, Python that refuses nonsense."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgce_mini import PAPER_ARMS, RewardShaping, cli, playground, policy_flow
from pgce_mini.playground import PRESETS, PlaygroundState, javascript, preset, to_html, widget
from pgce_mini.playground.modules import join

FOLDER = Path(playground.__file__).parent
NASTY = ("</script><script>alert(1)</script>", "<!--<script>", "\u2028'\"\\", "<b>&amp;", "🙂")
NASTY_STATE = PlaygroundState(prompt="</title>{x}<i>", tokens=NASTY, labels=(0.5, 0.2, 0.1, 0.1, 0.1))


class Reader(HTMLParser):
    """Every start tag, and the texts of scripts and of the title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "title": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in self.texts:
            self.texts[self.tags[-1][0]].append(data)


# --- The page and the module -----------------------------------------------------------------------------


def test_page_refers_to_nothing_outside_itself() -> None:
    page = to_html(NASTY_STATE)
    without_comments = re.sub(r"(^|\s)//( .*)?$", "", page, flags=re.MULTILINE)
    assert "//" not in without_comments  # no address of any kind
    loads = r"@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\s*\(|^import "
    assert not re.search(loads, javascript(), re.MULTILINE)
    assert re.findall(r"url\(([^)]*)\)", page) == ["#hatch"]
    for _, attributes in Reader(page).tags:
        assert not {"src", "href"} & attributes.keys()


def test_state_in_the_page_is_data_whatever_it_says() -> None:
    reader = Reader(to_html(NASTY_STATE, title="a </title><script>b"))
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert "".join(reader.texts["title"]).strip() == "a </title><script>b"
    script = "".join(reader.texts["script"])
    (written,) = re.findall(r"^inPage\(.*?, (\{.*\})\);$", script, re.MULTILINE)
    assert json.loads(written) == json.loads(json.dumps(asdict(NASTY_STATE)))


def test_no_two_modules_define_one_name() -> None:
    definition = r"(?m)^(?:export (?:default )?)?(?:const|let|class|(?:async )?function) (\w+)"
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js")]
    names = Counter(name for text in texts for name in re.findall(definition, text))
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


LOWER = "export const x = 1;\nexport function f() {}\n"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ('// head\nimport f from "./lower.js";', "main.js, line 2: an import or export that is not understood"),
        ('import { x } from "./lower.js"; import "./lower.js";', "main.js, line 1: an import"),
        ('import {\n    x, // one\n} from "./lower.js";', "main.js, line 1: an import"),
        ('const y = 1;\nimport { x } from "./lower.js";', "main.js, line 2: an import"),
        ('const lower = import("./lower.js");', "main.js, line 1: an import"),
        ("const address = import.meta.url;", "main.js, line 1: an import"),
        ("const y = 1;\nexport { y };", "main.js, line 2: an import"),
        ("export const { y } = z;", "main.js, line 1: an import"),
        ("export default function () {}", "main.js, line 1: an import"),
        ("const y = 1; export const z = 2;", "main.js, line 1: an import"),
        ("export const y = 1;\nexport function y() {}", "main.js, line 2: y is exported twice"),
        ('\nimport { x, y, z } from "./lower.js";', "main.js, line 2: lower.js does not export y, z"),
        ('import { x } from "./nowhere.js";', "main.js, line 1: there is no module nowhere.js"),
        ('import { x } from "./main.js";\nexport const x = 1;', "cycle"),
    ],
)
def test_import_or_export_that_is_not_understood_is_refused_by_file_and_line(source: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        join({"main": source, "lower": LOWER}, "main")


def test_modules_that_nobody_needs_are_left_out() -> None:
    text = join({"main": "export const z = 1;", "lower": LOWER}, "main")
    assert "lower" not in text


def test_module_has_the_arms_and_presets_of_the_library() -> None:
    constants = dict(re.findall(r"^const (\w+) = (.*);$", javascript(), re.MULTILINE))
    assert json.loads(constants["PRESETS"]) == PRESETS
    arms = json.loads(constants["ARMS"])
    assert arms.keys() == PAPER_ARMS.keys()
    for name, arm in arms.items():  # k is the reader's
        assert RewardShaping(**arm, top_k=PAPER_ARMS[name].top_k) == PAPER_ARMS[name]


# --- State -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_a_prompt_and_fifty_readable_tokens_likeliest_first(name: str) -> None:
    tokens, weights = PRESETS[name]["tokens"], PRESETS[name]["weights"]
    assert len(set(tokens)) == len(tokens) == len(weights) == 50
    assert all(token.strip() == token != "" and len(token) <= 8 for token in tokens)
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0
    for size in (2, 8, 50):
        part = preset(name, size)
        assert part["tokens"] == tuple(tokens[:size])
        np.testing.assert_allclose(part["labels"], np.array(weights[:size]) / sum(weights[:size]), rtol=1e-14)


@pytest.mark.parametrize("start", ["uniform", "labels"])
def test_policy_is_that_of_the_library_after_as_many_steps(start: str) -> None:
    state = PlaygroundState(-0.25, 0.1, -0.2, 2, "exponent", lr=0.5, start=start, steps=40)  # type: ignore[arg-type]
    logits = np.log(preset("peaked")["labels"]) if start == "labels" else np.zeros(8)
    shaping = RewardShaping(-0.25, 0.1, -0.2, 2, "exponent")
    np.testing.assert_array_equal(state.policy(), policy_flow(logits, state.labels, shaping, 40, 0.5)[-1])


def test_token_that_is_never_the_label_stays_at_zero_from_the_labels() -> None:
    state = PlaygroundState(tokens=("a", "b", "c"), labels=(0.5, 0.5, 0.0), start="labels", steps=3)
    assert state.policy().tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"beta": float("nan")}, "beta must be a finite number"),
        ({"lr": 0.0}, "lr must be a finite number above 0, got 0.0"),
        ({"steps": 501}, "steps must be a whole number between 0 and 500, got 501"),
        ({"start": "middle"}, "start must be one of uniform, labels, got 'middle'"),
        ({"tokens": ("a",), "labels": (1.0,)}, "tokens must be 2 to 50 different strings, got 1, 1 different"),
        ({"tokens": ("a", "a"), "labels": (0.5, 0.5)}, "got 2, 1 different"),
        ({"tokens": ("a", 1), "labels": (0.5, 0.5)}, "tokens must be strings"),
        ({"labels": (0.5, 0.5)}, "labels must hold a probability for each of 8 tokens"),
        ({"tokens": ("a", "b"), "labels": (0.5, 0.6)}, "labels must hold probabilities that sum to 1"),
        ({"prediction": (1.0,)}, "prediction must hold a probability for each of 8 tokens"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        PlaygroundState(**settings)


@pytest.mark.parametrize(("name", "size"), [("round", 8), ("flat", 1), ("flat", 51), ("flat", 8.0)])
def test_preset_that_is_not_there_is_refused(name: str, size: Any) -> None:
    with pytest.raises(ValueError, match=r"preset must be one of peaked|size must be a whole number between 2"):
        preset(name, size)


# --- pgce playground -------------------------------------------------------------------------------------


def test_command_writes_the_page_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "lesson.html"
    options = ["--preset", "flat", "--size", "12", "--beta", "0.5", "--top-k", "4"]
    cli.main(["playground", "--html", str(page), *options])
    assert page.read_text(encoding="utf-8") == to_html(PlaygroundState(beta=0.5, top_k=4, **preset("flat", 12)))
    assert capsys.readouterr().out.startswith(f"{page}: open it in a browser")
    cli.main(["playground", "--html", str(page), "--json"])
    assert json.loads(capsys.readouterr().out) == {"html": str(page), "bytes": page.stat().st_size}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--html", "{tmp}"], "is a folder"),
        (["--html", "{tmp}/old.html", "--beta", "nan"], "beta must be a finite number"),
        (["--html", "{tmp}/old.html/new.html"], "old.html"),
    ],
)
def test_users_error_leaves_what_was_there(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.html").write_text("old")
    with pytest.raises(SystemExit) as leaving:
        cli.main(["playground", *(option.replace("{tmp}", str(tmp_path)) for option in options)])
    assert leaving.value.code == 2
    assert sentence in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.html", "old")]


# --- The widget ------------------------------------------------------------------------------------------


def test_widget_has_each_part_of_the_state_as_a_trait() -> None:
    shown = playground.Playground(beta=-0.25, steps=30)
    assert shown.state == PlaygroundState(beta=-0.25, steps=30)
    assert shown._esm == javascript()
    shown.beta = 0.5
    np.testing.assert_array_equal(shown.policy, PlaygroundState(beta=0.5, steps=30).policy())
    assert set(asdict(PlaygroundState())) == set(shown.get_state()["_state_names"]) <= set(shown.get_state())


def test_widget_is_written_as_the_call_that_makes_it() -> None:
    assert repr(playground.Playground()) == "Playground()"
    assert repr(playground.Playground(beta=-0.25, form="exponent")) == "Playground(beta=-0.25, form='exponent')"


def test_widget_takes_tokens_and_labels_together() -> None:
    shown = playground.Playground()
    seen: list[str] = []
    shown.observe(lambda change: seen.append(change["name"]), ["tokens", "labels"])
    shown.update(**preset("flat", 20))
    assert shown.state == PlaygroundState(**preset("flat", 20))
    assert sorted(seen) == ["labels", "tokens"]
    shown.set_state({"tokens": ["a", "b"], "labels": [0.3, 0.7]})  # as a browser does
    assert shown.tokens == ["a", "b"]


def test_widget_refuses_by_name_and_stays_as_it_was() -> None:
    shown = playground.Playground()
    for change in (lambda: setattr(shown, "beta", np.inf), lambda: shown.update(labels=[0.5, 0.5])):
        with pytest.raises(
            ValueError, match=r"beta must be a finite|labels must hold a probability for each of 8"
        ):
            change()
        assert shown.state == PlaygroundState()


def test_without_anywidget_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"anywidget, which is not installed: pip install "):
        widget.playground_class.__wrapped__()
