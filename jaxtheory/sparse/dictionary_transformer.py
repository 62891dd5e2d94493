"""Online dictionary learning and sparse codes as a step of a scikit-learn pipeline.

It needs scikit-learn: `pip install "jaxtheory[experiments]"`.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from jaxtheory.core.transformer import PreciseTransformer
from jaxtheory.sparse import pursuit
from jaxtheory.sparse.dictionary_learning import online, sample_atoms
from jaxtheory.sparse.learning import Learner, run


class DictionaryTransformer(ClassNamePrefixFeaturesOutMixin, PreciseTransformer):
    """Learns a dictionary online; signals become their codes by the lasso.

    The objective is that of scikit-learn's `MiniBatchDictionaryLearning` with `alpha=penalty` and
    `transform_algorithm="lasso_cd"`. Computation is in the precision of `X`, double or single.

    Args:
        atoms: The number of atoms; by default as many as features, or as signals if those are fewer.
        penalty: The weight of the codes' absolute values, positive.
        steps: The number of minibatches to learn from in `fit`.
        batch: The number of signals in a minibatch; all of them if they are fewer.
        forgetting: The exponent with which old minibatches lose weight, 0 or more; at 0 all count alike.
        tolerance: The duality gap of the codes that `transform` returns, relative to their objective; by
            default what the precision can reach.
        nonnegative: Whether codes must be nonnegative.
        random_state: An integer, a `RandomState` or `None`, for the first atoms and the minibatches.

    Attributes:
        components_: The atoms, (atoms, features). They are zero where all signals are.
        objective_: The mean objective of each minibatch before its step, (steps,).
        state_: The state from which learning continues, an `OnlineState`.

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
        tolerance: float | None = None,
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
        """Learn the dictionary.

        Args:
            X: The signals, (n, features).
            y: Labels, which are ignored.

        Returns:
            The transformer itself.

        Raises:
            ValueError: If there are more atoms than signals, or a parameter is out of range.
        """
        X = self._rows(X, reset=True)
        with self._in_precision(X.dtype):
            learner = self._learner()
            state, for_batches = self._begun(learner, X)
            batch = min(self.batch, len(X))
            state, metrics = run(learner, state, X, for_batches, steps=self.steps, batch=batch)
            self._keep(state, metrics["objective"])
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "DictionaryTransformer":  # noqa: ARG002
        """Take one step of learning on these signals, as one minibatch; the first call draws the atoms.

        Args:
            X: The signals, (n, features); at the first call at least as many as atoms.
            y: Labels, which are ignored.

        Returns:
            The transformer itself.

        Raises:
            ValueError: If the signals do not have as many features as earlier ones, or a parameter is out of
                range.
        """
        begins = not hasattr(self, "state_")
        X = self._rows(X, reset=begins)
        with self._in_precision(X.dtype if begins else self.components_.dtype):
            learner = self._learner()
            state = self._begun(learner, X)[0] if begins else self.state_
            state, metrics = learner.step(state, X)
            before = [] if begins else self.objective_
            self._keep(state, np.append(before, metrics["objective"]))
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n atoms"]:
        """Return the codes of signals.

        Args:
            X: The signals, (n, features).

        Returns:
            The codes.

        Raises:
            ValueError: If the signals do not have as many features as those that were learned from.
        """
        X = self._rows_after_fit(X)
        options = {} if self.tolerance is None else {"tolerance": self.tolerance}
        with self._in_precision(X.dtype):
            atoms = self.components_.astype(X.dtype)
            found = pursuit.lasso(atoms, X, self.penalty, nonnegative=self.nonnegative, **options)
            return np.asarray(found.codes, X.dtype)

    def inverse_transform(self, X: Any) -> Float[np.ndarray, "n features"]:
        """Return the signals that codes stand for.

        Args:
            X: The codes, (n, atoms).

        Returns:
            The signals.
        """
        check_is_fitted(self)
        return np.asarray(X) @ self.components_

    def _learner(self) -> Learner:
        return online(self.penalty, forgetting=self.forgetting, nonnegative=self.nonnegative)

    def _begun(self, learner: Learner, X: np.ndarray) -> tuple[Any, jax.Array]:
        """The initial state, and the key of the minibatches."""
        atoms = min(X.shape) if self.atoms is None else self.atoms
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        for_atoms, for_batches = jax.random.split(jax.random.key(seed))
        return learner.init(sample_atoms(for_atoms, X, atoms)), for_batches

    def _keep(self, state: Any, objective: Any) -> None:
        """Stores what was learned as NumPy's arrays, which know no switch of precision."""
        self.state_ = jax.tree.map(np.asarray, state)
        self.components_ = self.state_.dictionary
        self.objective_ = np.asarray(objective, self.components_.dtype)

    @property
    def _n_features_out(self) -> int:
        """The number of features that `ClassNamePrefixFeaturesOutMixin` names."""
        return len(self.components_)
