"""The policy: a minimal decoder with Qwen3's architecture, and a sampler with a key-value cache.

RMSNorm, rotary positions (RoPE), grouped-query attention with QK-norm, SwiGLU, tied embeddings, no biases.
Parameters carry the names of transformers' `Qwen3ForCausalLM`, so weights move both ways unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pgce_mini import qwen3
from pgce_mini.tasks.base import EOS_ID, PAD_ID

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q, k, v) -> what each query reads, shaped as q: how tokens see each other is up to the caller."""

SHORT = 64
"""Tokens up to which two batched products beat torch's fused attention on a CPU, by half at 26 tokens."""


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a `GPT`, in the words of transformers' `Qwen3Config`.

    With `num_key_value_heads` below `num_attention_heads`, query heads share a key and value head in groups
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
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool":
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name} must be True or False, got {value!r}")
            elif field.type == "float":
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                    raise ValueError(f"{field.name} must be a finite number above 0, got {value!r}")
            elif value is not None or field.name != "head_dim":
                _check_count(field.name, value)
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
            raise ValueError(f"head_dim must be even, as RoPE turns pairs, got {self.head_dim}")

    @property
    def size_of_head(self) -> int:
        """`head_dim` once resolved, so that type checkers know it is not None."""
        assert self.head_dim is not None
        return self.head_dim


class Generation(NamedTuple):
    """What `GPT.generate` wrote; L is the length of the longest completion, prompt i owns rows iG .. iG+G-1.

    completions: (B*G, L) int64, PAD after EOS; completion_mask: (B*G, L) bool, True up to and including EOS;
    logps: (B*G, L) float32, log-probability of each token under the distribution it was drawn from,
    softmax(logits / temperature), or softmax(logits) at temperature 0; 0 where masked.
    """

    completions: Tensor
    completion_mask: Tensor
    logps: Tensor


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


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention; queries and result (B, heads, T, head_dim), keys and values (B, key_value_heads, ...)."""
    length, size = q.shape[2:]
    grouped = q.shape[1] != k.shape[1]
    if length > SHORT or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    keys, values = k.flatten(0, 1), v.flatten(0, 1)  # (B * key_value_heads, T, head_dim)
    queries = q.reshape(len(keys), -1, size)  # the query heads of a key head are its rows
    later = q.new_full((length, length), -math.inf).triu(1).repeat(q.shape[1] // k.shape[1], 1)
    scores = torch.baddbmm(later, queries, keys.mT, alpha=size**-0.5)
    return (scores.softmax(-1) @ values).view(q.shape)


def causal_attention(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """An `Attend` over (B, T, heads, head_dim): each position reads itself and what stands before it."""
    return attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def packed_attention(kept: Tensor, batch: int, length: int) -> Attend:
    """An `Attend` for the (N,) kept places of a (B, T) batch: spread out, attend causally, gather again."""

    @cache
    def places(heads: int) -> Tensor:
        """(N * heads,): where each head of a token stands in (B, heads, T)"""
        head = torch.arange(heads, device=kept.device)
        document, position = (kept // length)[:, None], (kept % length)[:, None]  # (N, 1)
        return ((document * heads + head) * length + position).flatten()

    def spread(x: Tensor) -> Tensor:  # (N, heads, head_dim) -> (B, heads, T, head_dim)
        heads, size = x.shape[1:]
        grid = x.new_zeros(batch * heads * length, size)
        return grid.index_copy_(0, places(heads), x.reshape(-1, size)).view(batch, heads, length, size)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads, size = q.shape[1:]
        out = attention(spread(q), spread(k), spread(v))
        return out.reshape(-1, size).index_select(0, places(heads)).view(-1, heads, size)

    return attend


class RMSNormFunction(torch.autograd.Function):
    """The backward pass in closed form: torch's is a chain of small operations on a CPU, 2 to 3 times slower."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()  # (..., 1)
        normed: Tensor = (x * scale).to(x.dtype)
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, scale, weight = ctx.saved_tensors
        product = grad * normed
        mean = (product @ weight).unsqueeze(-1) / len(weight)  # (..., 1)
        grad_x = torch.addcmul(grad * weight, normed, mean, value=-1).mul_(scale)
        return grad_x, product.flatten(0, -2).sum(0), None


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


