"""What every page of the explorer has: a sentence, a picture, its numbers, its files and the code that makes it.

A page is a `@st.fragment` with controls bound to the address (`bind="query-params"`: Streamlit drops defaults and
ignores what is malformed) that ends in `present(...)`. Text that could come from a user or a model is shown by way
of `st.html` and `html.escape`, never as Markdown, which would read some of it as formatting.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

# The text colours of Streamlit's two themes. A figure carries one from its first frame on; the style below, which
# may arrive after it, keeps up when the reader changes the theme, of which Streamlit does not tell the server.
INK = {"light": "#2f2d2b", "dark": "#edebe8"}
STYLE = """<style>
.stMainBlockContainer {padding: 2.5rem clamp(1rem, 4vw, 4rem) 4rem; max-width: 80rem}
/* not what is written on a mark, which has the mark for its ground */
.js-plotly-plot .main-svg text:not(.bartext-inside) {fill: currentColor !important}
.katex {font-size: 1.08em}
.takeaway {font-size: 1.1rem; font-weight: 600; margin: 0}
.refusal {border-left: 4px solid #e69f00; background: #e69f0022; padding: 0.75rem 1rem; overflow-wrap: anywhere}
.numbers {overflow-x: auto}
.numbers table {border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875rem}
.numbers :is(th, td) {padding: 0.2rem 1rem 0.2rem 0; text-align: left; border-bottom: 1px solid #8885}
.numbers .number {text-align: right}
</style>"""
CONFIG = {"displaylogo": False, "displayModeBar": False}  # its buttons cover the title; ours have names

HERE = Path(__file__).parent

_downloads = st.components.v2.component(
    "downloads",
    html='<div class="row" role="group" aria-label="Download"><button data-kind="csv">CSV</button>'
    '<button data-kind="png">PNG</button><button data-kind="svg">SVG</button></div>',
    css=(HERE / "downloads.css").read_text(encoding="utf-8"),
    js=(HERE / "downloads.js").read_text(encoding="utf-8"),
)
# Invisible: `data={"chart": key of a chart}`, and its state "value" is where the slider in that chart was let go.
slider_end = st.components.v2.component("slider_end", js=(HERE / "slider_end.js").read_text(encoding="utf-8"))


def columns() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Places for the picture and, to its right or on a phone below it, for the controls."""
    picture, controls = st.columns([3, 2], gap="large")
    return picture, controls


def slider(label: str, key: str, low: float, high: float, default: float = 0.0, step: float = 0.05) -> float:
    """A slider of two decimals whose key is its name in the address."""
    return round(st.slider(label, low, high, default, step, format="%.2f", key=key, bind="query-params"), 2)


def present(
    picture: DeltaGenerator,
    figure: go.Figure,
    takeaway: str,
    table: Mapping[str, Sequence[Any]],
    code: str,
    name: str,
    **chart: Any,
) -> None:
    """The takeaway and the chart in `picture`; here, what belongs to them: downloads, the table, the code.

    takeaway: one sentence about the present state, which is also the chart's text for a screen reader.
    table: column -> values, all of one length: the numbers of the chart, as shown and as CSV.
    code: a cell that makes the same figure with the library.
    name: of the files and of the chart (key "chart_NAME"), [a-z_]; one of its kind on a page.
    chart: what else `st.plotly_chart` takes, such as `on_select`.
    """
    figure.update_layout(font_color=INK[st.context.theme.type or "light"])
    with picture:
        st.html(f'<p class="takeaway" role="status">{escape(takeaway)}</p>')
        st.plotly_chart(figure, key=f"chart_{name}", theme=None, config=CONFIG, alt=takeaway, **chart)
    _downloads(key=f"downloads_{name}", data={"chart": f"chart_{name}", "name": name, "csv": as_csv(table)})
    with st.expander("Data"):
        st.html(as_html(table))
    with st.expander("Copy as Python"):
        st.code(code, language="python")


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


def as_html(table: Mapping[str, Sequence[Any]]) -> str:
    """Numbers to four digits, nothing for None."""

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f'<td class="number">{value:.4g}</td>'
        kind = ' class="number"' if isinstance(value, int) else ""
        return f"<td{kind}>{'' if value is None else escape(str(value))}</td>"

    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table)
    rows = ("".join(map(cell, row)) for row in zip(*table.values(), strict=True))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="numbers" tabindex="0" role="region" aria-label="Data">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
