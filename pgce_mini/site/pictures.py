"""A picture of a page: still at first, live where there is JavaScript once it comes near (assets/pictures.js)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any


def live_picture(
    still: str, size: tuple[int, int] | None, figure: Mapping[str, Any], title: str, note: str = ""
) -> str:
    """HTML of one line, so that it stands in Markdown as it is.

    still: address of the picture. size: its width and height in px. figure: Plotly's JSON. title: what it shows.
    """
    box = f' width="{size[0]}" height="{size[1]}"' if size else ""
    layout = {
        key: value for key, value in figure["layout"].items() if key != "template"
    }  # lies beside Plotly, once
    data = json.dumps({"data": figure["data"], "layout": layout}, allow_nan=False).replace("<", "\\u003c")
    caption = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return (
        f'<figure class="live-picture" data-height="{figure["layout"].get("height", 450)}">'
        f'<img src="{escape(still)}" alt="{escape(title)}"{box} loading="lazy">'
        f'<script type="application/json">{data}</script>{caption}</figure>'
    )


def title_of(figure: Mapping[str, Any]) -> str:
    text = figure["layout"].get("title", {}).get("text", "")
    return unescape(re.sub(r"<[^>]+>", " ", text)) or "A picture"


def live_results(text: str, home: Path) -> str:
    return text
