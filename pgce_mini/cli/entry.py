"""`pgce`: every step from the command line; options are the fields of the library's own settings.

Whatever goes wrong on the user's side is told on stderr, a wrong value in one sentence, with exit code 2; Ctrl-C
is 130, and a training goes on from the last saved step. PGCE_DEBUG=1 shows the whole trace.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import torch
import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg

from pgce_mini.checks import check_seed
from pgce_mini.cli import doctor
from pgce_mini.evaluation import EvaluationConfig, evaluate_run, load_evaluation
from pgce_mini.playground import PlaygroundState, preset, to_html
from pgce_mini.reports.html import Report
from pgce_mini.reports.study_document import build
from pgce_mini.reward import PAPER_ARMS, Form
from pgce_mini.runs import Run, RunError, load_model, write_atomic
from pgce_mini.shipped import RESULTS, policies, priors
from pgce_mini.study import StudyConfig, as_lines, check_row, load_spec, run_spec, run_study
from pgce_mini.study.analysis import as_text, by_metric, differences, labels, summarize
from pgce_mini.tasks import Task
from pgce_mini.training import GRPOConfig, PretrainConfig, pretrain, train_grpo

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent  # of the repository: app and notebooks are not in the package
QUICK_STUDY = PACKAGE / "study" / "quick.toml"
EXPLORER_ADDRESS = "http://localhost:8501"

OUT_OF_MEMORY = ("allocate memory", "out of memory", "verflow")
"""How torch says it: on a CPU, on a GPU, and when the size alone is more than a number may be."""

Arm = Literal["ce", "precision", "diversity", "tail-penalty", "head-reward"]


@dataclass(frozen=True)
class Options:
    """Options of every command."""

    json: bool = False
    """print the result as JSON on stdout, for scripts"""

    def say(self, text: str, result: Any) -> None:
        """Prints `result` as JSON with --json, `text` without."""
        print(json.dumps(result, indent=2) if self.json else text)


@dataclass(frozen=True)
class Computing(Options):
    """Options of commands that compute."""

    threads: int = 1
    """threads of torch; one is fastest for small models, and the last digits of results depend on it"""
    quiet: bool = False
    """no progress bar"""
    stop_with_stdin: bool = False
    """take the end of stdin for Ctrl-C, so that a program which starts this one takes it along when it ends"""

    def prepare(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")
        torch.set_num_threads(self.threads)
        if self.stop_with_stdin:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a child in the background inherits none
            threading.Thread(target=_stop_with_stdin, daemon=True).start()


@dataclass(frozen=True)
class Demo(Options):
    """The main job, in a few minutes: pre-train priors, run RL on each, compare; a table, a report, a summary."""

    study_dir: Path = Path("runs/demo")
    """folder of the results; with the same settings again, what is finished is kept"""
    arms: tuple[Arm, ...] = ("ce", "precision", "diversity")
    """arms to compare, the first being the baseline"""
    top_k: int = 6
    """tokens in the head, for tail-penalty and head-reward: these tasks have small vocabularies"""
    seeds: tuple[int, ...] = (0, 1)
    """seeds of each arm"""
    workers: int = 2
    """processes at a time, one thread each"""
    quiet: bool = False
    """no progress bar"""

    def run(self) -> None:
        config = StudyConfig(self.study_dir, self.arms, top_k=self.top_k, seeds=self.seeds, workers=self.workers)
        if not self.json:
            print(
                f"Chain sums: {len(self.arms)} arms ({', '.join(self.arms)}) x {len(self.seeds)} seeds, each\n"
                f"pre-trained for {config.pretrain.steps} steps, evaluated, trained by GRPO for {config.rl.steps} "
                "steps and evaluated again.\nInterrupt it when you like: the same command goes on.",
                file=sys.stderr,
            )
        run_study(config, progress=not self.quiet)
        report = Report(self.study_dir)
        summary, page = report.write()
        text = (
            f"\n{report.as_text()}\n\n{report.takeaway()}\n{report.caveat()}\n\n"
            f"report    {page}\nsummary   {summary}\n"
            f"explorer  `make explore` opens {EXPLORER_ADDRESS}, `make lab` the notebooks"
        )
        self.say(text, {**report.as_json(), "report": str(page), "summary": str(summary)})
        if report.results.failed:
            raise RunError("; ".join(f"{cell} failed: {why}" for cell, why in report.results.failed.items()))


@dataclass(frozen=True)
class Study(Options):
    """Run or continue a study: arms x tasks x seeds as a TOML file says, into one table; or check a row of it."""

    spec: Positional[Path | None] = None
    """the TOML file; see studies/ and pgce_mini/study/spec.py"""
    quick: bool = False
    """in place of a file: three arms and two controls on short chain sums, at most 8 minutes on 2 cores"""
    check: str | None = None
    """only run this row again, such as ce/seed0, and say whether its numbers are those of the table"""
    report: Path | None = None
    """in place of running: write study.md and its pictures, from the tables in --results, to this folder"""
    runs: Path = Path("runs/studies")
    """where the trainings go, a folder a study"""
    results: Path | None = None
    """where the tables are, NAME.parquet and NAME-curves.parquet; by default runs/studies, and with --report those
    of the package"""
    workers: int = 2
    """processes at a time, one thread each"""
    quiet: bool = False
    """no progress bar"""

    def run(self) -> None:
        results = self.results or (RESULTS if self.report else Path("runs/studies"))
        if self.report is not None:
            if not any(results.glob("*.parquet")):
                raise RunError(f"{results} holds no table of a study: check --results")
            files = build(results, _repository_path("studies"))
            for name, content in files.items():
                write_atomic(self.report / name, content.encode())
            page = str(self.report / "study.md")
            self.say(f"report  {page}", {"report": page})
            return
        if (self.spec is None) != self.quick:
            raise ValueError("spec must name a TOML file, as in: pgce study studies/chain.toml; or give --quick")
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        path = self.spec or QUICK_STUDY
        if self.check is not None:
            differences = check_row(path, self.check, results)
            if differences:
                if self.json:
                    self.say("", {"row": self.check, "same": False, "differences": differences})
                raise RunError(
                    f"{self.check} gives other numbers than the table, in {len(differences)} places, the first: "
                    f"{differences[0]} (to be expected on another machine than the table's: see docs/study.md)"
                )
            self.say(f"{self.check}: the same numbers", {"row": self.check, "same": True})
            return
        spec = load_spec(path, self.runs / path.stem)
        if not self.json:
            print(f"{spec.name}: {len(spec.rows)} rows. {spec.question}", file=sys.stderr)
        table = run_spec(spec, results, workers=self.workers, progress=not self.quiet)
        text = "\n".join([*as_lines(table), "", f"table   {table.path}"])
        self.say(text, {"table": str(table.path), "rows": table.rows})
        if table.failed:
            raise RunError("; ".join(f"{row} failed: {why}" for row, why in table.failed.items()))


@dataclass(frozen=True)
class Pretrain(Computing):
    """Pre-train a model with the shaped loss, or go on from an earlier prior (--init-from)."""

    arm: Arm | None = None
    """arm of the paper to start from; --beta, --lambda-head, --lambda-tail, --top-k, --form change its values"""
    config: Annotated[OmitArgPrefixes[PretrainConfig], arg(name="")] = PretrainConfig()

    def run(self) -> None:
        self.prepare()
        run = pretrain(self.config, progress=not self.quiet)
        last = _last_step(run)
        text = (
            f"{run.path}: held-out cross-entropy {last['heldout_cross_entropy']:.3f}, "
            f"entropy {last['heldout_entropy']:.3f} nats/token after {last['step']} steps\n"
            f"next: pgce evaluate {run.path}, pgce sample {run.path}"
        )
        if isinstance(self.config.corpus, Task):
            text += f", pgce rl --prior {run.path}"
        self.say(text, {"run": str(run.path), **last})


@dataclass(frozen=True)
class BuildPriors(Computing):
    """Make the priors anew that come with the package: every task, every arm; interrupted, the command goes on."""

    folder: Path = priors.FOLDER
    """where the files go, by default in the place of those that came with the package"""
    runs_dir: Path = priors.RUNS
    """where the trainings run; what is finished there is not run again"""
    tasks: tuple[Literal["chain-sum", "countdown", "text"], ...] = ("chain-sum", "countdown", "text")
    """tasks to build"""
    arms: tuple[Arm, ...] = ("ce", "precision", "diversity", "tail-penalty", "head-reward")
    """arms to build"""

    def run(self) -> None:
        self.prepare()
        manifest = priors.build(self.folder, self.runs_dir, self.tasks, self.arms, progress=not self.quiet)
        lines = [
            f"{name:24} held-out cross-entropy {prior['heldout']['cross_entropy']:.4f}, "
            f"entropy {prior['heldout']['entropy']:.4f} nats/token"
            for name, prior in manifest["priors"].items()
        ]
        self.say("\n".join([*lines, f"in {self.folder}"]), manifest)


@dataclass(frozen=True)
class BuildPolicies(Computing):
    """Make the policies anew that come with the package, from its priors; interrupted, the command goes on."""

    folder: Path = policies.FOLDER
    """where the files go, by default in the place of those that came with the package"""
    runs_dir: Path = policies.RUNS
    """where the trainings run; what is finished there is not run again"""
    tasks: tuple[Literal["chain-sum", "countdown"], ...] = ("chain-sum", "countdown")
    """tasks to build"""
    arms: tuple[Arm, ...] = ("ce", "precision", "diversity", "tail-penalty", "head-reward")
    """arms to build"""

    def run(self) -> None:
        self.prepare()
        manifest = policies.build(self.folder, self.runs_dir, self.tasks, self.arms, progress=not self.quiet)
        lines = [
            f"{name:24} Avg@{policies.EVALUATION.samples} {policy['before']['avg_at_m']:.3f} before RL, "
            f"{policy['after']['avg_at_m']:.3f} after"
            for name, policy in manifest["policies"].items()
        ]
        self.say("\n".join([*lines, f"in {self.folder}"]), manifest)


@dataclass(frozen=True)
class RL(Computing):
    """Train a prior further with GRPO on its task's verifier."""

    config: Annotated[OmitArgPrefixes[GRPOConfig], arg(name="")] = GRPOConfig()

    def run(self) -> None:
        self.prepare()
        run = train_grpo(self.config, progress=not self.quiet)
        last = _last_step(run)
        text = (
            f"{run.path}: reward {last['reward']:.3f}, mean length {last['completions/mean_length']:.1f} tokens "
            f"after {last['step']} steps\nnext: pgce evaluate {run.path}, pgce sample {run.path}"
        )
        self.say(text, {"run": str(run.path), **last})


