"""`pgce explore`, `pgce lab` and `pgce playground`: what is opened in a browser."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tyro.extras import literal_type_from_choices

from pgce_mini.checks import check_whole
from pgce_mini.cli.options import Options
from pgce_mini.installation import bundled, check_installed, in_clone, is_installed
from pgce_mini.network import ANY, host_of, network_origin
from pgce_mini.playground import PRESETS, PlaygroundState, preset, to_html
from pgce_mini.reward import Form
from pgce_mini.runs import write_atomic

if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = literal_type_from_choices(PRESETS)

COPIES = Path("pgce-notebooks")


@dataclass(frozen=True)
class Explore(Options):
    """Open the explorer, on this machine only unless --address says otherwise."""

    address: str = "localhost"  # address to listen on
    port: int = 8501  # port to listen on
    base_path: str = ""  # path of its pages on a reverse proxy, such as pgce for https://HOST/pgce
    origin: str = ""
    """where others reach it, such as https://lab.example.org; by default this machine's address on its network"""
    runs_dir: Path = Path("runs")  # folder of the runs that it shows and makes; it reads no others
    training: bool = True  # whether visitors may start trainings: not on a host that strangers reach

    def run(self) -> None:
        check_installed("streamlit", "app")
        check_whole("port", self.port, 1, 65535)
        base_path = self.base_path.strip("/")
        if not re.fullmatch(r"(?:[\w-][\w.-]*(?:/[\w-][\w.-]*)*)?", base_path, re.ASCII):
            raise ValueError(
                f"base-path must be of letters, digits, - _ and . between slashes, as in lab/pgce, "
                f"got {self.base_path!r}"
            )
        if not re.fullmatch(r"[\w.:%-]*", self.address, re.ASCII):
            raise ValueError(
                f"address must be a name or an IP address of this machine, such as 0.0.0.0 for all of them, "
                f"got {self.address!r}"
            )
        if not re.fullmatch(r"(?:https?://(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d+)?/?)?", self.origin, re.ASCII):
            raise ValueError(
                f"origin must be of the form https://HOST or http://HOST:PORT, without a path (give that as "
                f"base-path), got {self.origin!r}"
            )
        others = self.origin.rstrip("/") or network_origin(self.address, self.port)
        page = bundled("app/explorer.py")
        # The library is imported before the server is up, and not by its first visitor.
        serve = "import pgce_mini.figures; from streamlit.web.cli import main; main(prog_name='streamlit')"
        options = ["--server.address", self.address, "--server.port", str(self.port)]
        options += ["--server.baseUrlPath", base_path] if base_path else []
        if others and self.address in ANY:
            # or Streamlit asks the internet for its address
            options += ["--browser.serverAddress", host_of(others)]
        os.environ["PGCE_NETWORK"] = others
        os.environ["PGCE_TRAINING"] = str(int(self.training))
        os.environ["PGCE_RUNS_DIR"] = str(self.runs_dir.resolve())  # before the working directory changes
        if others:
            path = base_path or os.environ.get("STREAMLIT_SERVER_BASE_URL_PATH", "").strip("/")
            self._invite("/".join(filter(None, (others, path, "class"))))
        _hand_over([sys.executable, "-c", serve, "run", str(page), *options], cwd=page.parent)

    def _invite(self, address: str) -> None:
        """Says where a class joins, in a terminal with a QR code."""
        self.say(f"a class joins at  {address}", {"class": address})
        if sys.stdout.isatty() and not self.json and is_installed("segno"):
            import segno

            segno.make(address, error="l", micro=False).terminal(sys.stdout, compact=True)


@dataclass(frozen=True)
class Playground(Options):
    """Write the playground as one HTML file that needs only a browser: to mail, or to project without a server."""

    html: Path = Path("playground.html")  # file to write
    preset: PresetName = "peaked"  # labels that it opens with
    size: int = 8  # tokens that it opens with, up to 50
    beta: float = 0.0  # exponent of 1 - pi(x): below 0 precision, above 0 diversity
    lambda_head: float = 0.0  # reward of a wrong token in the head
    lambda_tail: float = 0.0  # reward of a wrong token in the tail
    top_k: int = 3  # tokens in the head
    form: Form = "product"  # which reading of Eq. 11

    def run(self) -> None:
        state = PlaygroundState(
            self.beta, self.lambda_head, self.lambda_tail, self.top_k, self.form, **preset(self.preset, self.size)
        )
        if self.html.is_dir():
            raise ValueError(f"html must name a file, and {self.html} is a folder")
        page = to_html(state).encode()
        is_stdout = self.html.exists() and os.path.samestat(self.html.stat(), os.fstat(1))
        write_atomic(self.html, page)
        text = f"{self.html}: open it in a browser; no server, no network, {len(page) / 1000:.0f} kB to mail"
        with contextlib.redirect_stdout(sys.stderr if is_stdout else sys.stdout):  # the page alone
            self.say(text, {"html": str(self.html), "bytes": len(page)})


@dataclass(frozen=True)
class Lab(Options):
    """Open the notebooks in JupyterLab: those of the clone, or copies where you are."""

    to: Path | None = None
    """folder for copies, where what is there stays as it is; by default pgce-notebooks, or none in a clone"""
    only_copy: bool = False  # copy them and open nothing

    def run(self) -> None:
        if not self.only_copy:
            check_installed("jupyterlab", "notebooks")
        folder = bundled("notebooks")
        if self.to or self.only_copy or not in_clone():
            folder = self._copy(folder, self.to or COPIES)
        if not self.only_copy:
            _hand_over([sys.executable, "-m", "jupyterlab", str(folder)], cwd=folder)

    def _copy(self, source: Path, to: Path) -> Path:
        """Copies notebooks and badges that `to` lacks, and says so; returns the full path of `to`."""
        if to.exists() and not to.is_dir():
            raise ValueError(f"to must name a folder, and {to} is a file")
        names = [path.relative_to(source) for kind in ("[0-9]*.ipynb", "*/[0-9]*.ipynb", "badges/*.svg")
                 for path in sorted(source.glob(kind))]  # fmt: skip
        new = [name for name in names if not os.path.lexists(to / name)]
        for name in new:
            write_atomic(to / name, (source / name).read_bytes())
        copied, kept = (sum(name.suffix == ".ipynb" for name in group) for group in (new, {*names} - {*new}))
        self.say(
            f"{to}: {copied} notebooks copied, {kept} that were there kept as they are",
            {"folder": str(to), "copied": copied, "kept": kept},
        )
        return to.resolve()


def _hand_over(command: list[str], cwd: Path) -> NoReturn:
    """Becomes a server: its signals and its exit code are then its own."""
    sys.stdout.flush()
    os.chdir(cwd)
    os.execv(command[0], command)
