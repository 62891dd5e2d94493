"""Online dictionary learning and sparse codes as a step of a scikit-learn pipeline.

It needs scikit-learn: `pip install "jaxtheory[experiments]"`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxtheory.sparse import dictionary, pursuit


class DictionaryTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learns a dictionary online; signals become their codes by the lasso.

    The objective is that of scikit-learn's `MiniBatchDictionaryLearning` with `alpha=penalty` and
    `transform_algorithm="lasso_cd"`. Numbers are computed in single precision, unless JAX's double precision
    is on, and have the dtype of `X`.

    Args:
      atoms: number of atoms; by default as many as features, or as signals if those are fewer.
      penalty: of the codes' absolute values, positive.
      steps: minibatches to learn from.
      batch: signals in a minibatch; all of them if they are fewer.
      forgetting: exponent with which old minibatches lose weight: 0 for not at all.
      tolerance: duality gap of the codes relative to their objective, in `transform`; while learning, 1e-3 at
        least.
      nonnegative: whether codes must be nonnegative.
      random_state: an integer, a `RandomState` or `None`, of the atoms to start from and the minibatches.

    Attributes:
      components_: the atoms, (atoms, features).
      objective_: mean objective of each minibatch before its step, (steps,).

    Example:
      >>> import numpy as np
      >>> from jaxtheory.sparse.dictionary_transformer import DictionaryTransformer
      >>> signals = np.random.default_rng(0).laplace(size=(200, 5))
      >>> transformer = DictionaryTransformer(atoms=8, penalty=0.5, steps=20, random_state=0)
      >>> codes = transformer.fit_transform(signals)
      >>> codes.shape, bool(np.mean(codes == 0) > 0.1)
      ((200, 8), True)
    """

    def __init__(
        self,
        atoms: int | None = None,
        penalty: float = 1.0,
        *,
        steps: int = 1000,
        batch: int = 256,
        forgetting: float = 0.0,
        tolerance: float = 1e-6,
        nonnegative: bool = False,
        random_state: Any = None,
    ) -> None:
        self.atoms = atoms
        self.penalty = penalty
        self.steps = steps
        self.batch = batch
        self.forgetting = forgetting
        self.tolerance = tolerance
        self.nonnegative = nonnegative
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "DictionaryTransformer":  # noqa: ARG002
        """Learns the dictionary.

        Args:
          X: signals, (n, features).
          y: ignored.

        Returns:
          The transformer itself.

        Raises:
          ValueError: if there are more atoms than signals, or a parameter is out of range.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        signals = jnp.asarray(X)
        atoms = min(X.shape) if self.atoms is None else self.atoms
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        for_atoms, for_batches = jax.random.split(jax.random.key(seed))
        state, metrics = dictionary.online(
            dictionary.online_init(dictionary.sample_atoms(for_atoms, signals, atoms)),
            signals,
            self.penalty,
            for_batches,
            steps=self.steps,
            batch=min(self.batch, len(X)),
            forgetting=self.forgetting,
            tolerance=max(self.tolerance, 1e-3),
            nonnegative=self.nonnegative,
        )
        self.components_ = np.asarray(state.dictionary, X.dtype)
        self.objective_ = np.asarray(metrics["objective"], X.dtype)
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n atoms"]:
        """Returns the codes of signals.

        Args:
          X: signals, (n, features).

        Returns:
          The codes, (n, atoms).

        Raises:
          ValueError: if the signals do not have the features that were learnt from.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        solution = pursuit.lasso(
            jnp.asarray(self.components_),
            jnp.asarray(X),
            self.penalty,
            tolerance=self.tolerance,
            nonnegative=self.nonnegative,
        )
        return np.asarray(solution.codes, X.dtype)

    def inverse_transform(self, X: Any) -> Float[np.ndarray, "n features"]:
        """Returns the signals that codes stand for.

        Args:
          X: codes, (n, atoms).

        Returns:
          The signals, (n, features).
        """
        check_is_fitted(self)
        return np.asarray(X) @ self.components_

    @property
    def _n_features_out(self) -> int:
        """Number of features that `ClassNamePrefixFeaturesOutMixin` names."""
        return len(self.components_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
