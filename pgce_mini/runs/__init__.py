"""The disk: files, runs that resume, saved models."""

from pgce_mini.atomic import write_atomic
from pgce_mini.runs.files import (
    RunError,
    load_tensors,
    lock_file,
    read_json,
    save_tensors,
    sole_owner,
    write_json,
)
from pgce_mini.runs.run import Run, config_to_dict, settings_difference, state_tensors
from pgce_mini.runs.saved import (
    check_finished,
    describe_corpus,
    described_corpus,
    fingerprint,
    is_made_from,
    load_model,
    save_model,
)
from pgce_mini.runs.signals import TERMINATED, deferred_interrupt, exit_at_sigterm, handling

__all__ = [
    "TERMINATED", "Run", "RunError", "check_finished", "config_to_dict", "deferred_interrupt", "describe_corpus",
    "described_corpus", "exit_at_sigterm", "fingerprint", "handling", "is_made_from", "load_model", "load_tensors",
    "lock_file", "read_json", "save_model", "save_tensors", "settings_difference", "sole_owner", "state_tensors",
    "write_atomic", "write_json",
]  # fmt: skip
