"""The disk: files, runs that resume, saved models."""

from pgce_mini.runs.files import (
    RunError,
    load_tensors,
    read_json,
    save_tensors,
    sole_owner,
    write_atomic,
    write_json,
)
from pgce_mini.runs.run import Run, config_to_dict, deferred_interrupt, settings_difference, state_tensors
from pgce_mini.runs.saved import check_finished, fingerprint, is_made_from, load_model, save_model

__all__ = [
    "Run", "RunError", "check_finished", "config_to_dict", "deferred_interrupt", "fingerprint", "is_made_from",
    "load_model", "load_tensors", "read_json", "save_model", "save_tensors", "settings_difference", "sole_owner",
    "state_tensors", "write_atomic", "write_json",
]  # fmt: skip
