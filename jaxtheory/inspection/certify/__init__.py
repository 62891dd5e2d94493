"""Certificates: bounds that no change of an input, of a given size, can pass.

- `relu_layers`: ReLU networks as lists of dense and convolutional layers, from the parameters of `networks`;
- `intervals`: bounds on logits and margins under changes of each entry by at most epsilon; they are
  differentiable, and cheap enough to train with;
- `smoothing`: a classifier of inputs with Gaussian noise, and the Euclidean radius within which its answer
  does not change, with a stated probability.
"""

from jaxtheory.inspection.certify.intervals import certified, interval, margins
from jaxtheory.inspection.certify.relu_layers import Convolution, layers_of
from jaxtheory.inspection.certify.smoothing import ABSTAIN, SmoothingResult, smooth

__all__ = [
    "ABSTAIN",
    "Convolution",
    "SmoothingResult",
    "certified",
    "interval",
    "layers_of",
    "margins",
    "smooth",
]
