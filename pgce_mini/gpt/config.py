"""The shape of a `GPT`."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pgce_mini.checks import check_bool, check_number, check_positive, check_whole, plain_numbers

MOST = {
    "rope_theta": 1e12,
    "rms_norm_eps": 1.0,
}  # of the real numbers: more than that wipes out what it is added to
MOST_BALANCING = 1e3  # of the balancing loss: beside more of it the gradient of the task would be rounded away

MIXTURE = (
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "norm_topk_prob",
    "router_aux_loss_coef",
)
"""The fields of a mixture of experts; at their defaults the model is dense."""


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a `GPT`, in the words of transformers' `Qwen3Config` and `Qwen3MoeConfig`.

    With `num_key_value_heads` below `num_attention_heads`, each key and value head serves a group of query heads
    (GQA). `head_dim=None` becomes hidden_size // num_attention_heads.

    With `num_experts` above 0 each layer has so many experts of `moe_intermediate_size` in place of its MLP, and
    each token goes to `num_experts_per_tok` of them, whose weights add up to 1 with `norm_topk_prob`.
    `router_aux_loss_coef` is the weight of the balancing loss in pre-training.

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
    num_experts: int = 0
    num_experts_per_tok: int = 2
    moe_intermediate_size: int = 64
    norm_topk_prob: bool = True
    router_aux_loss_coef: float = 0.001

    def __post_init__(self) -> None:
        plain_numbers(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool":
                check_bool(field.name, value)
            elif field.name == "router_aux_loss_coef":
                check_number(field.name, value, MOST_BALANCING)
            elif field.type == "float":
                check_positive(field.name, value, MOST[field.name])
            elif value is not None or field.name != "head_dim":
                check_whole(field.name, value, 0 if field.name == "num_experts" else 1)
            if not self.num_experts and field.name in MIXTURE and value != field.default:
                raise ValueError(
                    f"{field.name} is of a mixture of experts: set num_experts too, or leave {field.name} out"
                )
        if self.num_experts and self.num_experts_per_tok > self.num_experts:
            raise ValueError(
                f"num_experts_per_tok must be at most num_experts ({self.num_experts}), "
                f"got {self.num_experts_per_tok}"
            )
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
