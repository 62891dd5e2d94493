r"""Deep linear networks and what is known of their landscape: all of their critical points, up to symmetry.

The squared loss of a network $x \mapsto W_L \cdots W_1 x$ of L matrices is not convex, and yet has no bad
minima. Let $R = \Sigma_{yx} \Sigma_{xx}^{-1}$ be the map of least loss, and let the eigenvalues of
$\Sigma = R \Sigma_{xy}$ be distinct. Each critical point computes $P R$, with $P$ the projection on the span
of a subset of the eigenvectors of $\Sigma$, at most as many as the narrowest layer has units. The subset of
the largest eigenvalues is the global minimum, all others are saddles.

- `model`: the network and its loss as plain functions;
- `theory`: moments of data, the subsets, the map and the loss of each;
- `representatives`: points of each subset's family, balanced or not, and ways down from saddles.

Parameters are tuples of matrices `(outputs, inputs)`, the first layer's first.

References:
    Kawaguchi, Deep learning without poor local minima, 2016.
    Baldi and Hornik, Neural networks and principal component analysis, 1989.
"""

from jaxtheory.landscape.linear_networks.model import apply, end_to_end, init, loss, middle
from jaxtheory.landscape.linear_networks.representatives import lower_point, representative, unbalanced
from jaxtheory.landscape.linear_networks.theory import (
    Assigned,
    Margins,
    Moments,
    assign,
    margins,
    moment_loss,
    moments,
    subset_loss,
    subset_map,
    subsets,
)

__all__ = [
    "Assigned",
    "Margins",
    "Moments",
    "apply",
    "assign",
    "end_to_end",
    "init",
    "loss",
    "lower_point",
    "margins",
    "middle",
    "moment_loss",
    "moments",
    "representative",
    "subset_loss",
    "subset_map",
    "subsets",
    "unbalanced",
]