@dataclass(frozen=True)
class Evaluate(Computing):
    """Evaluate finished runs on held-out problems and documents; leaves evaluation.json in each. Of the file of a
    model, such as a prior that came with the package, the result is only printed."""

    runs: Positional[tuple[Path, ...]] = ()
    """folders of runs, or files of models"""
    config: Annotated[OmitArgPrefixes[EvaluationConfig], arg(name="")] = EvaluationConfig()

    def run(self) -> None:
        self.prepare()
        if not self.runs:
            raise ValueError("runs must name at least one folder or model, as in: pgce evaluate runs/prior")
        evaluations = {str(run): evaluate_run(run, self.config, progress=not self.quiet) for run in self.runs}
        lines = []
        for name, evaluation in evaluations.items():
            heldout = evaluation["heldout"]
            loss = heldout["cross_entropy"]
            lines.append(
                f"{name}, held-out documents: cross-entropy {'infinite' if loss is None else f'{loss:.3f}'}, "
                f"entropy {heldout['entropy']:.3f} nats/token, ECE {heldout['ece']:.3f}"
            )
        judged = {name: e for name, e in evaluations.items() if e["samples"] is not None}
        if judged:
            columns = {name: summarize([evaluation]) for name, evaluation in judged.items()}
            lines += [
                "",
                "Samples of held-out problems",
                as_text(by_metric(columns, labels(self.config.samples, self.config.ks))),
            ]
        self.say("\n".join(lines), evaluations)


