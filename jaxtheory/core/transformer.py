"""What steps of a scikit-learn pipeline share: how data are read, and the precision of computation.

It needs scikit-learn: `pip install "jaxtheory[experiments]"`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class PreciseTransformer(TransformerMixin, BaseEstimator):
    """A transformer that computes in the precision of its data, single or double; integers become floats.

    What a subclass keeps are NumPy's arrays, which know no switch of precision.
    """

    def _rows(self, X: Any, *, reset: bool) -> np.ndarray:
        """Data as scikit-learn checks them, one row each; `reset` where this call decides their width."""
        default = np.dtype(jnp.result_type(float))
        others = [dtype for dtype in map(np.dtype, (np.float32, np.float64)) if dtype != default]
        return validate_data(self, X, reset=reset, dtype=[default, *others])

    def _rows_after_fit(self, X: Any) -> np.ndarray:
        """Data of a transformer that has to be fitted first."""
        check_is_fitted(self)
        return self._rows(X, reset=False)

    def _in_precision(self, dtype: Any) -> Any:
        """Double precision for the length of a call, where data have it."""
        return jax.enable_x64(bool(dtype == np.float64 or jax.config.jax_enable_x64))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
