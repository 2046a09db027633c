"""What a teacher takes out of a story: its plan, slides, and a sheet for predictions. No Streamlit in here.

python app/handouts.py      writes the lecture's plan into docs/teaching.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import fmean
from urllib.parse import urlencode

from pgce_mini import PAPER_ARMS
from pgce_mini.evaluation import column_title
from pgce_mini.playground.page import to_html
from pgce_mini.reports.svg import Interval, forest
from pgce_mini.study.analysis import AFTER_RL, Comparison, Evidence, first_line, samples, views
from steps import PAGES, Step, Story, stories

DOCUMENT = Path(__file__).parents[1] / "docs" / "teaching.md"
BEGIN, END = "<!-- the plan: python app/handouts.py -->\n", "<!-- end of the plan -->\n"
# In a slide's frame: no words that the slide has, and a clicker's keys are told to the slides around it.
IN_A_FRAME = """<style>body {padding: 1rem} h1, h1 + p {display: none}</style>
<script>addEventListener("keydown", (event) => {
  if (!["PageDown", "PageUp"].includes(event.key)) return;
  event.preventDefault();
  event.stopPropagation(); // a handle or a slider with the focus would move, too
  parent.postMessage(event.key, "*");
}, true);</script>
"""
TEMPLATES = Path(__file__).parent / "templates"


def plan(story: Story, links: bool) -> str:
    """A table in Markdown, a row a step; with links for a page of the explorer."""
    rows = ["| minutes | on the wall | what happens | they should say |", "|---|---|---|---|"]
    for number, (step, time) in enumerate(zip(story.steps, story.times(), strict=True), 1):
        where = f"**{step.title}**, page *{PAGES[step.page].title}*"
        if links:
            where += f": [open](./{story.address(number)}), [present](./{story.address(number, presenting=True)})"
        rows.append(f"| {time} | {where} | *{step.said}* {step.note}".rstrip() + f" | {step.reveal} |")
    return "\n".join(rows) + "\n"


def with_plan(text: str) -> str:
    """docs/teaching.md with the plan as it is now."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + plan(stories()["lecture"], links=False) + END + rest.split(END)[1]


def slides(story: Story, addresses: Sequence[str], answer: str, claims: dict[str, str]) -> str:
    """One file with a slide a step, which needs nothing but a browser.

    addresses: where each step's page is; "" for one that only an explorer has, which the slide then says. answer:
    to the paper's question. claims: claim -> verdict.
    """
    parts = [
        f'<section><h1>{escape(story.title)}</h1><p class="ask">{escape(story.about)}</p>'
        "<p>→ or PageDown: answer, then next; ← or PageUp: back; p: print.</p></section>"
    ]
    evidence = Evidence()
    for step, address in zip(story.steps, addresses, strict=True):
        asked = step.said if address or _has_playground(step) else step.ask
        parts.append(
            f'<section><p class="place">{step.minutes} minutes</p>'
            f'<h2>{escape(step.title)}</h2><p class="ask">{escape(asked)}</p>'
            + (f'<p class="answer">{escape(step.reveal)}</p>' if step.reveal else "")
            + _picture(step, evidence)
            + _where(step, address)
            + "</section>"
        )
    parts.append(f'<section><h2>What was found</h2><p class="ask">{escape(answer)}</p></section>')
    parts.append(f"<section><h2>The paper's claims</h2>{_verdicts(claims)}</section>")
    return _filled(
        "slides.html",
        TITLE=escape(story.title),
        SLIDES="\n".join(parts),
        PLAYGROUND=json.dumps(to_html().replace("</head>", f"{IN_A_FRAME}</head>", 1)).replace("<", "\\u003c"),
    )


def _where(step: Step, address: str) -> str:
    title = escape(PAGES[step.page].title)
    if address:
        return f'<p><a href="{escape(address)}" target="_blank">Open {title}</a></p>'
    if _has_playground(step):
        return ""
    return f'<p class="place">In the explorer: {title} (<code>make explore</code>).</p>'


def _has_playground(step: Step) -> bool:
    return step.page == "one-token"


def _picture(step: Step, evidence: Evidence) -> str:
    """The playground for One token; what the tables say, with the answer, where the study is asked."""
    if _has_playground(step):
        return f'<iframe class="live" title="The playground" data-state="{escape(_fragment(step))}"></iframe>'
    if step.page == "trap-game":
        return f'<div class="picture answer">{_reasoned("trap", evidence)}</div>'
    if step.page == "results":
        parts = [str(step.state[key]) for key in ("study", "beside") if key in step.state]
        told = [f"{_differences(part, evidence)}<p>{escape(first_line(evidence, part))}</p>" for part in parts]
        return f'<div class="picture answer">{"".join(told)}</div>'
    return ""


def _differences(part: str, evidence: Evidence) -> str:
    """Arms minus ce, with the verdicts on those that were planned; of variants the first, as on the page."""
    rows = evidence.rows(part)
    variant = views.variants(rows)[0]
    intervals = []
    for arm, gap in views.paired_differences(rows, tuple(PAPER_ARMS), "ce", AFTER_RL, variant).items():
        verdict = evidence.verdict(part, arm, AFTER_RL, "ce", variant)
        label = f"{arm}: {verdict.words}" if verdict else arm
        intervals.append(Interval(label, arm, gap.mean, gap.low, gap.high))
    title = f"{part}: each arm minus ce, 95 % intervals over seeds, each by itself"
    place = Comparison(part, "", AFTER_RL, "different", variant=variant).place.removeprefix(part)
    return forest(title, f"difference in {column_title(AFTER_RL, samples(rows))}{place}", intervals, title)


def _reasoned(study: str, evidence: Evidence) -> str:
    metric, rows = "reasoned_share_after", evidence.rows(study)
    shares = {arm: [row[metric] for row in rows if row["arm"] == arm] for arm in PAPER_ARMS}
    intervals = [Interval(arm, arm, fmean(found), min(found), max(found)) for arm, found in shares.items()]
    title = f"{study}: answers that reason after RL, mean and range over {len(shares['ce'])} seeds"
    return forest(title, column_title(metric, samples(rows)), intervals, title)


def _fragment(step: Step) -> str:
    return urlencode(step.state, safe=",")


def sheet(story: Story) -> str:
    """To print: every question with room to write and, on a page of its own, the answers."""
    asked = [step for step in story.steps if step.reveal]
    questions = "\n".join(f"<li><h2>{escape(s.title)}</h2><p>{escape(s.ask)}</p><div></div></li>" for s in asked)
    answers = "\n".join(f"<li><h2>{escape(s.title)}</h2><p>{escape(s.reveal)}</p></li>" for s in asked)
    return _filled("sheet.html", TITLE=escape(story.title), QUESTIONS=questions, ANSWERS=answers)


def _verdicts(claims: dict[str, str]) -> str:
    head = '<th scope="col">the paper\'s claim</th><th scope="col">at this scale, on these tasks (ours)</th>'
    rows = "".join(f"<tr><td>{escape(c)}</td><td>{escape(verdict)}</td></tr>" for c, verdict in claims.items())
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _filled(template: str, **parts: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"[[{name}]]", part)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_plan(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
