"""Probability distributions over a vocabulary: checked, and their entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def check_distribution(name: str, values: ArrayLike, tolerance: float) -> FloatArray:
    """`values` as float64, unchanged. Shapes: (V,) -> (V,)

    Raises:
        ValueError: naming the argument, when the values are not V >= 2 probabilities that sum to 1 within
            `tolerance`.
    """
    probs = np.asarray(values, dtype=np.float64)
    if probs.ndim != 1 or probs.size < 2:
        raise ValueError(f"{name} must have shape (V,) with V >= 2, got {probs.shape}")
    if not (np.isfinite(probs).all() and (probs >= 0).all() and abs(probs.sum() - 1) < tolerance):
        raise ValueError(f"{name} must hold probabilities that sum to 1")
    return probs


def label_probabilities(label_distribution: ArrayLike) -> FloatArray:
    """The distribution q of the labels as float64, normalised: in float32 its sum is only nearly 1.

    Shapes: (V,) -> (V,). Raises ValueError when `label_distribution` is not a distribution.
    """
    q = check_distribution("label_distribution", label_distribution, tolerance=1e-5)
    return np.asarray(q / q.sum())


def entropy(probs: ArrayLike) -> FloatArray:
    """Shannon entropy in nats along the last axis, with 0 log 0 = 0.

    Shapes:
        probs: (..., V), each row a distribution -> (...)
    """
    p = np.asarray(probs, dtype=np.float64)
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(-1))
