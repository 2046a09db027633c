"""The policy: a minimal decoder with Qwen3's architecture, and a sampler with a key-value cache.

RMSNorm, rotary positions (RoPE), grouped-query attention with QK-norm, SwiGLU, tied embeddings, no biases.
Parameters carry the names of transformers' `Qwen3ForCausalLM`, so weights move both ways unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgce_mini.gpt import qwen3
from pgce_mini.gpt.attention import Attend, RMSNormFunction, causal_attention, packed_attention
from pgce_mini.gpt.config import GPTConfig, check_count
from pgce_mini.gpt.generate import Generation, KVCache, sample
from pgce_mini.tasks.base import EOS_ID, PAD_ID


def rotary_tables(config: GPTConfig) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine of every position's angles, (max_position_embeddings, 1, head_dim) each, on the CPU.

    Source: RoFormer (arXiv 2104.09864) Eq. 34, a pair being coordinate i of a head's first and second half.
    """
    size = config.size_of_head
    pairs = torch.arange(0, size, 2, device="cpu").float()
    frequencies = 1.0 / config.rope_theta ** (pairs / size)  # (head_dim / 2,)
    positions = torch.arange(config.max_position_embeddings, device="cpu").float()
    angles = torch.outer(positions, frequencies).unsqueeze(1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of (..., heads, head_dim) by its position's angle; rolling swaps a head's halves."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension (arXiv 1910.07467 Eq. 4)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        out: Tensor = RMSNormFunction.apply(x, self.weight, self.eps)  # type: ignore[no-untyped-call] # in torch
        return out


class Attention(nn.Module):
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

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(..., d) -> queries, keys and values, (..., heads, head_dim), of tokens that have no position yet."""
        heads = (-1, self.head_dim)
        q = self.q_norm(self.q_proj(x).unflatten(-1, heads))
        k = self.k_norm(self.k_proj(x).unflatten(-1, heads))
        return q, k, self.v_proj(x).unflatten(-1, heads)

    def forward(self, qkv: tuple[Tensor, Tensor, Tensor], cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        q, k, v = qkv
        out: Tensor = self.o_proj(attend(self.layer, rotate(q, cos, sin), rotate(k, cos, sin), v).flatten(-2))
        return out


class MLP(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class DecoderLayer(nn.Module):
    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = MLP(config)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.self_attn.project(self.input_layernorm(x))

    def forward(
        self, x: Tensor, qkv: tuple[Tensor, Tensor, Tensor], cos: Tensor, sin: Tensor, attend: Attend
    ) -> Tensor:
        x = x + self.self_attn(qkv, cos, sin, attend)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Decoder(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.cos: Tensor  # (max_position_embeddings, 1, head_dim), as is sin
        self.sin: Tensor

    def first_projections(self) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the first layer, (V, heads, head_dim) each: before all attention they
        depend on the token alone."""
        layer = self.layers[0]
        assert isinstance(layer, DecoderLayer)  # for type checkers
        return layer.project(self.embed_tokens.weight)

    def forward(
        self, ids: Tensor, positions: Tensor, attend: Attend, first: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> Tensor:
        """(...) tokens at (...) positions -> (..., d). Only `attend` mixes tokens, so any layout will do.

        `first` are the `first_projections`, for a caller who has them already.
        """
        if first is None and ids.numel() > self.embed_tokens.num_embeddings:
            first = self.first_projections()
        cos, sin = self.cos[positions], self.sin[positions]  # (..., 1, head_dim)
        x = self.embed_tokens(ids)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)  # for type checkers
            if i == 0 and first is not None:
                q, k, v = (F.embedding(ids, t.flatten(1)).view(*ids.shape, *t.shape[1:]) for t in first)
            else:
                q, k, v = layer.project(x)
            x = layer(x, (q, k, v), cos, sin, attend)
        out: Tensor = self.norm(x)
        return out


class GPT(nn.Module):
    """A decoder-only language model. Weights start normal with std 1 / sqrt(hidden_size), norms at 1: at widths
    of 64 or so that learns the chain sum faster than GPT-2's 0.02, which suits widths near a thousand.

    `generator` (on the CPU) draws the weights; without one they are those of seed 0. The global random state
    is neither read nor moved.
    """

    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with torch.device("meta"):  # torch's own initialisation would draw from the global random state
            self.model = Decoder(config)
            if not config.tie_word_embeddings:
                self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.to_empty(device="cpu")
        generator = generator or torch.Generator().manual_seed(0)
        std = config.hidden_size**-0.5
        for parameter in self.parameters():
            if parameter.dim() == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.normal_(parameter, std=std, generator=generator)
        cos, sin = rotary_tables(config)
        self.model.register_buffer("cos", cos, persistent=False)
        self.model.register_buffer("sin", sin, persistent=False)

    @property
    def unembedding(self) -> Tensor:
        """(V, d): logits = hidden_states @ unembedding.T"""
        return self.model.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of every next token. Rows are right-padded, so that causal attention needs no mask.

        Shapes:
            ids: (B, T) int64 -> (B, T, V)

        Raises:
            ValueError: when ids is not (B, T) or longer than max_position_embeddings.
        """
        return F.linear(self.hidden_states(ids), self.unembedding)

    def hidden_states(self, ids: Tensor, keep: Tensor | None = None) -> Tensor:
        """The states that `unembedding` turns into logits, everywhere or only where it is worth the work.

        With `keep`, all but attention runs on the kept positions alone: `hidden_states(ids, keep)` equals
        `hidden_states(ids)[keep]` and saves the cost of padding.

        Shapes:
            ids: (B, T) int64; keep: (B, T) bool, in each row True first and then False
            -> (B, T, d), or (N, d) for the N kept positions in row-major order

        Raises:
            ValueError: when ids is not (B, T) or longer than max_position_embeddings, or keep does not fit.
        """
        limit, shape = self.config.max_position_embeddings, tuple(ids.shape)
        if len(shape) != 2 or shape[1] > limit:
            raise ValueError(f"ids must be (B, T) with T <= max_position_embeddings ({limit}), got {shape}")
        batch, length = shape
        if keep is None:
            attend: Attend = causal_attention
            positions = torch.arange(length, device=ids.device)
        else:
            if keep.shape != shape or keep.dtype != torch.bool:
                raise ValueError(f"keep must be bool of shape {shape}, got {keep.dtype} {tuple(keep.shape)}")
            if (keep[:, 1:] & ~keep[:, :-1]).any():
                raise ValueError("keep must be True, then False in each row: pad documents on the right")
            kept = keep.flatten().nonzero().squeeze(1)  # (N,)
            ids, positions, attend = ids.flatten()[kept], kept % length, packed_attention(kept, batch, length)
        hidden: Tensor = self.model(ids, positions, attend)
        return hidden

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_completion_length: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        num_generations: int = 1,
        eos_id: int = EOS_ID,
        pad_id: int = PAD_ID,
    ) -> Generation:
        """Sample `num_generations` completions of each prompt, up to EOS or `max_completion_length` tokens.

        Prompts may differ in length; each is read once. Temperature 0 takes the likeliest token. `generator`
        lives on the model's device and is only needed to sample; with its state, the weights and the arguments
        the same, so is the result.

        Raises:
            ValueError: naming the argument, when a value makes no sense or does not fit the model.
        """
        check_count("max_completion_length", max_completion_length)
        check_count("num_generations", num_generations)
        self._check_id("eos_id", eos_id)
        self._check_id("pad_id", pad_id)
        device = self.unembedding.device
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be finite and at least 0, got {temperature!r}")
        if temperature and (generator is None or generator.device.type != device.type):
            raise ValueError(
                f"generator must be a torch.Generator on the model's device ({device.type}) when temperature "
                f"is above 0, got {generator and generator.device.type}"
            )
        self.check_prompts(prompts, max_completion_length)

        batch, groups = len(prompts), num_generations
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)  # (B,)
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(prompt, device=device) for prompt in prompts], batch_first=True, padding_value=pad_id
        )  # (B, prompt_length)
        kv_cache = KVCache(self.config, lengths, groups, max_completion_length, like=self.unembedding)
        most = batch * groups * max_completion_length
        first = self.model.first_projections() if most > self.config.vocab_size else None
        hidden = self.model(ids, torch.arange(ids.shape[1], device=device), kv_cache.read_prompts, first)
        hidden = hidden[torch.arange(batch, device=device), lengths - 1].repeat_interleave(groups, 0)  # (B*G, d)
        position = lengths.repeat_interleave(groups)

        shape = (batch * groups, max_completion_length)
        completions = torch.full(shape, pad_id, device=device)
        logps = torch.zeros(shape, device=device)
        row = torch.arange(batch * groups, device=device)  # which completion each line of the batch writes
        running = torch.ones_like(row, dtype=torch.bool)
        for step in range(max_completion_length):
            token, logp = sample(F.linear(hidden, self.unembedding), temperature, generator)
            completions[:, step].index_copy_(0, row, token)
            logps[:, step].index_copy_(0, row, logp)
            running &= token != eos_id
            left = int(running.sum())
            if left == 0 or step + 1 == max_completion_length:
                break
            if left <= 7 / 8 * len(row):  # dropping what has ended copies the cache: only when it pays
                kept = running.nonzero().squeeze(1)
                kv_cache.select(kept)
                row, token, position, running = (x[kept] for x in (row, token, position, running))
            hidden = self.model(token, position, kv_cache.extend, first)  # (R, d)
            position = position + 1
        completions, logps = completions[:, : step + 1], logps[:, : step + 1]
        ended = completions == eos_id
        mask = ended.cumsum(1) - ended.long() == 0  # True up to and including the first EOS
        return Generation(completions.where(mask, pad_id), mask, logps.where(mask, 0.0))

    def check_prompts(self, prompts: Sequence[Sequence[int]], max_completion_length: int) -> None:
        """
        Raises:
            ValueError: `generate` cannot read the prompts, or has no room for completions of this length.
        """
        if len(prompts) == 0 or min(map(len, prompts)) == 0:
            raise ValueError("prompts must hold at least one prompt, and each at least one token")
        limit, longest = self.config.max_position_embeddings, max(map(len, prompts))
        if longest + max_completion_length > limit:
            raise ValueError(
                f"prompts and completions must fit max_position_embeddings ({limit}): "
                f"got {longest} + max_completion_length {max_completion_length}"
            )
        for token in chain.from_iterable(prompts):
            self._check_id("prompts", token)

    def _check_id(self, name: str, token: int) -> None:
        if not 0 <= token < self.config.vocab_size:
            raise ValueError(f"{name} must be or hold ids in [0, {self.config.vocab_size}), got {token}")

    @classmethod
    def from_qwen3(cls, directory: str | Path, dtype: torch.dtype = torch.float32) -> Self:
        """Load a local transformers directory: config.json and *.safetensors, in one file or sharded.

        Raises:
            ValueError: naming the field of config.json that is missing or asks for what `GPT` has not, or
                saying which weights do not fit.
            FileNotFoundError: when a file is missing.
        """
        directory = Path(directory)
        config = GPTConfig(**qwen3.read_config(directory, [field.name for field in fields(GPTConfig)]))
        model, weights = cls(config).to(dtype), qwen3.read_weights(directory)
        if config.tie_word_embeddings:
            weights.pop("lm_head.weight", None)  # some directories hold the shared matrix twice
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the weights in {directory} do not fit its config.json: {error}") from error
        return model

    def to_qwen3(self, directory: str | Path) -> None:
        """Write config.json and model.safetensors, as `Qwen3ForCausalLM.from_pretrained` reads them.

        Which ids pad and end a text is the task's knowledge: hand them to transformers' `generate`.
        """
        qwen3.write(Path(directory), asdict(self.config), self.state_dict())
