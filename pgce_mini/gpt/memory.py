"""The least memory that a model and its work need: what is too large is refused before anything is allocated."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from pgce_mini.gpt.config import GPTConfig

FLOAT = 4  # bytes
TRAINED = 4 * FLOAT  # of a parameter: weight, gradient and two moments
LAYER = 10_000  # of a layer's Python objects, at least
EXPERT = 8_000  # of an expert's
CGROUP = Path("/sys/fs/cgroup")  # (version 2) which limits a container


def parameter_count(config: GPTConfig) -> int:
    """Parameters of a `GPT`."""
    width, head = config.hidden_size, config.size_of_head
    attention = 2 * width * head * (config.num_attention_heads + config.num_key_value_heads) + 2 * head
    mlp = 3 * width * config.intermediate_size
    if config.num_experts:
        mlp = config.num_experts * 3 * width * config.moe_intermediate_size + width * config.num_experts
    layer = attention + mlp + 2 * width
    embeddings = config.vocab_size * width * (1 if config.tie_word_embeddings else 2)
    return embeddings + config.num_hidden_layers * layer + width


def model_bytes(config: GPTConfig, per_parameter: int = FLOAT) -> int:
    """Of the weights, with what a training adds to them, and of the positions' tables while they are made."""
    tables = 4 * FLOAT * config.max_position_embeddings * config.size_of_head
    objects = config.num_hidden_layers * (LAYER + config.num_experts * EXPERT)
    return per_parameter * parameter_count(config) + objects + tables


def generation_bytes(config: GPTConfig, rows: int, length: int) -> int:
    """Of `rows` completions of up to `length` tokens that are sampled together: logits and their probabilities,
    tokens with their log-probabilities, and the cache of keys and values."""
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * config.size_of_head
    return rows * (2 * FLOAT * config.vocab_size + length * (8 + FLOAT + FLOAT * cache))


def documents_bytes(documents: int, length: int) -> int:
    """Of documents of up to `length` tokens, on average at least half as long, as lists, and of four numbers for
    each of their tokens, which are joined and then made double."""
    return documents * (64 + length // 2 * (8 + 4 * (FLOAT + FLOAT + 8)))


def check_memory(needed: int, smaller: str) -> None:
    """`needed` bytes, and the settings that may be `smaller`.

    Raises:
        ValueError: this machine does not have them.
    """
    have = machine_bytes()
    if needed > have:
        raise ValueError(
            f"that needs at least {min(needed, 10**30) // 10**9:,} GB of memory, and this machine has "
            f"{have // 10**9} GB: choose a smaller {smaller}"
        )


def machine_bytes() -> int:
    """The memory of this machine, or of the container that this is, and its swap space, whoever uses them."""
    swap = 0
    with contextlib.suppress(OSError):  # not Linux
        found = re.search(r"SwapTotal: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
        swap = 1024 * int(found[1]) if found else 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _limited(memory, "memory.max") + _limited(swap, "memory.swap.max")


def _limited(size: int, name: str) -> int:
    """`size` bytes, or the limit of a container where that is less."""
    with contextlib.suppress(OSError, ValueError):  # there is none, or it is "max"
        return min(size, int((CGROUP / name).read_text(encoding="ascii")))
    return size
