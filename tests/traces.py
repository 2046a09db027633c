"""What a figure holds, for tests of figures."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go


def trace(figure: go.Figure, name: str) -> Any:
    """The one trace of this name that holds data."""
    (found,) = [t for t in figure.data if t.name == name and t.x is not None and len(t.x) and t.x[0] is not None]
    return found


def legend(figure: go.Figure) -> list[str]:
    return [t.name for t in figure.data if t.showlegend is not False and t.name]
