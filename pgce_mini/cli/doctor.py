"""What this machine has, what is missing and how to get it: `pgce doctor`, and notebook 00."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from pgce_mini.cli.options import Options
from pgce_mini.installation import __version__, in_clone, install_hint, is_installed

PACKAGES = (
    ("streamlit", "app", "the explorer"),
    ("segno", "app", "the QR code where a class joins"),
    ("jupyterlab", "notebooks", "the notebooks"),
    ("pyarrow", "study", "the tables of studies"),
    ("scipy", "study", "the intervals of studies"),
    ("ray", "scale", "studies on Ray"),
    ("transformers", "hf", "Hugging Face's trainers"),
    ("trl", "trl", "TRL's trainers"),
    ("sphinx", "site", "the site"),
    ("pytest", "test", "the tests"),
)
"""(package, extra that brings it, what it is for)"""
OF_A_CLONE = ("site", "test")  # extras: a wheel holds no tests, and not what the site is made from
BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # that the browser tests find


class Machine(NamedTuple):
    """What `examine` found, by name."""

    has: dict[str, str]  # versions and sizes
    missing: dict[str, str]  # what each is for and how to get it

    def __str__(self) -> str:
        lines = [f"{name:12} {value}" for name, value in self.has.items()]
        lines += [f"{name:12} missing, {how}" for name, how in self.missing.items()]
        lines.append("the rest works without what is missing" if self.missing else "everything is here")
        return "\n".join(lines)


def examine() -> Machine:
    """Looks at this machine and changes nothing; `print` the result to read it."""
    free = shutil.disk_usage(".").free  # bytes
    has = {
        "pgce_mini": f"{__version__}, {'a clone' if in_clone() else 'installed'}",
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "free disk": f"{free / 1e9:.0f} GB here",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "cuda": "yes" if torch.cuda.is_available() else "no (not needed: these models are small)",
        "mps": "yes" if torch.backends.mps.is_available() else "no (not needed)",
    }
    missing = {}
    for package, extra, purpose in PACKAGES:
        if extra in OF_A_CLONE and not in_clone():
            continue
        if is_installed(package):
            has[package] = importlib.metadata.version(package)
        else:
            missing[package] = f"for {purpose}: {install_hint(extra)}"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser:
        has["browser"] = Path(browser).name
    elif in_clone():
        missing["chromium"] = "for the browser tests only: apt install chromium, or your system's package"
    if free < 1e9:
        missing["disk"] = "less than 1 GB is free here: a demo needs about 20 MB, the installation up to 2.6 GB"
    return Machine(has, missing)


@dataclass(frozen=True)
class Doctor(Options):
    """Say what this machine has, what is missing and how to get it."""

    def run(self) -> None:
        machine = examine()
        self.say(str(machine), machine._asdict())
