"""A minimal Qwen3-style GPT: read `model`, then what makes it fast (`attention`) and what samples (`generate`)."""

from pgce_mini.gpt.attention import (
    Attend,
    RMSNormFunction,
    attention,
    causal_attention,
    shared_prompt_attention,
    spread,
)
from pgce_mini.gpt.config import GPTConfig
from pgce_mini.gpt.generate import KVCache, sample, written
from pgce_mini.gpt.model import GPT, rotate

__all__ = [
    "GPT",
    "Attend",
    "GPTConfig",
    "KVCache",
    "RMSNormFunction",
    "attention",
    "causal_attention",
    "rotate",
    "sample",
    "shared_prompt_attention",
    "spread",
    "written",
]
