"""The shaped losses with their exact gradient, and focal loss as a control."""

from pgce_mini.loss.focal import focal_loss
from pgce_mini.loss.linear import linear_shaped_cross_entropy
from pgce_mini.loss.shaped import Reduction, ShapedCrossEntropyLoss, shaped_cross_entropy

__all__ = [
    "Reduction",
    "ShapedCrossEntropyLoss",
    "focal_loss",
    "linear_shaped_cross_entropy",
    "shaped_cross_entropy",
]
