"""The report of a study: what it found as JSON, as a table for the terminal and as one self-contained page."""

from __future__ import annotations

import html
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from pgce_mini import figures
from pgce_mini.evaluation import LENGTH, LOGGED, STEPS, WHEN, Estimate
from pgce_mini.paths import expanded
from pgce_mini.runs import Run, write_atomic, write_json
from pgce_mini.study import Results, load_curves, load_results
from pgce_mini.study.analysis import (
    Summary,
    as_text,
    differences,
    format_estimate,
    heldout_means,
    labels,
    signed,
    signed_interval,
    summarize,
)


class Report:
    """Everything that is told about a study, computed once from what is on the disk.

    Raises:
        RunError: study_dir is no study, or a file in it is damaged (named).
        ValueError: no row of the study is finished.
    """

    def __init__(self, study_dir: Path) -> None:
        self.study_dir = study_dir = expanded(study_dir)
        self.settings: dict[str, Any] = Run(study_dir).config()["config"]
        self.results: Results = load_results(study_dir)
        finished = {arm: models for arm, models in self.results.evaluations.items() if models["after"]}
        if not finished:
            reasons = "; ".join(f"{row}: {reason}" for row, reason in self.results.failed.items())
            raise ValueError(f"{study_dir} has no finished row yet" + (f" ({reasons})" if reasons else ""))
        self.evaluations = finished
        self.summary: Summary = {
            arm: {when: summarize([*found.values()]) for when, found in models.items()}
            for arm, models in finished.items()
        }
        self.baseline = next(iter(finished))
        baseline = finished[self.baseline]["after"]
        self.differences: dict[str, dict[str, Estimate]] = {}
        self.seed_gaps: dict[str, list[float]] = {}  # Avg@m after RL minus the baseline's, seed by seed
        for arm, models in finished.items():
            policies = models["after"]
            shared = [seed for seed in policies if seed in baseline]
            if arm != self.baseline and shared:
                self.differences[arm] = differences([policies[s] for s in shared], [baseline[s] for s in shared])
                gaps = [differences([policies[s]], [baseline[s]])["avg_at_m"]["value"] for s in shared]
                self.seed_gaps[arm] = [gap for gap in gaps if gap is not None]

    @property
    def labels(self) -> dict[str, str]:
        """The metrics shown in tables; of Pass@k only the largest k."""
        evaluation = self.settings["evaluation"]
        return labels(evaluation["samples"], [max(evaluation["ks"])])

    def rows(self) -> dict[tuple[str, str], dict[str, Estimate]]:
        """(metric, arm) -> before or after RL -> estimate"""
        return {
            (name, arm): {label: self.summary[arm][when][metric] for when, label in WHEN.items()}
            for metric, name in self.labels.items()
            for arm in self.summary
        }

    def as_text(self) -> str:
        return as_text(self.rows())

    def takeaway(self) -> str:
        """One sentence about the effect of RL, one a compared arm; written from the numbers."""
        gains = [
            f"{arm} {models['before']['avg_at_m']['value']:.2f} -> {models['after']['avg_at_m']['value']:.2f}"
            for arm, models in self.summary.items()
        ]
        sentences = [f"{self.labels['avg_at_m']} before -> after RL: {', '.join(gains)}."]
        first = self.settings["arms"][0]
        if first != self.baseline:
            instead = f", so {self.baseline} is what the others are compared with" if self.differences else ""
            sentences.append(f"No seed of {first} is finished{instead}.")
        for arm, difference in self.differences.items():
            gap = difference["avg_at_m"]
            value, low, high = gap["value"], gap["low"], gap["high"]
            if value is None or low is None or high is None:
                continue
            sentences.append(
                f"After RL {arm} minus {self.baseline} on these problems: {signed(value)}, 95 % interval "
                f"{signed_interval(low, high)} (seed by seed {', '.join(map(signed, self.seed_gaps[arm]))})."
            )
        return " ".join(sentences)

    def caveat(self) -> str:
        counts = {arm: len(models["after"]) for arm, models in self.evaluations.items()}
        least, most = min(counts.values()), max(counts.values())
        each = ", ".join(f"{arm} {count}" for arm, count in counts.items())
        seeds = f"{most} seed{'s' if most > 1 else ''}" if least == most else f"the finished seeds ({each})"
        return (
            f"Means over {seeds}; 95 % bootstrap intervals over "
            f"{self.settings['evaluation']['problems']} held-out problems. They do not contain the spread "
            "between seeds: an estimate, no verdict; a claim about an arm needs more seeds than this."
        )

    def figures(self) -> dict[str, tuple[str, go.Figure]]:
        """name -> (what to see in it, figure)"""
        policies, priors = (
            {arm: [*models[when].values()] for arm, models in self.evaluations.items()}
            for when in ("after", "before")
        )
        curves = {"rl": load_curves(self.study_dir, "after"), "pretrain": load_curves(self.study_dir, "before")}

        def logged(training: str, key: str) -> go.Figure:
            found = LOGGED[training][key]
            return figures.learning_curves(curves[training], key, found.title, STEPS[training], found.axis_title)

        return {
            "before-after": (
                "Each arm before and after RL; bars are 95 % intervals over problems.",
                figures.before_after(
                    self.summary, "avg_at_m", "Accuracy before and after RL", f"{self.labels['avg_at_m']} (share)"
                ),
            ),
            "reward": ("Reward while RL trains; thin lines are single seeds.", logged("rl", "reward")),
            "entropy": (
                "Entropy at the tokens trained on: groups with both right and wrong answers, while there are any.",
                logged("rl", "entropy"),
            ),
            "length": ("Response length: answers that write the working out are longer.", logged("rl", LENGTH)),
            "pass-at-k": ("Pass@k of the prior and of the trained policy.",
                          figures.pass_at_k_curves(self.summary, "Pass@k before and after RL")),
            "pretraining-cross-entropy": ("Plain cross-entropy of the priors on held-out documents.",
                                          logged("pretrain", "heldout_cross_entropy")),
            "pretraining-entropy": ("Entropy of the priors on the same documents.",
                                    logged("pretrain", "heldout_entropy")),
            "entropy-by-position-before": ("Where the priors are unsure, token by token.",
                                           figures.entropy_by_position(priors, "Entropy by position before RL")),
            "entropy-by-position-after": ("Where the trained policies are still unsure.",
                                          figures.entropy_by_position(policies, "Entropy by position after RL")),
            "reliability": (
                "On the diagonal a prior is right as often as it is sure; beta other than 0 leaves it by design. "
                "Larger markers hold more tokens (first seed).",
                figures.reliability_diagram(
                    {arm: found[0]["heldout"]["reliability"] for arm, found in priors.items()},
                    "Reliability on held-out documents",
                ),
            ),
        }  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "arms": {
                arm: {
                    when: {"samples": self.summary[arm][when], "heldout": heldout_means([*found.values()])}
                    for when, found in models.items()
                }
                for arm, models in self.evaluations.items()
            },
            "differences_after_rl": {
                "baseline": self.baseline,
                "arms": self.differences,
                "avg_at_m_by_seed": self.seed_gaps,
            },
            "takeaway": self.takeaway(),
            "caveat": self.caveat(),
            "failed": self.results.failed,
        }

    def write(self) -> tuple[Path, Path]:
        """Leaves summary.json and report.html in the study's folder; returns their paths."""
        summary, page = self.study_dir / "summary.json", self.study_dir / "report.html"
        write_json(summary, self.as_json())
        write_atomic(page, self.as_html().encode(errors="backslashreplace"))  # the folder's name
        return summary, page

    def as_html(self) -> str:
        pictures = self.figures()
        charts = "".join(
            f"<figure><div id='{name}' role='img' aria-label='{html.escape(figure.layout.title.text)}'></div>"
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for name, (caption, figure) in pictures.items()
        )
        failed = "".join(
            f"<li>{html.escape(row)}: {html.escape(reason)}</li>" for row, reason in self.results.failed.items()
        )
        return PAGE.format(
            title=html.escape(f"Study {self.study_dir.name}: {', '.join(self.summary)}"),
            takeaway=html.escape(self.takeaway()),
            caveat=html.escape(self.caveat()),
            table=self._table(),
            failed=f"<h2>Failed</h2><ul>{failed}</ul>" if failed else "",
            charts=charts,
            settings=html.escape(json.dumps(self.settings, indent=2, ensure_ascii=False)),
            plotly=get_plotlyjs(),
            figures=", ".join(f'"{name}": {figure.to_json()}' for name, (_, figure) in pictures.items()),
        )

    def _table(self) -> str:
        """A group of rows a metric, a row an arm: three columns, which a phone can show."""
        head = "".join(f"<th scope='col'>{label}</th>" for label in ("arm", *WHEN.values()))
        groups = []
        for metric, rows in groupby(self.rows().items(), key=lambda item: item[0][0]):
            lines = [f"<tr><th scope='rowgroup' colspan='3'>{html.escape(metric)}</th></tr>"]
            for (_, arm), row in rows:
                cells = (format_estimate(value).replace(", ", ",&nbsp;") for value in row.values())
                numbers = "".join(f"<td>{cell}</td>" for cell in cells)
                lines.append(f"<tr><th scope='row'>{html.escape(arm)}</th>{numbers}</tr>")
            groups.append(f"<tbody>{''.join(lines)}</tbody>")
        return f"<table><thead><tr>{head}</tr></thead>{''.join(groups)}</table>"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