@dataclass(frozen=True)
class Sample(Computing):
    """Print completions of a model with the probability of each token."""

    run_dir: Positional[Path] = Path("runs/prior")
    """folder of a finished run"""
    prompt: str | None = None
    """text to complete; by default held-out problems of the task (for text: the beginning of a document)"""
    prompts: int = 3
    """how many held-out prompts, when no --prompt is given"""
    samples: int = 4
    """completions of each"""
    max_completion_length: int | None = None
    """tokens before a completion is cut off"""
    temperature: float = 1.0
    """0 takes the likeliest token"""
    seed: int = 0
    """draws the prompts and the completions"""

    def run(self) -> None:
        self.prepare()
        check_seed(self.seed)
        model, corpus = load_model(self.run_dir)
        problems = []
        if self.prompt is not None:
            asked = [corpus.encode(self.prompt)]
            if not asked[0]:
                raise ValueError("prompt must hold at least one token")
        elif isinstance(corpus, Task):
            problems = [corpus.problem(self.seed, i, "heldout") for i in range(self.prompts)]
            asked = [list(problem.prompt) for problem in problems]
        else:
            asked = [corpus.document(self.seed, i, "heldout")[:16] for i in range(self.prompts)]
        length = self.max_completion_length
        if length is None:
            length = corpus.max_completion_length if isinstance(corpus, Task) else 64
        generation = model.generate(
            asked,
            length,
            temperature=self.temperature,
            generator=torch.Generator().manual_seed(self.seed),
            num_generations=self.samples,
        )
        lines, records = [], []
        for row, mask in enumerate(generation.completion_mask):
            prompt = row // self.samples
            ids = generation.completions[row][mask].tolist()
            probs = generation.logps[row][mask].exp().tolist()
            record: dict[str, Any] = {
                "prompt": corpus.decode(asked[prompt]),
                "completion": corpus.decode(ids),
                "tokens": [corpus.vocab[token] for token in ids],
                "probabilities": probs,
            }
            if problems and isinstance(corpus, Task):
                record["reward"] = corpus.reward(problems[prompt], ids)
            records.append(record)
            if row % self.samples == 0:
                lines.append(f"\n{record['prompt']!r}")
            mark = {None: "", 1.0: "right  "}.get(record.get("reward"), "wrong  ")
            if not isinstance(corpus, Task):  # to be read before its tokens are looked at
                lines.append(f"  {record['completion']!r}")
            tokens = (f"{_visible(t)} {p:.2f}" for t, p in zip(record["tokens"], probs, strict=True))
            lines.append("  " + mark + " | ".join(tokens))
        self.say("\n".join(lines).strip(), records)