class KVCache:
    """Keys and values of B prompts, held once, and of the R completions that grow from them.

    Reading a prompt's keys for all its completions in one product is the saving: repeated for every completion
    they would be most of the memory that a step moves (the shared prefix of Hydragen, arXiv 2402.05099).

    prompts: (layers, 2, B, key_value_heads, prompt_length, head_dim), right-padded
    completions: (layers, 2, R, key_value_heads, max_completion_length, head_dim)
    place: (R,) where a completion stands in a (B, most completions of a prompt) grid
    """

    def __init__(self, config: GPTConfig, lengths: Tensor, groups: int, steps: int, like: Tensor) -> None:
        layers, heads, size = config.num_hidden_layers, config.num_key_value_heads, config.size_of_head
        batch, prompt_length = len(lengths), int(lengths.max())
        self.prompts = like.new_empty(layers, 2, batch, heads, prompt_length, size)
        self.completions = like.new_empty(layers, 2, batch * groups, heads, steps, size)
        self.groups, self.place = groups, torch.arange(batch * groups, device=lengths.device)
        self.used = 0  # steps written so far
        padding = torch.arange(prompt_length, device=lengths.device) >= lengths[:, None]
        self.padding = padding[:, None, None] if padding.any() else None  # (B, 1, 1, prompt_length)

    def read_prompts(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An `Attend` over (B, prompt_length, heads, head_dim): causal, as pads come too late to be seen."""
        self.prompts[layer] = torch.stack([k, v]).transpose(2, 3)
        return causal_attention(layer, q, k, v)

    def extend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An `Attend` over (R, heads, head_dim): each row reads its prompt, its own past and itself."""
        if layer == 0:
            self.used += 1
        keys, values = self.completions[layer, :, :, :, : self.used]
        keys[:, :, -1], values[:, :, -1] = k, v
        prompt_keys, prompt_values = self.prompts[layer]
        rows, heads, size = k.shape
        queries = q.view(rows, heads, -1, size) * size**-0.5  # the query heads of a key head are its rows

        on_prompt = self._by_prompt(queries) @ prompt_keys.mT  # (B, heads, groups * queries, prompt_length)
        if self.padding is not None:
            on_prompt.masked_fill_(self.padding, -math.inf)
        on_prompt = self._by_row(on_prompt)
        weights = torch.cat([on_prompt, queries @ keys.mT], -1).softmax(-1)
        on_prompt, on_own = weights.split([prompt_keys.shape[2], self.used], -1)
        out = self._by_row(self._by_prompt(on_prompt) @ prompt_values)  # (R, heads, queries, head_dim)
        if self.used * size < 400:  # where torch's product on a CPU is a plain loop, 2 to 4 times slower
            out += (on_own.unsqueeze(-1) * values.unsqueeze(2)).sum(-2)
        else:
            out += on_own @ values
        return out.view(q.shape)

    def _by_prompt(self, x: Tensor) -> Tensor:
        """(R, H, queries, n) -> (B, H, groups * queries, n): what meets the keys of one prompt stands together."""
        places = self.prompts.shape[2] * self.groups
        full = len(x) == places
        grid = x if full else x.new_zeros(places, *x.shape[1:]).index_copy_(0, self.place, x)
        return grid.view(-1, self.groups, *x.shape[1:]).transpose(1, 2).flatten(2, 3)

    def _by_row(self, x: Tensor) -> Tensor:
        grid = x.view(*x.shape[:2], self.groups, -1, x.shape[-1]).transpose(1, 2).flatten(0, 1)
        return grid if len(grid) == len(self.place) else grid.index_select(0, self.place)

    def select(self, kept: Tensor) -> None:
        """Keep the completions numbered by `kept` (R',), in ascending order."""
        used = self.completions[:, :, kept, :, : self.used]
        self.completions = self.completions[:, :, : len(kept)]
        self.completions[:, :, :, :, : self.used] = used
        prompt = self.place[kept] // self.groups
        counts = prompt.bincount(minlength=self.prompts.shape[2])  # (B,)
        self.groups = int(counts.max())
        first = counts.cumsum(0) - counts
        self.place = prompt * self.groups + torch.arange(len(kept), device=kept.device) - first[prompt]


def sample(logits: Tensor, temperature: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """(R, V) -> tokens and their log-probabilities under softmax(logits / temperature), (R,) each."""
    logps = (logits.float() / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        token = logits.argmax(-1, keepdim=True)  # (R, 1)
    else:  # inverse transform: torch.multinomial draws V numbers for a row instead of one
        cumulative = logps.exp().cumsum(-1)  # (R, V)
        uniform = torch.rand(len(logps), 1, generator=generator, device=logps.device)
        token = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)  # (R, 1)
        token = token.clamp_max_(logps.shape[1] - 1)
    return token.squeeze(1), logps.gather(1, token).squeeze(1)


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
        _check_count("max_completion_length", max_completion_length)
        _check_count("num_generations", num_generations)
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


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
