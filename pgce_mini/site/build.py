"""The site: sources written into a temporary folder, which Sphinx makes pages of; those move in place whole.

Why Sphinx with MyST-NB and Furo: alone of those looked at it searches from file://, without a server, and takes
saved notebooks and docstrings alike, offline. MkDocs is kept no longer, its successor Zensical takes no notebooks;
Jupyter Book 2 needs Node, and a server to search. docutils makes MathML of formulas: no script, font or network.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgce_mini.installation import HOME, __version__, in_clone, install_hint, is_installed
from pgce_mini.paths import expanded
from pgce_mini.progress import ProgressBar
from pgce_mini.site import reference

if TYPE_CHECKING:
    from pgce_mini.site.sources import Sources

NEEDED = ("sphinx", "myst_nb", "furo", "pyarrow")
MARK = "written-by-pgce-site.txt"  # names every file: a folder with any other is not replaced
ASSETS = Path(__file__).parent / "assets"

# One ink and one paper in all that lies on a page: the playground's.
LIGHT = {"color-background-primary": "#ffffff", "color-foreground-primary": "#1f2328"}
DARK = {"color-background-primary": "#14171c", "color-foreground-primary": "#e9e7e4"}
LINKS = {"color-brand-primary": "#0069a4", "color-brand-content": "#0069a4", "color-brand-visited": "#7a3f8c"}
LINKS_DARK = {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9", "color-brand-visited": "#d3a4e0"}

SETTINGS: dict[str, Any] = {
    "project": "pgce_mini",
    "version": __version__,
    "release": __version__,
    "language": "en",
    "extensions": [
        "myst_nb",
        "sphinx.ext.autodoc",
        "sphinx.ext.linkcode",
        "pgce_mini.site.extension",
    ],
    "root_doc": "index",
    "default_role": "code",  # our docstrings write `name` as Markdown does
    "html_theme": "furo",
    "html_theme_options": {
        "light_css_variables": LIGHT | LINKS,
        "dark_css_variables": DARK | LINKS_DARK,
        "top_of_page_buttons": [],
    },
    "html_title": "pgce_mini",
    "html_static_path": [str(ASSETS)],
    "html_favicon": str(ASSETS / "icon.svg"),
    "html_css_files": ["site.css"],
    "html_js_files": [("site.js", {"defer": "defer"})],
    "html_show_copyright": False,
    "html_show_sphinx": False,
    "html_copy_source": False,
    "html_math_renderer": "mathml",
    "pygments_style": "a11y-high-contrast-light",
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_render_markdown_format": "myst",  # an output may hold formulas
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 4,
    "autodoc_member_order": "bysource",
    "autodoc_inherit_docstrings": False,
    "autodoc_typehints": "signature",
    "linkcode_resolve": reference.source_of,
    "python_use_unqualified_type_names": True,
    "python_maximum_signature_line_length": 60,
    "toc_object_entries_show_parents": "hide",
    "suppress_warnings": ["config.cache"],
}


def build_site(to: Path, *, progress: bool = True) -> list[str]:
    """Writes the site into the folder `to`, whole or not at all; returns the warnings of Sphinx.

    Raises:
        ValueError: the extra is not installed; this is no clone; `to` is a file or holds what is no site.
        OSError: the disk is full, or `to` cannot be written.
    """
    to = Path(os.path.realpath(expanded(to)))
    _check_free(to)
    missing = [package for package in NEEDED if not is_installed(package)]
    if missing:
        raise ValueError(f"{', '.join(missing)} not installed: {install_hint('site')}")
    if not in_clone():
        raise ValueError(
            "the site is made from README.md and docs/, which a wheel does not hold: run it in a clone"
        )
    from pgce_mini.site.sources import Sources  # and with it torch and every room

    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}.", suffix=".tmp", dir=to.parent) as temporary:
        work = Path(temporary)
        with ProgressBar(silent=not progress, desc="sources", unit="page") as bar:
            sources = Sources(HOME, work / "source")
            for _ in sources.write():
                bar.update()
        warnings = _run_sphinx(work, sources, progress)
        _mark(work / "site")
        _replace(to, work / "site", work / "old")
    return warnings


def _check_free(to: Path) -> None:
    if to.exists() and not to.is_dir():
        raise ValueError(f"out must name a folder, and {to} is a file")
    mark = to / MARK
    ours = mark.read_text(encoding="utf-8").splitlines() if mark.is_file() else []
    if others := sorted(_files(to) - {*ours}):
        raise ValueError(
            f"{to} holds what pgce site did not write, {others[0]}: choose a new folder or an empty one"
        )


def _files(folder: Path) -> set[str]:
    """And empty folders, as seen from `folder`."""
    inner = {path for path in folder.rglob("*") if path.is_symlink() or path.is_file() or not any(path.iterdir())}
    return {path.relative_to(folder).as_posix() for path in inner}


def _mark(site: Path) -> None:
    (site / MARK).write_text("\n".join(sorted({*_files(site), MARK})) + "\n", encoding="utf-8")


def _replace(to: Path, new: Path, old: Path) -> None:
    """`new` becomes `to`; if that fails, `to` is again as it was."""
    if not to.exists():
        os.rename(new, to)
        return
    os.rename(to, old)
    try:
        os.rename(new, to)
    except BaseException:
        os.rename(old, to)
        raise


def _run_sphinx(work: Path, sources: Sources, progress: bool) -> list[str]:
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    warnings = io.StringIO()
    settings = SETTINGS | {
        "html_extra_path": [str(sources.extra)],
        "pgce_sources": sources.of_pages,
        "pgce_start": sources.start,
    }
    with docutils_namespace(), ProgressBar(silent=not progress, desc="pages", unit="page") as bar:
        app = Sphinx(
            work / "source", None, work / "site", work / "doctrees", "html",
            confoverrides=settings, status=None, warning=warnings, freshenv=True,
        )  # fmt: skip
        bar.total = 2 * len(app.project.discover())  # each is read, then written

        def written(_: Any, name: str, *__: Any) -> None:  # what it returned would be taken for a template
            bar.update(name in sources.of_pages)

        app.connect("doctree-read", lambda *_: bar.update())
        app.connect("html-page-context", written)
        app.build(force_all=True)
    shutil.rmtree(work / "site" / "_sources", ignore_errors=True)
    return [line for line in warnings.getvalue().splitlines() if line.strip()]
