r"""Pursuits: sparse codes $z$ of a signal $x \approx \sum_i z_i d_i$ in given atoms $d_i$.

Conventions: a dictionary is a matrix with one atom in each row, `(atoms, features)`, as in scikit-learn, so
that codes $z$ stand for the signal $z D$; or a pair of functions `(apply, adjoint)` from codes `(..., atoms)`
to signals `(..., features)` and back. Plain functions are constants; a `jax.tree_util.Partial` carries
parameters that may be traced and differentiated. Atoms may have any norm, and an atom of zeros is never used.
Signals are `(..., features)` with any leading axes, none of which matters to the result of another signal;
`vmap` over them gives what the leading axes give. A signal with infinities or NaN has codes of NaN.

- `lasso`, `lasso_path`: least squares with a penalty on $\|z\|_1$;
- `basis_pursuit`: the least $\|z\|_1$ that represents the signal exactly;
- `orthogonal_matching_pursuit`, `matching_pursuit`, `thresholding`: a given number of atoms, chosen greedily.
"""

from jaxtheory.sparse.pursuit.constrained import basis_pursuit
from jaxtheory.sparse.pursuit.greedy import matching_pursuit, orthogonal_matching_pursuit, thresholding
from jaxtheory.sparse.pursuit.operators import Dictionary
from jaxtheory.sparse.pursuit.penalized import lasso, lasso_path

__all__ = [
    "Dictionary",
    "basis_pursuit",
    "lasso",
    "lasso_path",
    "matching_pursuit",
    "orthogonal_matching_pursuit",
    "thresholding",
]
