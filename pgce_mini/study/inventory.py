"""Which studies are specified, and how far each of them is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pgce_mini.paths import expanded
from pgce_mini.study.analysis import ORDER, Evidence
from pgce_mini.study.spec import load_spec
from pgce_mini.study.templates import Spec

STATES = ("complete", "incomplete", "not run yet")


class StudyState(NamedTuple):
    """How far a study is."""

    spec: Spec
    finished: int
    """rows"""
    failed: tuple[str, ...]
    """row: reason"""

    @property
    def state(self) -> str:
        """One of STATES."""
        return STATES[0 if self.finished == len(self.spec.rows) else 1 if self.finished else 2]


def inventory(evidence: Evidence, specs_dir: Path) -> list[StudyState]:
    """Every study that has a specification in `specs_dir`, in the order of the document."""
    specs = {path.stem: load_spec(path, Path("runs")) for path in sorted(expanded(specs_dir).glob("*.toml"))}
    return [
        StudyState(
            specs[name],
            len(evidence.rows(name)),
            tuple(
                f"{row['variant']} {row['arm']}, seed {row['seed']}: {row['error']}".strip()
                for row in evidence.all_rows(name)
                if row["error"] is not None
            ),
        )
        for name in (*ORDER, *(name for name in specs if name not in ORDER))
        if name in specs
    ]
