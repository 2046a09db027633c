"""`pgce evaluate`, `pgce sample` and `pgce compare`: what a model does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from pgce_mini.cli.options import Computing, Options, WithBar
from pgce_mini.evaluation import (
    Evaluation,
    EvaluationConfig,
    evaluate_run,
    load_evaluation,
    metric_of,
    scored_name,
)
from pgce_mini.reports.html import Report
from pgce_mini.runs import Run, load_model
from pgce_mini.study.analysis import as_text, by_metric, differences, heldout_means, labels, summarize
from pgce_mini.study.analysis.compare import check_comparable
from pgce_mini.tasks import Task
from pgce_mini.teaching.reading import draw_samples


@dataclass(frozen=True)
class Evaluate(WithBar):
    """Evaluate finished runs on held-out problems and documents; leaves evaluation.json in each. Of the file of a
    model, such as a prior that came with the package, the result is only printed."""

    runs: Positional[tuple[Path, ...]] = ()  # folders of runs, or files of models
    config: Annotated[OmitArgPrefixes[EvaluationConfig], arg(name="")] = EvaluationConfig()

    def run(self) -> None:
        self.prepare()
        if not self.runs:
            raise ValueError("runs must name at least one folder or model, as in: pgce evaluate runs/prior")
        evaluations = {str(run): evaluate_run(run, self.config, progress=not self.quiet) for run in self.runs}
        lines = [_heldout_line(name, evaluation) for name, evaluation in evaluations.items()]
        samples = {name: e["samples"] for name, e in evaluations.items() if e["samples"] is not None}
        columns = {
            name: summarize([evaluations[name]]) | found.get("scored_at", {}) for name, found in samples.items()
        }
        if columns:
            m, further = self.config.samples, map(scored_name, self.config.scored_at[1:])
            named = labels(m, self.config.ks) | {name: metric_of(f"{name}_before", m)[0].label for name in further}
            lines += ["", "Samples of held-out problems", as_text(by_metric(columns, named))]
        self.say("\n".join(lines), evaluations)


@dataclass(frozen=True)
class Sample(Computing):
    """Print completions of a model with the probability of each token."""

    run_dir: Positional[Path] = Path("runs/prior")  # folder of a finished run, or the file of a model
    prompt: str | None = None
    """text to complete; by default held-out problems of the task (for text: the beginning of a document)"""
    prompts: int = 3  # how many held-out prompts, when no --prompt is given
    samples: int = 4  # completions of each
    max_completion_length: int | None = None  # tokens before a completion is cut off
    temperature: float = 1.0  # 0 takes the likeliest token
    seed: int = 0  # draws the prompts and the completions

    def run(self) -> None:
        self.prepare()
        model, corpus = load_model(self.run_dir)
        samples = draw_samples(
            model, corpus, self.prompt, prompts=self.prompts, samples=self.samples, temperature=self.temperature,
            max_completion_length=self.max_completion_length, seed=self.seed,
        )  # fmt: skip
        lines = []
        for number, sample in enumerate(samples):
            if number % self.samples == 0:
                lines.append(f"\n{sample.prompt!r}")
            if not isinstance(corpus, Task):  # to be read before its tokens are looked at
                lines.append(f"  {sample.completion!r}")
            mark = {None: "", 1.0: "right  "}.get(sample.reward, "wrong  ")
            pairs = zip(sample.tokens, sample.probabilities, strict=True)
            lines.append("  " + mark + " | ".join(f"{_visible(token)} {prob:.2f}" for token, prob in pairs))
        records = [{name: v for name, v in sample._asdict().items() if v is not None} for sample in samples]
        self.say("\n".join(lines).strip(), records)


@dataclass(frozen=True)
class Compare(Options):
    """Compare evaluated runs, the first being the baseline; or show the table of a demo, such as runs/demo."""

    runs: Positional[tuple[Path, ...]] = ()  # folders of evaluated runs, or one folder of a demo

    def run(self) -> None:
        if not self.runs:
            raise ValueError("runs must name folders, as in: pgce compare runs/prior runs/policy")
        for run in self.runs:
            if (run / "rows").is_dir() and not Run(run).config_path.exists():
                raise ValueError(f"{run} is the folder of a study: pgce study SPEC --collect shows its table")
        if len(self.runs) == 1 and not self.runs[0].is_file() and Run(self.runs[0]).config()["kind"] == "study":
            report = Report(self.runs[0])
            self.say(f"{report.as_text()}\n\n{report.takeaway()}\n{report.caveat()}", report.as_json())
            return
        evaluations = {str(run): load_evaluation(run) for run in self.runs}
        first, *others = evaluations
        check_comparable(list(evaluations.values()))
        text = "\n".join(_heldout_line(name, evaluation) for name, evaluation in evaluations.items())
        found: dict[str, dict[str, Any]] = {
            name: {"heldout": heldout_means([evaluation])} for name, evaluation in evaluations.items()
        }
        if evaluations[first]["samples"] is None:
            texts = {load_model(run)[1].fitted_state().get("text") for run in self.runs}
            if len(texts) > 1:
                raise ValueError("runs must be of one text, and the file of these has changed between them")
            self.say(text, found)
            return
        columns = {name: summarize([evaluation]) for name, evaluation in evaluations.items()}
        gaps = {f"{name} - {first}": differences([evaluations[name]], [evaluations[first]]) for name in others}
        shared: dict[str, Any] = evaluations[first]["config"]
        named = labels(shared["samples"], shared["ks"])
        text += f"\n\nSamples of held-out problems\n{as_text(by_metric(columns, named))}"
        if gaps:
            text += f"\n\nDifferences, paired over problems\n{as_text(by_metric(gaps, named))}"
        text += "\n\n95 % bootstrap intervals over problems; they know nothing of other seeds."
        self.say(text, {name: column | found[name] for name, column in columns.items()} | gaps)


def _heldout_line(name: str, evaluation: Evaluation) -> str:
    heldout = evaluation["heldout"]
    loss = "infinite" if heldout["cross_entropy"] is None else f"{heldout['cross_entropy']:.3f}"
    return (
        f"{name}, held-out documents: cross-entropy {loss}, entropy {heldout['entropy']:.3f} nats/token, "
        f"ECE {heldout['ece']:.3f}"
    )


def _visible(token: str) -> str:
    """A token on one line, its spaces to be seen."""
    return repr(token)[1:-1].replace(" ", "␣")
