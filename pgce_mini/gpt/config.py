"""The shape of a `GPT`."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pgce_mini.checks import check_positive, check_whole, plain_numbers

MOST = {
    "rope_theta": 1e12,
    "rms_norm_eps": 1.0,
}  # of the real numbers: more than that wipes out what it is added to


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a `GPT`, in the words of transformers' `Qwen3Config`.

    With `num_key_value_heads` below `num_attention_heads`, each key and value head serves a group of query heads
    (GQA). `head_dim=None` becomes hidden_size // num_attention_heads.

    Raises:
        ValueError: naming the field, when a value makes no sense.
    """

    vocab_size: int
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    head_dim: int | None = None
    intermediate_size: int = 128
    max_position_embeddings: int = 512
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        plain_numbers(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool":
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name} must be True or False, got {value!r}")
            elif field.type == "float":
                check_positive(field.name, value, MOST[field.name])
            elif value is not None or field.name != "head_dim":
                check_whole(field.name, value, 1)
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads must divide num_attention_heads ({self.num_attention_heads}), "
                f"got {self.num_key_value_heads}"
            )
        if self.head_dim is None:
            if self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    f"hidden_size must be a multiple of num_attention_heads ({self.num_attention_heads}) "
                    f"unless head_dim is given, got {self.hidden_size}"
                )
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        if self.size_of_head % 2:
            raise ValueError(f"head_dim must be even, because RoPE rotates pairs, got {self.head_dim}")

    @property
    def size_of_head(self) -> int:
        """`head_dim` after `None` was replaced: an int for type checkers."""
        assert self.head_dim is not None
        return self.head_dim
