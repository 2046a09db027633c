"""The first page: the playground, live, and the story of five minutes beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from inspect import signature
from urllib.parse import urlencode

from pgce_mini.installation import HOME
from pgce_mini.loss import shaped_cross_entropy
from pgce_mini.playground import PlaygroundState, javascript
from pgce_mini.playground.page import INTRODUCTION, TITLE, literal
from pgce_mini.site import teaching
from pgce_mini.site.markdown import Sections, slug, with_links
from pgce_mini.study.analysis.answers import QUESTION

INVITATION = "Change what a token earns, and training ends at another policy π than the frequencies q. Press Play."
PLAYGROUND = f"""\
<div class="first-screen">
<p class="soft">{INVITATION}</p>
<div class="pgce-playground"></div>
<noscript><p>The playground needs JavaScript; everything else here can be read without.</p></noscript>
</div>
<p class="below">{{below}}</p>
<p>{escape(INTRODUCTION)}</p>
"""
SCRIPT = """<script type="module">
{javascript}
inPage(document.querySelector(".pgce-playground"), {state});
</script>
"""


def page(readme: Sections, start: str, contents: Mapping[str, list[str]]) -> str:
    """Markdown; `start` is the page about installing, `contents` has all pages by caption."""
    title, _, text = readme.introduction.strip().partition("\n")
    text = with_links(text.strip(), HOME, "README.md", readme.owner)
    about, question, found = text.partition(f"*{QUESTION}*")
    sections = {
        "What the project says": about,
        "Does it help RL?": f"{question}{found}" or teaching.answer(),
        "Try it in a minute": f"Here, above; on your machine with [two commands]({start}.md).",
        "Look it up": "{py:obj}`shaped_cross_entropy <pgce_mini.shaped_cross_entropy>` "
        f"`{_signature()}`, and [every other name](reference/index.rst).",
    }
    story = teaching.story(HOME, "five-minutes").title
    parts = [
        "---\nhide-toc: true\n---\n",
        f"{title}: {TITLE[0].lower()}{TITLE[1:]}\n",
        PLAYGROUND.format(
            below=" · ".join(f'<a href="#{slug(name)}">{escape(name)}</a>' for name in (story, *sections))
        ),
        _story(),
        *(f"## {heading}\n\n{text}\n" for heading, text in sections.items()),
    ]
    for caption, pages in contents.items():
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n")
    return "\n".join(parts)


def _signature() -> str:
    """With the choices of its options, and without the modules of its types."""
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", str(signature(shaped_cross_entropy, eval_str=True)))


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
    return body + SCRIPT.format(javascript=javascript(), state=literal(asdict(PlaygroundState())))
