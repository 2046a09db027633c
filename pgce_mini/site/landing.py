"""The first page: the playground, live, and the story of five minutes beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from inspect import signature
from urllib.parse import urlencode

from pgce_mini.installation import HOME
from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.playground import PlaygroundState, javascript
from pgce_mini.playground.page import INTRODUCTION, TITLE
from pgce_mini.site import teaching
from pgce_mini.site.markdown import slug, with_links

PLAYGROUND = f"""\
<div class="first-screen">
<p class="playground-title" id="playground">{escape(TITLE)}</p>
<p class="soft">{escape(INTRODUCTION)}</p>
<p class="below">{{below}}</p>
<div class="pgce-playground"></div>
<noscript><p>The playground needs JavaScript; everything else here can be read without.</p></noscript>
</div>
"""
SCRIPT = """<script type="module">
{javascript}
inPage(document.querySelector(".pgce-playground"), {state});
</script>
"""


def page(introduction: str, start: str, contents: Mapping[str, list[str]]) -> str:
    """Markdown: `introduction` is README's, `start` the page about installing, `contents` all pages by caption."""
    title, _, text = introduction.strip().partition("\n")
    about, picture, found = with_links(text.strip(), HOME, "").partition("\n\n![")  # a picture of the results
    names = re.sub(r"<[^>]+>", "...", str(signature(shaped_cross_entropy)))
    sections = {
        "What the project says": about,
        "Does it help RL?": f"{picture}{found}" or teaching.answer(),
        "Try it in a minute": f"Here, above; on your machine with [two commands]({start}.md).",
        "Look it up": "{py:obj}`shaped_cross_entropy <pgce_mini.shaped_cross_entropy>` "
        f"`{names}`, and [every other name](reference/index.rst).",
    }
    story = teaching.story(HOME, "five-minutes").title
    parts = [
        "---\nhide-toc: true\n---\n",
        title + "\n",
        PLAYGROUND.format(
            below=" · ".join(f'<a href="#{slug(name)}">{escape(name)}</a>' for name in (story, *sections))
        ),
        _story(),
        *(f"## {heading}\n\n{text}\n" for heading, text in sections.items()),
    ]
    for caption, pages in contents.items():
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n")
    return "\n".join(parts)


def _story() -> str:
    """Each step asks and hides its answer; those about one state set the playground."""
    story = teaching.story(HOME, "five-minutes")
    steps = []
    for step in story.steps:
        said, reveal = step.said, step.reveal
        if step.page == "one-token":
            show = f'<a class="set" href="#{escape(urlencode(step.state, safe=","))}">Set the playground</a>'
        elif step.page == "results":  # whose picture with the answer is below
            said, reveal = step.ask, teaching.answer()
            show = '<a href="docs/study.html">The study</a>'
        elif step.page in teaching.HERE:
            show = f'<a href="{teaching.HERE[step.page]}">Try it</a>'
        else:
            said, show = step.ask, ""
        steps.append(
            f"<li><strong>{escape(step.title)}.</strong> {escape(said)} {show}"
            f"<details><summary>Answer</summary><p>{escape(reveal)}</p></details></li>"
        )
    return (
        f'## {story.title}\n\n<p class="soft">{escape(story.about)}</p>\n<ol class="story">{"".join(steps)}</ol>\n'
    )


def with_playground(body: str) -> str:
    """Its script stands in the page, as file:// allows no module in a file of its own."""
    state = json.dumps(asdict(PlaygroundState()))
    return body + SCRIPT.format(javascript=javascript(), state=state)
