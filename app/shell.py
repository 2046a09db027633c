"""What every page of the explorer has: a sentence, a picture, its numbers, its files and the code that makes it.

A page is a `@st.fragment` with controls bound to the address (`bind="query-params"`: Streamlit drops defaults and
ignores what is malformed) that ends in `present(...)`. Text that could come from a user or a model is shown by way
of `st.html` and `html.escape`, never as Markdown, which would read some of it as formatting.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import plotly
import plotly.graph_objects as go
import streamlit as st
from streamlit.components.v1 import declare_component
from streamlit.components.v2.types import ComponentRenderer
from streamlit.delta_generator import DeltaGenerator

import share
from cell import cell
from pgce_mini.paths import expanded
from pgce_mini.playground import javascript

STYLE = """<style>
.stMainBlockContainer {padding: 2.5rem clamp(1rem, 4vw, 4rem) 4rem; max-width: 80rem}
.katex {font-size: 1.08em}
.part {font-weight: 600; margin: 0; overflow-wrap: anywhere}
.takeaway {font-size: 1.1rem; font-weight: 600; margin: 0}
.unseen {position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%)}
.refusal {border-left: 4px solid #e69f00; background: #e69f0022; padding: 0.75rem 1rem; overflow-wrap: anywhere}
.stHorizontalBlock:has(.pgce-pinned) {flex-wrap: wrap}
.stHorizontalBlock:has(.pgce-pinned) > .stColumn {min-width: 100%}
.numbers {overflow-x: auto}
.numbers table {border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875rem}
.numbers :is(th, td) {padding: 0.2rem 1rem 0.2rem 0; text-align: left; border-bottom: 1px solid #8885}
.numbers td {white-space: pre-line; vertical-align: top}
.numbers .number {text-align: right}
[data-testid="stSlider"] *, .pgce-chart {touch-action: pan-y pinch-zoom !important} /* see touch.js */
</style>"""

HERE = Path(__file__).parent
RUNS = expanded(os.environ.get("PGCE_RUNS_DIR", "runs")).resolve()

TRAINING = os.environ.get("PGCE_TRAINING") != "0"  # whether visitors may start trainings

N = TypeVar("N")
View = Callable[..., tuple[N, go.Figure]]  # a pure function: the values of controls in, (numbers, figure) out


def source(file: str) -> str:
    return (HERE / file).read_text(encoding="utf-8")


# Streamlit's own chart is made anew after every change; ours keeps its place and draws what changed. It has the
# JavaScript of the installed Plotly, served from where that lies.
_library = declare_component("plotly", path=Path(plotly.__file__).parent / "package_data")
_root = f"/{st.get_option('server.baseUrlPath')}/component".replace("//", "/")
LIBRARY = f"{_root}/{_library.name}/plotly.min.js?{plotly.__version__}"


@functools.cache
def _chart(page: str = "") -> ComponentRenderer:
    """A picture; with `page`, one that the module of that page in `pgce_mini.playground.pages` keeps in step with
    the page's sliders, and with it the sentence above."""
    own = {name: source(f"{name}.js") for name in ("chart", "projector", "sliders")}
    own["library"] = f"export const LIBRARY = {LIBRARY!r};"
    own["moves"] = "export const moved = null;"
    if page:
        own["moves"] = f'import {{ moved as move }} from "./{page}.js";\nexport const moved = move;'
    return st.components.v2.component(
        f"chart_{page}",
        html='<div class="pgce-chart" role="figure"></div>',
        css=".pgce-chart {overflow: hidden}",
        js=javascript("chart", **own),
        isolate_styles=False,  # it has the page's fonts and colours
    )


_downloads = st.components.v2.component(
    "downloads",
    html='<div class="row" role="group" aria-label="Download">Download '
    + "".join(f'<button data-kind="{kind.lower()}" disabled>{kind}</button>' for kind in ("CSV", "PNG", "SVG"))
    + "</div>",
    css=source("downloads.css"),
    js=javascript("downloads", downloads=source("downloads.js")),
)


def columns() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Places for the picture and, to its right or on a phone below it, for the controls."""
    picture, controls = st.columns([3, 2], gap="large")
    return picture.container(key="place_picture"), controls.container(key="place_controls")


def slider(
    label: str, key: str, low: float, high: float, default: float = 0.0, step: float = 0.05, **more: Any
) -> float:
    """A slider of two decimals whose key is its name in the address; an address may lie between its steps.

    more: as `st.slider` takes it, such as help."""
    value = st.slider(label, low, high, default, step, format="%.2f", key=key, bind="query-params", **more)
    return round(low + math.floor((value - low) / step + 0.5) * step, 2) + 0.0  # as in sliders.js; never -0


def run(view: View[N], note: str = "", **settings: Any) -> tuple[N, bytes, str]:
    """Numbers and figure (as JSON) of `view` at these settings, and the cell that makes them, with a note."""
    numbers, figure = view(**settings)
    return numbers, as_json(figure), cell(view, settings, RUNS, note)


def made(view: View[N], **settings: Any) -> tuple[N, bytes, str]:
    """`run`, once for these settings: for a view that reads no file which changes. Nobody changes the numbers."""
    code = view.__code__
    return _made(f"{code.co_filename} {code.co_name}", settings, view)


@st.cache_resource(max_entries=128, show_spinner=False)
def _made(name: str, settings: Mapping[str, Any], _view: View[N]) -> tuple[N, bytes, str]:
    return run(_view, **settings)


def as_json(figure: go.Figure) -> bytes:
    return figure.to_json(validate=False).encode()


def chart(key: str, figure: bytes, alt: str, **listeners: Callable[[], None]) -> None:
    """A picture with a text for screen readers.

    listeners: `on_click_change` and `on_slider_change`, called when somebody clicks a point that has customdata,
    or lets go of a slider within the picture; these data, or the slider's number, are then
    `st.session_state[key].click` or `.slider`.
    """
    _chart()(key=key, data=b'{"alt": %b, "figure": %b}' % (json.dumps(alt).encode(), figure), **listeners)


def present(
    picture: DeltaGenerator,
    figure: bytes,
    takeaway: str,
    table: Mapping[str, Sequence[Any]],
    code: str,
    name: str,
    **listeners: Callable[[], None],
) -> None:
    """The takeaway and the chart in `picture`; here, what belongs to them: downloads, the table, the code.

    takeaway: one sentence about the present state, which is also the chart's text for a screen reader.
    table: column -> values, all of one length: the numbers of the chart, as shown and as CSV.
    code: a cell that makes the same numbers and figure (see `run`).
    name: of the files and of the chart (key "chart_NAME"), [a-z_]; one of its kind on a page.
    figure, listeners: as of `chart`.
    """
    with picture:
        st.html(f'<p class="takeaway" role="status">{escape(takeaway)}</p>')
        chart(f"chart_{name}", figure, takeaway, **listeners)
    _belongings(picture, name, lambda: table, lambda: code, as_csv(table))


def present_moving(
    picture: DeltaGenerator,
    page: str,
    figure: bytes,
    keys: Sequence[str],
    given: Mapping[str, Any] | None,
    view: View[N],
    settings: Mapping[str, Any],
    table: Callable[[N], Mapping[str, Sequence[Any]]],
    slider: str = "",
    **listeners: Callable[[], None],
) -> None:
    """As `present`, with a picture and a takeaway that follow the page's sliders while they are dragged.

    Nothing is computed here when a slider is let go: the picture is the browser's, and table and code are made
    when somebody opens them or asks for the CSV.

    page: the module in `pgce_mini.playground.pages` that finds the picture's numbers and the takeaway; the name of
        the files and of the chart, too.
    figure: the picture at any values of the sliders, one for all of them.
    keys: the sliders' keys. given: what else the module needs, the same at any values of the sliders.
    view, settings: what makes numbers and figure of the present values (see `made`). table: of these numbers.
    slider: the key that the slider in the picture moves, too.
    """
    rest = json.dumps({"keys": keys, "given": given, "slider": slider}).encode()
    with picture:
        st.html('<p class="takeaway"></p><p class="unseen" role="status"></p>')
        _chart(page)(key=f"chart_{page}", data=b'{"figure": %b, %b' % (figure, rest[1:]), **listeners)
    _belongings(picture, page, lambda: table(made(view, **settings)[0]), lambda: made(view, **settings)[2])


def _belongings(
    picture: DeltaGenerator,
    name: str,
    table: Callable[[], Mapping[str, Sequence[Any]]],
    code: Callable[[], str],
    csv: str | None = None,
) -> None:
    """What is under a chart. What is closed is not made, sent and drawn again with every release; nor is the CSV,
    unless it is given."""
    settings, key = share.settings(), f"downloads_{name}"
    picture.html(f'<p class="pgce-printed">{escape(settings)}</p>')
    asked = getattr(st.session_state.get(key), "asked", None)
    shared = {"title": share.title(), "settings": settings, "network": share.NETWORK}
    shared |= {"chart": f"chart_{name}", "name": name, "asked": asked, "csv": as_csv(table()) if asked else csv}
    _downloads(key=key, data=shared, on_asked_change=lambda: None)
    if (data := st.expander("Data", key=f"data_{name}", on_change="rerun")).open:
        data.html(as_html(table()))
    if (python := st.expander("Copy as Python", key=f"python_{name}", on_change="rerun")).open:
        python.code(code(), language="python")


def reason(error: Exception, folder: Path) -> str:
    """What an error says, without the path of the folder that everything here is in."""
    return str(error).replace(f"{folder}{os.sep}", "")


def refuse(place: DeltaGenerator, sentence: str) -> None:
    """Says in `place` why there is nothing to show, where the sentence may quote what somebody typed."""
    place.html(f'<p class="refusal" role="alert">{escape(sentence)}</p>')


def as_csv(table: Mapping[str, Sequence[Any]]) -> str:
    """Numbers in full, so that they can be read back without loss."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(table)
    rows.writerows(zip(*table.values(), strict=True))
    return text.getvalue()


def as_html(table: Mapping[str, Sequence[Any]], label: str = "Data") -> str:
    """Numbers to four digits, nothing for None; `label` names the table to a screen reader."""

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f'<td class="number">{value:.4g}</td>'
        kind = ' class="number"' if isinstance(value, int) else ""
        return f"<td{kind}>{'' if value is None else escape(str(value))}</td>"

    def header(column: str) -> str:
        numbers = all(value is None or isinstance(value, int | float) for value in table[column])
        kind = ' class="number"' if numbers else ""
        return f'<th scope="col"{kind}>{escape(column)}</th>'

    head = "".join(map(header, table))
    rows = ("".join(map(cell, row)) for row in zip(*table.values(), strict=True))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="numbers" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