:root {{ --ink: #1a1a1a; --paper: #ffffff; --soft: #595959; --rule: #d0d0d0; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #ececec; --paper: #14161a; --soft: #b0b0b0; --rule: #3a3d44; }}
}}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 1180px; padding: 1rem; }}
h1 {{ font-size: 1.5rem; line-height: 1.2; }}
h2 {{ font-size: 1.15rem; }}
h1, p, li {{ overflow-wrap: anywhere; max-width: 50rem; }}
.soft, figcaption {{ color: var(--soft); }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem clamp(.2rem, 1vw, .7rem); text-align: right; }}
th {{ text-align: left; font-weight: normal; }}
thead th:not(:first-child) {{ text-align: right; }}
th[scope=rowgroup] {{ padding-top: .7rem; font-weight: 600; border-bottom: 1px solid var(--rule); }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 2rem; }}
figure {{ margin: 0; min-width: 0; }}
details {{ margin-top: 2rem; }}
pre {{ overflow-x: auto; font-size: .85rem; }}
</style>
<script>{plotly}</script>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{takeaway}</p>
<p class="soft">{caveat}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Results table">{table}</div>
{failed}
<h2>Pictures</h2>
<div class="charts">{charts}</div>
<details><summary>Settings of this study</summary><pre>{settings}</pre></details>
</main>
<noscript>The pictures need JavaScript; the table above does not.</noscript>
<script>
const figures = {{{figures}}};
const bar = matchMedia("(hover: hover)").matches ? "hover" : false; // on a touch screen it would stay on the title
const ink = () => getComputedStyle(document.body).color;
for (const [name, {{data, layout}}] of Object.entries(figures)) {{
  layout.font.color = ink();
  Plotly.newPlot(name, data, layout, {{displaylogo: false, displayModeBar: bar, responsive: true}});
}}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {{
  for (const name in figures) Plotly.relayout(name, {{"font.color": ink()}});
}});
</script>
</body>
</html>
"""
