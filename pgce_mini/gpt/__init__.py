"""A minimal Qwen3-style GPT: read `model` first, then what makes it fast (`attention`, `norm`, `first_layer`) and
what samples (`generate`, `cache`)."""

from pgce_mini.gpt.attention import (
    Attend,
    causal_attention,
    dot_product_attention,
    shared_prompt_attention,
    spread,
)
from pgce_mini.gpt.cache import KVCache
from pgce_mini.gpt.config import GPTConfig
from pgce_mini.gpt.generate import Draws, Generation, written
from pgce_mini.gpt.model import GPT
from pgce_mini.gpt.rotary import rotate

__all__ = [
    "GPT",
    "Attend",
    "Draws",
    "GPTConfig",
    "Generation",
    "KVCache",
    "causal_attention",
    "dot_product_attention",
    "rotate",
    "shared_prompt_attention",
    "spread",
    "written",
]
