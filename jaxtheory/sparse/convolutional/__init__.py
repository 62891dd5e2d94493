r"""Convolutional sparse coding: an image is a sum of a few small filters, each at a few places.

The model is $x = \sum_k d_k * z_k$ with filters $d_k$ of a few pixels and codes $z_k$ of the image's size,
one map an atom. The dictionary itself, a matrix with a column for each atom at each place, is never formed.

- `operators`: analysis and synthesis;
- `penalized`: the lasso;
- `learning`: filters that are learned;
- `restoration`: denoising and inpainting.
"""

from jaxtheory.sparse.convolutional.learning import ConvolutionalState, learner
from jaxtheory.sparse.convolutional.operators import analyze, normalize, synthesize
from jaxtheory.sparse.convolutional.penalized import lasso
from jaxtheory.sparse.convolutional.restoration import RestorationResult, denoise, inpaint, lowpass

__all__ = [
    "ConvolutionalState",
    "RestorationResult",
    "analyze",
    "denoise",
    "inpaint",
    "lasso",
    "learner",
    "lowpass",
    "normalize",
    "synthesize",
]
