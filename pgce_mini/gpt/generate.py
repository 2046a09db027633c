"""Generation: sampling with a key-value cache (`cache`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgce_mini.checks import as_index, check_temperature, check_whole
from pgce_mini.gpt.cache import KVCache
from pgce_mini.gpt.config import GPTConfig
from pgce_mini.gpt.first_layer import TokenMemory
from pgce_mini.tasks import EOS_ID, PAD_ID


class Generation(NamedTuple):
    """What `GPT.generate` returns: n completions for each of B prompts; prompt i has the rows i*n .. i*n + n - 1.

    L is the length of the longest completion.
    completions: (B*n, L) int64, PAD after EOS; completion_mask: (B*n, L) bool, True up to and including EOS;
    logps: (B*n, L) float32, log-probability of each token under the distribution it was drawn from,
    softmax(logits / temperature), or softmax(logits) at temperature 0; 0 where masked.
    """

    completions: Tensor
    completion_mask: Tensor
    logps: Tensor


class Draws:
    """The uniform numbers of a batch's completions. Where several processes sample a batch, each draws the numbers
    of all rows and takes its own, so that a completion is the one that a single process samples.

    `generator` is in the same state in all; `counts` gives the numbers that the processes bring, this one's at
    `rank`.
    """

    def __init__(
        self,
        generator: torch.Generator | None,
        counts: Callable[[int], list[int]] = lambda own: [own],
        rank: int = 0,
    ) -> None:
        self.generator, self.counts, self.rank = generator, counts, rank

    def begin(self, rows: int) -> None:
        """A batch, of which this process has so many rows."""
        self.rows = self.counts(rows)  # of each process

    def uniform(self) -> Tensor:
        """(R, 1) in [0, 1), for the R rows of this process"""
        assert self.generator is not None
        rows, device = sum(self.rows), self.generator.device
        numbers = torch.rand(rows, 1, generator=self.generator, device=device, dtype=torch.float32)
        first = sum(self.rows[: self.rank])
        return numbers[first : first + self.rows[self.rank]]

    def running(self, own: int) -> int:
        """How many rows have not ended, in all processes."""
        self.left = self.counts(own)
        return sum(self.left)

    def drops(self) -> bool:
        """Whether the rows that have ended are dropped now: that copies the cache, so only when it pays."""
        if sum(self.left) > 7 / 8 * sum(self.rows):
            return False
        self.rows = self.left
        return True

    def sit_out(self, tokens: int) -> None:
        """Draws on with the others, for up to so many tokens, when the rows of this process have all ended."""
        for _ in range(tokens):
            self.uniform()
            if self.running(0) == 0:
                return
            self.drops()


def written(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """The tokens of each row where the mask is True, without padding."""
    return [row[:length] for row, length in zip(ids.tolist(), mask.sum(1).tolist(), strict=True)]


class GenerationMixin(nn.Module):
    """`generate`, for a model of a config, a decoder and an unembedding."""

    config: GPTConfig
    model: Any  # the decoder: (ids, positions, attend, memory) -> states
    eos_ids: tuple[int, ...] | None = None  # that end a text and
    pad_id: int | None = None  # that pads it, in a checkpoint of transformers; None: as in the tasks

    @property
    @abstractmethod
    def unembedding(self) -> Tensor: ...

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_completion_length: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | Draws | None = None,
        num_generations: int = 1,
        eos_id: int | Sequence[int] | None = None,
        pad_id: int | None = None,
    ) -> Generation:
        """Sample `num_generations` completions of each prompt, up to EOS or `max_completion_length` tokens.

        Prompts may differ in length; each is read once. Temperature 0 takes the likeliest token; others lie within
        `checks.TEMPERATURES`. `generator` is on the model's device and only needed to sample; `Draws` of it where
        several processes sample one batch. The same generator state, weights and arguments give the same result.
        `eos_id` (one id or several; an empty list: none) and `pad_id` are by default those of the model's
        checkpoint, or else those of the tasks.

        Raises:
            ValueError: naming the argument, when a value makes no sense or does not fit the model; when the logits
                are not numbers (the training diverged).
        """
        check_whole("max_completion_length", max_completion_length, 1)
        check_whole("num_generations", num_generations, 1)
        eos_ids, pad_id = self._special_ids(eos_id, pad_id)
        device = self.unembedding.device
        ends = torch.tensor(eos_ids, dtype=torch.int64, device=device)
        temperature = check_temperature(temperature, or_zero=True)
        draws = generator if isinstance(generator, Draws) else Draws(generator)
        drawn_on = draws.generator and draws.generator.device.type
        if temperature and drawn_on != device.type:
            raise ValueError(
                f"generator must be a torch.Generator on the model's device ({device.type}) when temperature "
                f"is above 0, got {drawn_on}"
            )
        self.check_prompts(prompts, max_completion_length)

        batch, per_prompt = len(prompts), num_generations
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)  # (B,)
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(prompt, device=device) for prompt in prompts], batch_first=True, padding_value=pad_id
        )  # (B, prompt_length)
        kv_cache = KVCache(self.config, lengths, per_prompt, max_completion_length, like=self.unembedding)
        most = batch * per_prompt * max_completion_length
        memory = TokenMemory() if most > self.config.vocab_size else None
        hidden = self.model(ids, torch.arange(ids.shape[1], device=device), kv_cache.read_prompts, memory)
        last = hidden[torch.arange(batch, device=device), lengths - 1]  # (B, d)
        hidden = last.repeat_interleave(per_prompt, 0)  # (B*n, d)
        position = lengths.repeat_interleave(per_prompt)

        shape = (batch * per_prompt, max_completion_length)
        completions = torch.full(shape, pad_id, device=device)
        logps = torch.zeros(shape, device=device, dtype=torch.float32)
        row = torch.arange(batch * per_prompt, device=device)  # (R,) the row of `completions` that each one writes
        running = torch.ones_like(row, dtype=torch.bool)
        draws.begin(len(row))
        for step in range(max_completion_length):
            token, logp = sample(F.linear(hidden, self.unembedding), temperature, draws.uniform)
            completions[:, step].index_copy_(0, row, token)
            logps[:, step].index_copy_(0, row, logp)
            running &= torch.isin(token, ends, invert=True)
            own = int(running.sum())
            if draws.running(own) == 0 or step + 1 == max_completion_length:
                break
            drops = draws.drops()
            if own == 0:
                draws.sit_out(max_completion_length - step - 1)
                break
            if drops:
                keep_index = running.nonzero().squeeze(1)
                kv_cache.select(keep_index)
                row, token, position, running = (x[keep_index] for x in (row, token, position, running))
            hidden = self.model(token, position, kv_cache.extend, memory)  # (R, d)
            position = position + 1
        if logps.isnan().any():
            raise ValueError("model gives logits that are not numbers: its training diverged")
        completions, logps = completions[:, : step + 1], logps[:, : step + 1]
        ended = torch.isin(completions, ends)
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

    def _special_ids(self, eos_id: int | Sequence[int] | None, pad_id: int | None) -> tuple[Sequence[int], int]:
        """What ends and what pads a text: as given, or the model's, or the tasks'."""
        if eos_id is None:
            eos_id = EOS_ID if self.eos_ids is None else self.eos_ids
        if pad_id is None:
            pad_id = PAD_ID if self.pad_id is None else self.pad_id
        eos_ids = eos_id if isinstance(eos_id, Sequence) else [eos_id]
        for token in eos_ids:
            self._check_id("eos_id", token)
        self._check_id("pad_id", pad_id)
        return eos_ids, pad_id

    def _check_id(self, name: str, token: int) -> None:
        if not 0 <= as_index(token) < self.config.vocab_size:
            raise ValueError(f"{name} must be or hold ids in [0, {self.config.vocab_size}), got {token}")


def sample(logits: Tensor, temperature: float, uniform: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """(R, V) -> tokens and their log-probabilities under softmax(logits / temperature), (R,) each; `uniform` gives
    the (R, 1) numbers in [0, 1) to draw with."""
    logps = (logits.float() / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        token = logits.argmax(-1, keepdim=True)  # (R, 1)
    else:  # inverse transform: torch.multinomial draws V numbers for a row instead of one
        cumulative = logps.exp().cumsum(-1)  # (R, V)
        token = torch.searchsorted(cumulative, uniform() * cumulative[:, -1:], right=True)  # (R, 1)
        token = token.clamp_max_(logps.shape[1] - 1)
    return token.squeeze(1), logps.gather(1, token).squeeze(1)
