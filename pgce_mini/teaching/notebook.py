"""What every notebook needs: pictures that all viewers show, sliders with a picture, longer trainings.

Only `sliders` needs the extra `notebooks`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import plotly.graph_objects as go
import plotly.io as pio
import torch

from pgce_mini.installation import install_hint

T = TypeVar("T")

LONG = "PGCE_LONG"
"""With this environment variable set to 1 before the notebook starts, its trainings run longer."""


def prepare() -> None:
    """Chooses how pictures are shown, and one thread: the fastest for small models, and sums keep one order."""
    pio.renderers.default = "colab" if "google.colab" in sys.modules else "plotly_mimetype"
    torch.set_num_threads(1)


def longer(usual: T, long: T) -> T:
    """`usual`, or `long` where the environment says `PGCE_LONG=1`."""
    return long if os.environ.get(LONG, "") not in ("", "0") else usual


def sliders(draw: Callable[..., go.Figure], **controls: Any) -> Any:
    """A picture under its controls: `sliders(draw, beta=FloatSlider(...))` shows `draw(beta=...)` and redraws it.

    Args:
        draw: takes the controls' values by name and returns a figure, with the same traces for all values.
        controls: ipywidgets with a `value`; the keyword is the argument of `draw`.

    Where no kernel runs (GitHub, a preview) the picture of the first values is shown.

    Raises:
        ImportError: ipywidgets or anywidget is not installed.
    """
    try:
        import ipywidgets
    except ImportError:
        raise ImportError(f"sliders need the notebook packages: {install_hint('notebooks')}") from None

    class Sliders(ipywidgets.VBox):  # type: ignore[misc] # untyped
        """The widget, and the first picture for viewers that do not support widgets."""

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            picture = pio.renderers["plotly_mimetype"].to_mimebundle(first.to_dict())
            return picture | super()._repr_mimebundle_(**kwargs)

    def values() -> dict[str, Any]:
        return {name: control.value for name, control in controls.items()}

    first = draw(**values())
    shown = go.FigureWidget(first)
    shown._config = {"responsive": True}  # as wide as the page, as a figure without controls is

    def redraw(_: Any) -> None:
        fresh = draw(**values())
        with shown.batch_update():
            for old, new in zip(shown.data, fresh.data, strict=True):
                old.update(new.to_plotly_json(), overwrite=True)
            shown.update_layout(fresh.layout.to_plotly_json(), overwrite=True)

    for control in controls.values():
        control.layout.width, control.layout.max_width = "100%", "480px"  # a phone is narrower than 480
        control.style.description_width = "6em"
        control.observe(redraw, names="value")
    return Sliders([*controls.values(), shown])