@dataclass(frozen=True)
class Compare(Options):
    """Compare evaluated runs, the first being the baseline; or show the table of one study, such as runs/demo."""

    runs: Positional[tuple[Path, ...]] = ()
    """folders of evaluated runs, or one folder of a study"""

    def run(self) -> None:
        if not self.runs:
            raise ValueError("runs must name folders, as in: pgce compare runs/prior runs/policy")
        if len(self.runs) == 1 and not self.runs[0].is_file() and Run(self.runs[0]).config()["kind"] == "study":
            report = Report(self.runs[0])
            self.say(f"{report.as_text()}\n\n{report.takeaway()}\n{report.caveat()}", report.as_json())
            return
        evaluations = {str(run): load_evaluation(run) for run in self.runs}
        first, *others = evaluations
        summarize(list(evaluations.values()))  # refuses evaluations with different settings
        columns = {name: summarize([evaluation]) for name, evaluation in evaluations.items()}
        gaps = {f"{name} - {first}": differences([evaluations[name]], [evaluations[first]]) for name in others}
        shared: dict[str, Any] = evaluations[first]["config"]
        named = labels(shared["samples"], shared["ks"])
        text = as_text(by_metric(columns, named))
        if gaps:
            text += f"\n\nDifferences, paired over problems\n{as_text(by_metric(gaps, named))}"
        self.say(
            text + "\n\n95 % bootstrap intervals over problems; they know nothing of other seeds.", columns | gaps
        )


@dataclass(frozen=True)
class Explore(Options):
    """Open the explorer, on this machine only unless --address says otherwise."""

    address: str = "localhost"
    """address to listen on"""
    port: int = 8501
    """port to listen on"""
    runs_dir: Path = Path("runs")
    """folder of the runs that it shows and makes; it reads no others"""

    def run(self) -> None:
        _need("streamlit", "app")
        page = _repository_path("app/explorer.py")
        # The library is imported before the server is up, and not by its first visitor.
        serve = "import pgce_mini.figures; from streamlit.web.cli import main; main(prog_name='streamlit')"
        options = ["--server.address", self.address, "--server.port", str(self.port)]
        os.environ["PGCE_RUNS_DIR"] = str(self.runs_dir.resolve())  # before the working directory changes
        _hand_over([sys.executable, "-c", serve, "run", str(page), *options], cwd=page.parent)


