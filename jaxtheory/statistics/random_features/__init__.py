r"""Random features, and linear regression on a growing number of them.

- `fourier` and `relu` draw features, whose inner products tend to a kernel's values as they grow in number;
  `apply` evaluates them;
- `minimum_norm_path` fits least squares for every number of features of a grid, on both sides of
  interpolation; `ridge_path` fits ridge regression for every penalty of a grid.

Conventions: an example is a row, a feature a column.
"""

from jaxtheory.statistics.random_features.features import RandomFeatures, apply, fourier, relu
from jaxtheory.statistics.random_features.paths import PathResult, minimum_norm_path, ridge_path

__all__ = ["PathResult", "RandomFeatures", "apply", "fourier", "minimum_norm_path", "relu", "ridge_path"]
