"""`pgce site`: the project as a folder of static pages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from pgce_mini.cli.options import Options


@dataclass(frozen=True)
class Site(Options):
    """Write the site: playground, notebooks, study and reference as static pages, for a host or for a disk.

    When Sphinx warns, of a link that leads nowhere, say, the site is written, but the exit code is 1.
    """

    out: Path = Path("site")  # folder to write; an older site in it is replaced
    quiet: bool = False  # no progress bar

    def run(self) -> None:
        from pgce_mini.site import build_site  # loads every room

        warnings = build_site(self.out, progress=not self.quiet)
        for line in warnings:
            print(f"pgce: {line}", file=sys.stderr)
        page = self.out / "index.html"
        size = sum(file.stat().st_size for file in self.out.rglob("*") if file.is_file())
        self.say(
            f"{page}: open it in a browser; no server, no network, {size / 1e6:.0f} MB",
            {"page": str(page), "bytes": size, "warnings": warnings},
        )
        if warnings:
            raise SystemExit(1)