@dataclass(frozen=True)
class Playground(Options):
    """Write the playground as one HTML file that needs only a browser: to mail, or to project without a server."""

    html: Path = Path("playground.html")
    """file to write"""
    preset: Literal["peaked", "two-way tie", "flat"] = "peaked"
    """labels that it opens with"""
    size: int = 8
    """tokens that it opens with, up to 50"""
    beta: float = 0.0
    """exponent of 1 - pi(x): below 0 precision, above 0 diversity"""
    lambda_head: float = 0.0
    """reward of a wrong token in the head"""
    lambda_tail: float = 0.0
    """reward of a wrong token in the tail"""
    top_k: int = 3
    """tokens in the head"""
    form: Form = "product"
    """which reading of Eq. 11"""

    def run(self) -> None:
        state = PlaygroundState(
            self.beta, self.lambda_head, self.lambda_tail, self.top_k, self.form, **preset(self.preset, self.size)
        )
        if self.html.is_dir():
            raise ValueError(f"html must name a file, and {self.html} is a folder")
        page = to_html(state).encode()
        self.html.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.html, page)
        text = f"{self.html}: open it in a browser; no server, no network, {len(page) / 1000:.0f} kB to mail"
        self.say(text, {"html": str(self.html), "bytes": len(page)})


@dataclass(frozen=True)
class Lab(Options):
    """Open the notebooks in JupyterLab."""

    def run(self) -> None:
        _need("jupyterlab", "notebooks")
        folder = _repository_path("notebooks")
        _hand_over([sys.executable, "-m", "jupyterlab", str(folder)], cwd=folder)


@dataclass(frozen=True)
class Doctor(Options):
    """Say what this machine has, what is missing and how to get it."""

    def run(self) -> None:
        machine = doctor.examine()
        self.say(str(machine), machine._asdict())


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "study": Study,
    "pretrain": Pretrain,
    "build-priors": BuildPriors,
    "build-policies": BuildPolicies,
    "rl": RL,
    "evaluate": Evaluate,
    "sample": Sample,
    "compare": Compare,
    "explore": Explore,
    "playground": Playground,
    "lab": Lab,
    "doctor": Doctor,
}


SAVING = (Demo, Study, Pretrain, BuildPriors, BuildPolicies, RL)
"""Commands that go on where they were stopped."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 0, with 2 after a user's error, or with 130 after Ctrl-C."""
    command: Any = None
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS, args=words, prog="pgce", description=(__doc__ or "").strip()
        )
        if isinstance(command, Pretrain) and command.arm is not None:  # once more, from the values of the arm
            default = Pretrain(config=PretrainConfig(shaping=PAPER_ARMS[command.arm]))
            command = tyro.cli(Pretrain, args=words[1:], default=default, prog="pgce pretrain")
        command.run()
    except KeyboardInterrupt:
        only_reads = isinstance(command, Study) and (command.check or command.report)
        saves = isinstance(command, SAVING) and not only_reads
        _leave("stopped; the same command goes on from the last saved step" if saves else "stopped", 130)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (RunError, ValueError, FloatingPointError) as error:
        _leave(str(error), 2)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _leave("the disk is full: free some space, then the same command goes on from the last saved step", 2)
        _leave(f"{error.filename or 'a file'}: {error.strerror}", 2)
    except (MemoryError, RuntimeError, TypeError) as error:
        if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise  # a fault of ours, whose trace we want
        _leave(
            "the memory of this machine is too small for that: ask for a smaller model, smaller batches, fewer "
            "samples or fewer prompts",
            2,
        )


def _stop_with_stdin() -> None:
    while os.read(0, 4096):  # to its end, which comes when the other side closes it, or dies
        pass
    os.kill(os.getpid(), signal.SIGINT)


def _leave(sentence: str, code: int) -> None:
    if os.environ.get("PGCE_DEBUG"):
        raise
    print(f"pgce: {sentence}", file=sys.stderr)
    raise SystemExit(code)


def _last_step(run: Run) -> dict[str, Any]:
    """The last line of a finished run's metrics.

    Raises:
        RunError: they are gone.
    """
    rows = run.metrics()
    if not rows:
        raise RunError(
            f"{run.metrics_path} is missing or empty: restore a copy; the model beside it is finished and whole"
        )
    return rows[-1]


def _visible(token: str) -> str:
    """A token on one line, its spaces to be seen."""
    return repr(token)[1:-1].replace(" ", "␣")


def _repository_path(relative: str) -> Path:
    path = ROOT / relative
    if not path.exists():
        raise ValueError(
            f"{path} is not there: it comes with the repository, so clone it and run pip install -e ."
        )
    return path


def _need(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ValueError(f'{package} is not installed: pip install -c constraints.txt -e ".[{extra}]"')


def _hand_over(command: list[str], cwd: Path) -> NoReturn:
    """Becomes a server: its signals and its exit code are then its own."""
    os.chdir(cwd)
    os.execv(command[0], command)
