"""`pgce demo` and `pgce study`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from pgce_mini.cli.options import Arm, Options, check_threads
from pgce_mini.installation import bundled, command_hint
from pgce_mini.reports.html import Report
from pgce_mini.reports.study_document import build
from pgce_mini.runs import RunError, write_atomic
from pgce_mini.shipped import RESULTS
from pgce_mini.study import (
    Shard,
    Spec,
    StudyConfig,
    StudyTable,
    as_lines,
    check_row,
    gather,
    load_spec,
    run_on_ray,
    run_shard,
    run_spec,
    run_study,
)

QUICK_STUDY = Path(__file__).parents[1] / "study" / "quick.toml"
AGAIN = "the same command tries again"
EXPLORER_ADDRESS = "http://localhost:8501"


@dataclass(frozen=True)
class Demo(Options):
    """The main job, in a few minutes: pre-train priors, run RL on each, compare; a table, a report, a summary."""

    study_dir: Path = Path("runs/demo")
    """folder of the results; with the same settings again, what is finished is kept"""
    arms: tuple[Arm, ...] = ("ce", "precision", "diversity")  # arms to compare, the first being the baseline
    top_k: int = 6  # tokens in the head, for tail-penalty and head-reward: these tasks have small vocabularies
    seeds: tuple[int, ...] = (0, 1)  # seeds of each arm
    workers: int = 2  # processes at a time, one thread each
    quiet: bool = False  # no progress bar

    def run(self) -> None:
        check_threads("workers", self.workers)
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
        explore, lab = command_hint("explore"), command_hint("lab")
        text = (
            f"\n{report.as_text()}\n\n{report.takeaway()}\n{report.caveat()}\n\n"
            f"report    {page}\nsummary   {summary}\n"
            f"explorer  `{explore}` opens {EXPLORER_ADDRESS}, `{lab}` the notebooks"
        )
        self.say(text, {**report.as_json(), "report": str(page), "summary": str(summary)})
        if report.results.failed:
            count = len(self.arms) * len(self.seeds)
            raise RunError(_failed(report.results.failed, count, f"{self.study_dir / 'rows'}, in *.error.txt"))


@dataclass(frozen=True)
class Study(Options):
    """Run or continue a study: arms x tasks x seeds as a TOML file says, into one table; or check a row of it."""

    spec: Positional[Path | None] = None  # the TOML file, or the name of a study that is shipped, as chain
    quick: bool = False
    """in place of a file: three arms and two controls on short chain sums, at most 8 minutes on 2 cores"""
    check: str | None = None
    """only run this row again, such as ce/seed0, and say whether its numbers are those of the table; the exit code
    is 1 if they are not"""
    report: Path | None = None
    """in place of running: write the document on the studies that are shipped, study.md and its pictures, from the
    tables in --results, to this folder"""
    engine: Literal["local", "ray"] = "local"  # what runs the rows: processes on this machine, or Ray
    address: str | None = None
    """of a Ray cluster, HOST:PORT or auto; by default RAY_ADDRESS, or a Ray of its own on this machine"""
    shard: str | None = None
    """I/N: only run a part of the study, of N parts numbered 0 to N - 1, without writing the tables. All parts may
    run at the same time, on any machines that share --runs"""
    collect: bool = False  # run nothing: write the tables of the rows that are there, and say what is missing
    runs: Path = Path("runs/studies")  # where the trainings go, a folder a study
    results: Path | None = None
    """where the tables are, NAME.parquet and NAME-curves.parquet; by default runs/studies, and with --report those
    of the package, which --check takes where runs/studies has none"""
    workers: int = 2
    """processes at a time, one thread each; a Ray cluster decides for itself"""
    quiet: bool = False  # no progress bar

    def run(self) -> None:
        self._check_options()
        results = self.results or (RESULTS if self.report else Path("runs/studies"))
        if self.report is not None:
            specs = bundled("studies")
            if not any((results / f"{path.stem}.parquet").exists() for path in specs.glob("*.toml")):
                raise RunError(f"{results} holds no table of a study that is shipped: check --results")
            files = build(results, specs)
            for name, content in files.items():
                write_atomic(self.report / name, content.encode())
            page = str(self.report / "study.md")
            self.say(f"report  {page}", {"report": page})
            return
        if (self.spec is None) != self.quick:
            raise ValueError(
                "spec must name a TOML file or a study that is shipped, as in: pgce study chain; or give --quick"
            )
        check_threads("workers", self.workers)
        path = _file_of(self.spec) if self.spec else QUICK_STUDY
        if self.check is not None:
            if self.results is None and not (results / f"{path.stem}.parquet").exists():
                results = RESULTS
            if not self.json and not self.quiet:
                print(f"running {self.check} again from its seed, in a minute or more", file=sys.stderr)
            differences = check_row(path, self.check, results)
            if differences:
                if self.json:
                    self.say("", {"row": self.check, "same": False, "differences": differences})
                print(
                    f"pgce: {self.check} gives other numbers than the table, in {len(differences)} places, the "
                    f"first: {differences[0]} (to be expected on another machine than the table's: see "
                    "docs/study.md)",
                    file=sys.stderr,
                )
                raise SystemExit(1)  # as diff has it
            self.say(f"{self.check}: the same numbers", {"row": self.check, "same": True})
            return
        spec = load_spec(path, self.runs / path.stem)
        if not self.json:
            print(f"{spec.name}: {len(spec.rows)} rows. {spec.question}", file=sys.stderr)
        if self.shard is not None:
            self._run_shard(spec, results, Shard.named(self.shard))
            return
        if self.collect:
            table = gather(spec, results)
            if not table.rows:
                _check_complete(table, "")  # there is nothing to show
        elif self.engine == "ray":
            table = run_on_ray(spec, results, address=self.address, workers=self.workers, progress=not self.quiet)
        else:
            table = run_spec(spec, results, workers=self.workers, progress=not self.quiet)
        text = "\n".join([*as_lines(table), "", f"table   {table.path}"])
        self.say(text, {"table": str(table.path), "rows": table.rows})
        again = "run the study or its shards to try again" if self.collect else AGAIN
        _check_complete(table, "column error of the table", again)

    def _check_options(self) -> None:
        """Options that do not go together."""
        given = {
            "--check": self.check is not None, "--report": self.report is not None,
            "--shard": self.shard is not None, "--collect": self.collect, "--engine ray": self.engine == "ray",
        }  # fmt: skip
        names = [name for name, there in given.items() if there]
        if len(names) > 1:
            raise ValueError(f"{' and '.join(names)} do not go together: give one of them")
        if self.report is not None and (self.spec or self.quick):
            raise ValueError("report is on all studies that are shipped: leave out spec and quick")
        if self.shard is not None:
            Shard.named(self.shard)
        if self.address is not None and self.engine != "ray":
            raise ValueError("address is that of a Ray cluster: give --engine ray, too, or leave it out")

    def _run_shard(self, spec: Spec, results: Path, shard: Shard) -> None:
        table = run_shard(spec, results, shard, workers=self.workers, progress=not self.quiet)
        done = [row for row in table.rows if row["error"] is None]
        text = f"shard {self.shard}: {len(done)} of {len(table.spec.rows)} rows done; --collect makes the tables"
        self.say(
            text, {"shard": self.shard, "rows": [row.name for row in table.spec.rows], "failed": table.failed}
        )
        _check_complete(table, f"{spec.folder / 'rows'}, in *.error.txt")


def _failed(failed: Mapping[str, str], of: int, reasons: str, again: str = AGAIN) -> str:
    """Which of so many rows failed, and why; reasons: where that of each is; again: what runs them once more."""
    row, why = next(iter(failed.items()))
    if len(failed) == 1:
        return f"{row} failed: {why}; {again}"
    return f"{len(failed)} of {of} rows failed, the first {row}: {why} (each reason is in {reasons}); {again}"


def _check_complete(table: StudyTable, reasons: str, again: str = AGAIN) -> None:
    """reasons, again: as in `_failed`.

    Raises:
        RunError: a row has failed, or is missing.
    """
    problems = []
    if table.failed:
        problems.append(_failed(table.failed, len(table.spec.rows), reasons, again))
    if table.missing:
        count, of = len(table.missing), len(table.spec.rows)
        problems.append(
            f"{count} of {of} rows are missing, the first {table.missing[0]}: run the study or its shards again"
        )
    if problems:
        raise RunError("; ".join(problems))


def _file_of(spec: Path) -> Path:
    """The TOML file that is meant: a path, or the bare name of a study that is shipped.

    Raises:
        ValueError: a bare name that is neither.
    """
    if spec.is_file() or spec.name != str(spec) or spec.suffix:
        return spec
    shipped = {path.stem: path for path in sorted(bundled("studies").glob("*.toml"))}
    if spec.name not in shipped:
        near = difflib.get_close_matches(spec.name, shipped, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise ValueError(f"{spec.name!r} is no file and no shipped study ({', '.join(shipped)}){hint}")
    return shipped[spec.name]
