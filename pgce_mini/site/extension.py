"""What the site does in Sphinx itself: formulas, docstrings, the line under each page, scripts where needed."""

from __future__ import annotations

import json
import re
import textwrap
from html import escape, unescape
from typing import Any

from pgce_mini.installation import __version__
from pgce_mini.site import landing, standing
from pgce_mini.site.docstrings import as_rst
from pgce_mini.site.markdown import REPOSITORY, file_address

NAME = REPOSITORY.removeprefix("https://github.com/")
BINDER = f"https://mybinder.org/v2/gh/{NAME}/main?labpath="
COLAB = f"https://colab.research.google.com/github/{NAME}/blob/main/"
# LaTeX that docutils does not know, and what it takes instead
SAME = {r"\\dots(?![a-zA-Z])": r"\\ldots", r"\\big[lr]?(?![a-zA-Z])": ""}
PARAMETERS = re.compile(r"<dl>\s*((?:<dd><em.*</dd>\s*)+)</dl>")  # of a signature: a list without terms
CELL = re.compile(r"<td.*?</td>", re.DOTALL)
MOST_CELLS = 6  # of a table beside which there is room for the page's contents
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"


def setup(app: Any) -> dict[str, Any]:
    app.add_config_value("pgce_sources", {}, "html")  # page -> its file in the repository
    app.add_config_value("pgce_start", "index", "html")  # the page about installing
    app.add_html_math_renderer("mathml", (_inline_formula, None), (_block_formula, None))
    app.connect("builder-inited", _dark_code, priority=1)
    app.connect("autodoc-process-docstring", _docstring, priority=1)
    app.connect("html-page-context", _page, priority=900)  # after Furo
    app.connect("build-finished", _scripts)
    return {"version": __version__, "parallel_read_safe": True}


def _mathml(text: str, *, block: bool) -> str:
    from docutils.utils.math import MathError
    from docutils.utils.math.latex2mathml import tex2mathml
    from sphinx.util.logging import getLogger

    for command, known in SAME.items():
        text = re.sub(command, known, text)
    try:
        return str(tex2mathml(text, as_block=block))
    except MathError as error:
        getLogger(__name__).warning("formula %s: %s", text, error)
        return f"<code>{escape(text)}</code>"


def _inline_formula(self: Any, node: Any) -> None:
    from docutils.nodes import SkipNode

    self.body.append(_mathml(node.astext(), block=False))
    raise SkipNode


def _block_formula(self: Any, node: Any) -> None:
    from docutils.nodes import SkipNode

    self.body.append(f'<div class="formula">{_mathml(node.astext(), block=True)}</div>')
    raise SkipNode


def _dark_code(app: Any) -> None:
    app.config.pygments_dark_style = "a11y-high-contrast-dark"  # a setting of Furo's, which is loaded by now


def _docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    from sphinx.ext.napoleon.docstring import GoogleDocstring

    rst = as_rst(lines)
    # by hand, as Sphinx's own would take what stands before a colon for the type of a field
    lines[:] = rst if what in ("attribute", "property") else GoogleDocstring(rst).lines()


def _page(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Under each page: where it comes from and how to run it; and what screen readers need."""
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    source = app.config.pgce_sources.get(name)
    if source is None:
        return
    context["metatags"] += f'<meta name="description" content="{_description(context["body"])}">'
    context["body"] = CELL.sub(_breaking_well, context["body"])
    if any(len(re.findall("<t[dh]", row)) > MOST_CELLS for row in context["body"].split("<tr")):
        context["body"] = f'<div class="wide-page">{context["body"]}</div>'
    context["body"] = PARAMETERS.sub(
        lambda found: f'<div class="parameters">{found[1].replace("dd>", "div>")}</div>', context["body"]
    )
    if 'class="live-picture"' in context["body"]:
        app.add_js_file("pictures.js", defer="defer")
    if name == "index":
        context["body"] = landing.with_playground(context["body"])
    notebook = source if source.endswith(".ipynb") else FIRST_NOTEBOOK
    what = "this notebook" if source == notebook else "the first notebook"
    start = "../" * name.count("/") + app.config.pgce_start
    context["body"] += (
        f'<p class="from">Source: <a href="{file_address(source)}">{escape(source)}</a>. Run {what} in '
        f'<a href="{BINDER}{notebook}">Binder</a> or <a href="{COLAB}{notebook}">Colab</a>, or everything '
        f'<a href="{start}.html">on your machine</a>.</p>'
    )


def _breaking_well(cell: re.Match[str]) -> str:
    """A number and its error stay in a line; settings go on in the next."""
    return re.sub(r",(?=\w+=)", ",<wbr>", cell[0].replace(" ± ", "\u00a0±\u00a0"))


def _description(body: str) -> str:
    """The first words of a page, for those who search."""
    paragraph = re.search(r"<p(?: [^>]*)?>(.*?)</p>", body, re.DOTALL)
    text = " ".join(re.sub(r"<[^>]+>", "", paragraph[1] if paragraph else "").split())
    return escape(textwrap.shorten(unescape(text), 160, placeholder=" ..."))


def _scripts(app: Any, error: Exception | None) -> None:
    """Plotly, once for all pages, and the playground as a page of its own."""
    if error:
        return
    import plotly.io
    from plotly.offline import get_plotlyjs

    static = app.outdir / "_static"
    template = json.dumps(plotly.io.templates["plotly"].to_plotly_json())
    plotly_js = f"{get_plotlyjs()}\nPlotly.usualTemplate = {template};\n"
    (static / "plotly.min.js").write_text(plotly_js, encoding="utf-8")
    (app.outdir / "playground.html").write_text(standing.playground(), encoding="utf-8")
