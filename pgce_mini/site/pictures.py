"""A picture of a page: still at first, live where there is JavaScript once it comes near (assets/pictures.js)."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from pgce_mini.evaluation import STEPS, column_title
from pgce_mini.figures import learning_curves, paired_forest
from pgce_mini.study import load_spec
from pgce_mini.study.analysis import AFTER_RL, Evidence, drawn_curves, paired_differences, samples

HEIGHT = 450
"""of a chart that names none, in px: Plotly's"""


def live_picture(still: str, size: tuple[int, int], figure: Mapping[str, Any], title: str, note: str = "") -> str:
    """HTML of one line, so that it stands in Markdown as it is.

    still: address of the picture. size: its width and height in px. figure: Plotly's JSON. title: what it shows.
    """
    box = f' width="{size[0]}" height="{size[1]}"'
    layout = {"height": HEIGHT} | figure["layout"]
    layout.pop("template", None)  # lies beside Plotly, once
    data = json.dumps({"data": figure["data"], "layout": layout}, allow_nan=False).replace("<", "\\u003c")
    caption = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return (
        f'<figure class="live-picture" style="--height: {layout["height"]}px">'
        f'<div class="place"><img src="{escape(still)}" alt="{escape(title)}"{box} loading="lazy"></div>'
        f'<script type="application/json">{data}</script>{caption}</figure>'
    )


def title_of(figure: Mapping[str, Any]) -> str:
    text = figure["layout"].get("title", {}).get("text", "")
    return unescape(re.sub(r"<[^>]+>", " ", text)) or "A picture"


def live_results(text: str, home: Path, evidence: Evidence) -> str:
    """docs/study.md, in which the pictures that `figures` can draw from the tables are live."""

    def follow(found: re.Match[str]) -> str:
        alt, name = found.groups()
        figure = _of_study(name, home / "studies", evidence)
        if figure is None:
            return found[0]
        size = _size_of_svg(home / "docs" / "study" / f"{name}.svg")
        return live_picture(f"../pictures/{name}.svg", size, json.loads(figure.to_json()), alt)

    return re.sub(r"!\[([^]]*)\]\(study/([\w-]+)\.svg\)", follow, text)


def _size_of_svg(path: Path) -> tuple[int, int]:
    view = re.search(r'viewBox="0 0 (\d+)[\d.]* (\d+)', path.read_text(encoding="utf-8"))
    if view is None:
        raise ValueError(f"{path} has no viewBox that begins with 0 0")
    return int(view[1]), int(view[2])


def _of_study(name: str, studies: Path, evidence: Evidence) -> go.Figure | None:
    study = re.sub(r"-reward(-\d+)?$", "", name)
    if not (studies / f"{study}.toml").exists():
        return None
    if name != study:
        drawn = drawn_curves(evidence, study).get(name)
        return (
            learning_curves(drawn.curves, drawn.metric, drawn.title, STEPS["rl"], drawn.y_title) if drawn else None
        )
    spec, rows = load_spec(studies / f"{study}.toml", Path()), evidence.rows(study)
    after_rl = rows and rows[0].get(AFTER_RL) is not None
    metric = AFTER_RL if after_rl else "entropy_before"
    words = column_title(AFTER_RL, samples(rows)) if after_rl else "held-out entropy (nats/token)"
    found = {
        f"{variant}: {arm}" if variant else arm: difference
        for variant in dict.fromkeys(row["variant"] for row in rows)
        for arm, difference in paired_differences(rows, spec.arms, spec.arms[0], metric, variant).items()
    }
    title = f"{study}: each arm minus {spec.arms[0]}, 95 % intervals over seeds"
    x_title = "<br>".join(textwrap.wrap(f"difference in {words}", 22))  # beside long labels a phone has no more
    return paired_forest(found, title, x_title) if found else None
