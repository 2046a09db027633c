"""The playground's ES module, and the page that needs nothing else."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Any

from pgce_mini.playground.modules import join
from pgce_mini.playground.state import PRESETS, PlaygroundState
from pgce_mini.reward import PAPER_ARMS

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{color-scheme: light dark; background: light-dark(#ffffff, #14171c); color: light-dark(#1f2328, #e9e7e4)}}
@media (max-width: 40rem) {{html {{scroll-padding-bottom: 8rem}}}}
body {{max-width: 78rem; margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem}}
body {{font: 1rem/1.5 system-ui, sans-serif}}
h1 {{margin: 0; font-size: 1.75rem; line-height: 1.2; text-wrap: balance}}
p {{max-width: 46rem; margin: 0.5rem 0 2rem}}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{introduction}</p>
<div class="pgce-playground"></div>
</main>
<script type="module">
{javascript}
inPage(document.querySelector(".pgce-playground"), {state});
</script>
</body>
</html>
"""
TITLE = "What does a token earn?"
ABOUT = (
    "In the training text several tokens follow the same prompt, each with its own frequency q. A language model "
    "learns a policy π: its own probability for each token. Cross-entropy rewards the true token alone, the one "
    "that came, and training ends at π = q; change the reward and it ends elsewhere."
)
INTRODUCTION = f"{ABOUT} Press Play."


@functools.cache
def javascript(entry: str = "homes", **others: str) -> str:
    """The playground as one ES module, which exports what ENTRY.js does.

    The default export of homes.js is what anywidget and Streamlit's components call. others: as for `sources`.
    """
    return join(sources(**others), entry)


def sources(**others: str) -> dict[str, str]:
    """The playground's modules and those of `pages/`, name -> text, and `others`, which may import from them."""
    folder = files(__package__)
    paths = [path for place in (folder, folder / "pages") for path in place.iterdir() if path.name.endswith(".js")]
    modules = {path.name.removesuffix(".js"): path.read_text("utf-8") for path in sorted(paths, key=str)} | others
    keys = ("beta", "lambda_head", "lambda_tail")
    arms = {name: {key: getattr(arm, key) for key in keys} for name, arm in PAPER_ARMS.items()}
    styles = {"STYLE": "playground.css", "SHARE_STYLE": "share.css", "PIN_STYLE": "pin.css"}
    constants: dict[str, Any] = {name: (folder / file).read_text("utf-8") for name, file in styles.items()}
    constants |= {"PRESETS": PRESETS, "ARMS": arms}
    return modules | {"from_python": as_module(constants)}


def as_module(constants: Mapping[str, Any]) -> str:
    """A module that exports `constants`."""
    return "".join(f"export const {name} = {literal(value)};\n" for name, value in constants.items())


def to_html(state: PlaygroundState | None = None, *, title: str = TITLE) -> str:
    """A page that needs nothing but a browser: no server, no network, no other file.

    What its reader changes goes into the address after the #, so a link brings back the same state.
    """
    return PAGE.format(
        title=escape(title),
        introduction=escape(INTRODUCTION),
        javascript=javascript(),
        state=literal(asdict(state or PlaygroundState())),
    )


def literal(value: Any) -> str:
    """JSON that is safe inside a script element: no end tag and no comment can begin in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
