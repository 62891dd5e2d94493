r"""Dictionaries that are learned from signals: online, by K-SVD, and as Olshausen and Field learned theirs.

Each method is a learner of `sparse.learning`.

Conventions: a dictionary is `(atoms, features)`, one atom per row, and signals are `(n, features)`. A signal
with infinities or NaN is left out of what is learned, and counts as not converged. A state is kept in single
precision at least, so that the rounding of many steps does not add up.

Example:
    >>> import jax
    >>> from jaxtheory.sparse import dictionary_learning, learning
    >>> planted = jax.random.normal(jax.random.key(0), (12, 8))
    >>> planted /= jax.numpy.linalg.norm(planted, axis=1, keepdims=True)
    >>> signals = jax.random.laplace(jax.random.key(1), (2000, 12)) @ planted
    >>> learner = dictionary_learning.online(0.5)
    >>> start = learner.init(dictionary_learning.sample_atoms(jax.random.key(2), signals, 12))
    >>> learned, metrics = learning.run(learner, start, signals, jax.random.key(3), steps=200, batch=100)
    >>> bool(metrics["objective"][-20:].mean() < 0.9 * metrics["objective"][0])
    True
"""

from jaxtheory.sparse.dictionary_learning.cauchy import CauchyResult, cauchy_codes
from jaxtheory.sparse.dictionary_learning.k_svd import KSVDState, ksvd
from jaxtheory.sparse.dictionary_learning.online_learning import OnlineState, online
from jaxtheory.sparse.dictionary_learning.sampling import sample_atoms
from jaxtheory.sparse.dictionary_learning.sparse_net import SparseNetState, sparsenet

__all__ = [
    "CauchyResult",
    "KSVDState",
    "OnlineState",
    "SparseNetState",
    "cauchy_codes",
    "ksvd",
    "online",
    "sample_atoms",
    "sparsenet",
]
