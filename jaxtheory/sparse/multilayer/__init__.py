r"""Multilayer convolutional sparse coding: an image has sparse codes, those have sparse codes, and so on.

The model is $X = D_1 \Gamma_1$, $\Gamma_1 = D_2 \Gamma_2$, up to $\Gamma_{L-1} = D_L \Gamma_L$, with all
$\Gamma_i$ sparse. Dictionaries are convolutional, with filters as Flax keeps them, the channels of a layer
being the atoms of the one before. With strides, a layer's atoms are placed at every `stride`-th position
only: what `flax.nnx.Conv(strides=..., padding="CIRCULAR")` computes is the analysis. The forward pass of such
a network, with biases $-\beta_i$, is the layered thresholding of this model.

- `model`: random filters, synthesis, samples;
- `incoherent`: filters for which guarantees hold;
- `effective`: what atoms of deeper layers stand for in the image;
- `norms`: coherences, norms of layers, sparsity of codes;
- `layered`: pursuits one layer after the other;
- `iterative`: ML-ISTA and ML-FISTA, all layers at once;
- `guarantees`: what theorems promise;
- `learning`: filters of all layers that are learned.
"""

from jaxtheory.sparse.multilayer.effective import effective_filters
from jaxtheory.sparse.multilayer.guarantees import (
    Guarantee,
    basis_pursuit_guarantee,
    stability_guarantee,
    thresholding_guarantee,
    uniqueness_guarantee,
)
from jaxtheory.sparse.multilayer.incoherent import congruences, lapped_transform, perturb
from jaxtheory.sparse.multilayer.iterative import MultilayerResult, ml_fista, ml_ista
from jaxtheory.sparse.multilayer.layered import layered_basis_pursuit, layered_thresholding
from jaxtheory.sparse.multilayer.learning import MultilayerState, learner
from jaxtheory.sparse.multilayer.model import init, sample, synthesize
from jaxtheory.sparse.multilayer.norms import Sparsity, coherences, patch_norm, sparsity, squared_norms

__all__ = [
    "Guarantee",
    "MultilayerResult",
    "MultilayerState",
    "Sparsity",
    "basis_pursuit_guarantee",
    "coherences",
    "congruences",
    "effective_filters",
    "init",
    "lapped_transform",
    "layered_basis_pursuit",
    "layered_thresholding",
    "learner",
    "ml_fista",
    "ml_ista",
    "patch_norm",
    "perturb",
    "sample",
    "sparsity",
    "squared_norms",
    "stability_guarantee",
    "synthesize",
    "thresholding_guarantee",
    "uniqueness_guarantee",
]
