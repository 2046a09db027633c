"""Pages that stand by themselves beside Sphinx's: each with a way back to the site."""

from __future__ import annotations

from pgce_mini.playground import to_html
from pgce_mini.site.markdown import REPOSITORY

HEAD = """<link rel="icon" href="_static/icon.svg">
<style>
.way-back {position: absolute; top: 0.5rem; right: 1rem; font: 0.875rem system-ui, sans-serif}
.way-back a {color: light-dark(#0069a4, #56b4e9)}
@media print {.way-back {display: none}}
</style>
"""
WAY_BACK = '<nav class="way-back" aria-label="Site"><a href="index.html">pgce_mini</a></nav>\n'
# In a page's frame: no words that the page has; it follows the page's theme and says how high it is (site.js).
IN_A_FRAME = """<style>.framed :is(.way-back, h1, h1 + p) {display: none} .framed body {padding: 1rem}</style>
<script>
if (parent !== self) {
  const root = document.documentElement;
  root.className = "framed";
  addEventListener("message", ({ data }) => { root.style.colorScheme = data.colorScheme ?? ""; });
  new ResizeObserver(() => parent.postMessage({ playgroundHeight: root.offsetHeight }, "*")).observe(root);
}
</script>
"""
NOT_FOUND = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page: pgce_mini</title>
<style>:root {{color-scheme: light dark}} body {{margin: 3rem; font: 1.125rem/1.5 system-ui, sans-serif}}</style>
</head>
<body>
<main>
<h1>No such page</h1>
<p>It may have moved. <a href="{home}">The first page</a> leads to all others and to the search.</p>
</main>
</body>
</html>
"""


def with_way_back(page: str) -> str:
    return page.replace("</head>", f"{HEAD}</head>", 1).replace("<body>\n", f"<body>\n{WAY_BACK}", 1)


def playground() -> str:
    """As a page, and for the frames of other pages."""
    return with_way_back(to_html().replace("</head>", f"{IN_A_FRAME}</head>", 1))


def not_found() -> str:
    """What GitHub Pages shows for an address without a page; at any depth, so its link is a whole address."""
    owner, _, name = REPOSITORY.removeprefix("https://github.com/").partition("/")
    return NOT_FOUND.format(home=f"https://{owner}.github.io/{name}/")
