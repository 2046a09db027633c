"""A minimal decoder-only language model with Qwen3's architecture.

RMSNorm, rotary positions (RoPE), grouped-query attention with QK-norm, SwiGLU, no biases. Parameters have the
names of Qwen3's checkpoints, dense or with experts, so that weights move both ways unchanged. Shapes: B
sequences of T tokens, width d, V tokens in the vocabulary; (...) is any layout of positions, such as (B, T).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgce_mini.gpt.attention import Attend, causal_attention, pack
from pgce_mini.gpt.config import GPTConfig
from pgce_mini.gpt.experts import Mixture
from pgce_mini.gpt.first_layer import Projections, TokenMemory, Tokens, tokens_to_look_up
from pgce_mini.gpt.generate import GenerationMixin
from pgce_mini.gpt.memory import check_memory, model_bytes
from pgce_mini.gpt.norm import rms_norm
from pgce_mini.gpt.qwen3 import Qwen3Mixin
from pgce_mini.gpt.rotary import RotaryEmbedding, rotate

Head = Callable[[Tensor, Tensor], Tensor]
"""(hidden states (..., d), unembedding (V, d)) -> what a `GPT` returns"""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension (arXiv 1910.07467 Eq. 4)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """Each position reads softmax(q k^T / sqrt(head_dim)) v of the positions that it may see."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.size_of_head
        query_size = config.num_attention_heads * self.head_dim
        key_value_size = config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, query_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, key_value_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, key_value_size, bias=False)
        self.o_proj = nn.Linear(query_size, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, eps=config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, eps=config.rms_norm_eps)

    def project(self, x: Tensor) -> Projections:
        heads = (-1, self.head_dim)
        q = self.q_norm(self.q_proj(x).unflatten(-1, heads))  # (..., heads, head_dim)
        k = self.k_norm(self.k_proj(x).unflatten(-1, heads))  # (..., key_value_heads, head_dim)
        return q, k, self.v_proj(x).unflatten(-1, heads)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        # `attend` is the formula above over the positions that the caller allows; a KV cache asks for the layer
        q, k = (rotate(x, cos, sin).to(v.dtype) for x in (q, k))  # in fp32 where the weights are in bf16
        read = attend(self.layer, q, k, v)  # (..., heads, head_dim)
        out: Tensor = self.o_proj(read.flatten(-2))
        return out


class MLP(nn.Module):
    """SwiGLU: each position for itself."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


def mlp_of(config: GPTConfig) -> MLP | Mixture:
    """A layer's MLP, or the mixture of experts in its place."""
    if not config.num_experts:
        return MLP(config.hidden_size, config.intermediate_size)
    experts = (MLP(config.hidden_size, config.moe_intermediate_size) for _ in range(config.num_experts))
    return Mixture(config, experts)


class DecoderLayer(nn.Module):
    """Attention, then the MLP; each reads a normalized x and adds its result to x."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = mlp_of(config)

    def project(self, x: Tensor) -> Projections:
        return self.self_attn.project(self.input_layernorm(x))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend, tokens: Tokens | None = None) -> Tensor:
        q, k, v = tokens.look_up(self.project) if tokens else self.project(x)
        x = x + self.self_attn(q, k, v, cos, sin, attend)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Decoder(nn.Module):
    """Token ids in, states out: the embedding, the layers, a last norm."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.rotary_emb = RotaryEmbedding(config)

    def forward(self, ids: Tensor, positions: Tensor, attend: Attend, memory: TokenMemory | None = None) -> Tensor:
        """(...) ids at (...) positions -> (..., d). Only `attend` mixes positions, so any layout will do.

        `memory`: from a caller who calls often with the same weights, the same at each call.
        """
        cos, sin = self.rotary_emb(positions)  # (..., 1, head_dim)
        tokens = tokens_to_look_up(self.embed_tokens, ids, memory)  # for speed: see first_layer; or None
        x = self.embed_tokens(ids)  # (..., d)
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin, attend, tokens if i == 0 else None)
        out: Tensor = self.norm(x)
        return out


class GPT(GenerationMixin, Qwen3Mixin):
    """A decoder and an unembedding: token ids in, logits of every next token out; `generate` samples.

    Matrices start normal with std 1 / sqrt(hidden_size), norms at 1: at widths near 64 that learns the chain sum
    faster than GPT-2's 0.02, which suits widths near a thousand. `generator` (on the CPU, by default of seed 0)
    draws the weights. The global random state is neither read nor moved.

    `device`: of the weights, by default torch's. On "meta" they have no values yet: they come by `to_empty` and
    `load_state_dict`, or by `load_state_dict(..., assign=True)`.

    Raises:
        ValueError: this machine has too little memory for a model of this size.
    """

    model: Decoder

    def __init__(
        self,
        config: GPTConfig,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        device = torch.get_default_device() if device is None else torch.device(device)
        if device.type != "meta":
            wide = "num_experts" if config.num_experts else "intermediate_size"
            check_memory(model_bytes(config), f"hidden_size, num_hidden_layers or {wide}")
        super().__init__()
        self.config = config
        with torch.device("meta"):  # torch's own initialisation would draw from the global random state
            self.model = Decoder(config)
            if not config.tie_word_embeddings:
                self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if device.type == "meta":
            return
        self.to_empty(device="cpu")
        generator = generator or torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            if parameter.dim() == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.normal_(parameter, std=config.hidden_size**-0.5, generator=generator)
        self.to(device)

    @property
    def unembedding(self) -> Tensor:
        """(V, d): logits = hidden_states @ unembedding.T"""
        return self.model.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    def forward(self, ids: Tensor, keep: Tensor | None = None, head: Head = F.linear) -> Tensor:
        """Logits of the next token at every position, (B, T) -> (B, T, V), or only where `keep` is True: (N, V).

        Rows are right-padded: causal attention needs no mask. Arguments and errors are those of `hidden_states`.
        `head(hidden, unembedding)` gives the result. A loss as head, as in `ShapedLM`, is computed within the one
        call that a wrapper such as DDP or FSDP must see.
        """
        return head(self.hidden_states(ids, keep), self.unembedding)

    def hidden_states(self, ids: Tensor, keep: Tensor | None = None) -> Tensor:
        """The states that `unembedding` turns into logits, at every position or only where `keep` is True.

        `hidden_states(ids, keep)` equals `hidden_states(ids)[keep]` and saves the cost of padding: everything but
        attention runs on the kept positions alone.

        Not for training under DDP: what `ddp.module.hidden_states` gives leaves gradients unsynchronised, without
        an error. Call the wrapper, with a `head`.

        Shapes:
            ids: (B, T) int64; keep: (B, T) bool, in each row True first and then False
            -> (B, T, d), or (N, d) for the N kept positions in row-major order

        Raises:
            ValueError: when ids is not (B, T) or longer than max_position_embeddings, or keep does not fit.
        """
        limit, shape = self.config.max_position_embeddings, tuple(ids.shape)
        if len(shape) != 2 or shape[1] > limit:
            raise ValueError(f"ids must be (B, T) with T <= max_position_embeddings ({limit}), got {shape}")
        positions = torch.arange(shape[1], device=ids.device)  # (T,)
        attend: Attend = causal_attention
        if keep is not None:
            ids, positions, attend = pack(ids, keep)  # (N,), (N,)
        return self.decode(ids, positions, attend)

    def decode(self, ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """The decoder's states of any layout of ids; a call of this module's own, which FSDP can be told of."""
        hidden: Tensor = self.model(ids, positions, attend)
        return hidden
