"""`pgce`, the command line."""

from pgce_mini.cli.entry import main

__all__ = ["main"]
