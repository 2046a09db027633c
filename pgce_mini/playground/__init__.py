"""The playground: one state of the shaped loss as an instrument, the same in a notebook, a page and the explorer.

    Playground(beta=-0.25)                  a widget: JupyterLab, VS Code, Colab (needs anywidget)
    to_html(PlaygroundState(beta=-0.25))    a page by itself, to mail or to project; `pgce playground` writes it
    javascript()                            the ES module in both, and in the explorer's page "One token"

The mathematics is that of `pgce_mini.theory`, written again in `dynamics.js`, so that it follows a dragged bar;
tests hold the two to 1e-9.
"""

from __future__ import annotations

from typing import Any

from pgce_mini.playground.page import javascript, to_html
from pgce_mini.playground.state import PRESETS, PlaygroundState, given_query, preset

Playground: Any  # made by __getattr__ when it is asked for: the library itself does without anywidget

__all__ = ["PRESETS", "Playground", "PlaygroundState", "given_query", "javascript", "preset", "to_html"]


def __getattr__(name: str) -> Any:
    if name == "Playground":
        from pgce_mini.playground.widget import playground_class

        return playground_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
