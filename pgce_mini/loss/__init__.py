"""The shaped losses with their exact gradient, and losses of other papers as controls."""

from pgce_mini.loss.family import coverage_loss, gem_loss, maxrl_loss
from pgce_mini.loss.focal import focal_loss
from pgce_mini.loss.linear import linear_shaped_cross_entropy
from pgce_mini.loss.shaped import Reduction, ShapedCrossEntropyLoss, shaped_cross_entropy

__all__ = [
    "Reduction",
    "ShapedCrossEntropyLoss",
    "coverage_loss",
    "focal_loss",
    "gem_loss",
    "linear_shaped_cross_entropy",
    "maxrl_loss",
    "shaped_cross_entropy",
]
