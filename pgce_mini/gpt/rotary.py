"""Rotary positions (RoPE): each pair of coordinates of a query or key is turned by an angle that grows with its
position.

Source: RoFormer (arXiv 2104.09864) Eq. 34, where a pair is coordinate i of a head's first and second half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from pgce_mini.gpt.config import GPTConfig


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of (..., heads, head_dim) by its position's angle; `roll` swaps a head's halves."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class RotaryEmbedding(nn.Module):
    """Cosine and signed sine of positions' angles, in fp32 whatever the dtype of the weights.

    The tables follow from the config alone. So they are no buffers, which `to_empty` would leave unset and
    `bfloat16()` would round, but made again where the model goes.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self._make_tables(torch.get_default_device())

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(...) -> (..., 1, head_dim) each."""
        if self.cos.device != positions.device:  # weights were assigned to a model on "meta"
            self._make_tables(positions.device)
        return self.cos[positions], self.sin[positions]

    @torch.inference_mode(False)  # a later training uses them, too
    def _make_tables(self, device: torch.device) -> None:
        size = self.config.size_of_head
        made_on = "meta" if device.type == "meta" else "cpu"  # the same bits for every device
        pairs = torch.arange(0, size, 2, device=made_on).float()
        frequencies = 1.0 / self.config.rope_theta ** (pairs / size)  # (head_dim / 2,)
        positions = torch.arange(self.config.max_position_embeddings, device=made_on).float()
        angles = torch.outer(positions, frequencies).unsqueeze(1)  # (max_position_embeddings, 1, head_dim / 2)
        cos, sin = angles.cos(), angles.sin()
        self.cos = torch.cat([cos, cos], -1).to(device)  # (max_position_embeddings, 1, head_dim)
        self.sin = torch.cat([-sin, sin], -1).to(device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        like = torch.empty(0, device="cpu") if self.cos.is_meta else self.cos  # "meta" has nothing to move
        self._make_tables(fn(like).device)
        return self
