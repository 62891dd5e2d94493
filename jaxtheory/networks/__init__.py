"""Networks as pairs of pure functions, and their training.

`functional`, defined in `bridge`, turns a `flax.nnx` module into `init` and `apply`; `mlp` and `cnn` are such
modules, and `training` trains any pair. Importing this package loads no flax.
"""

from jaxtheory.networks.bridge import functional

__all__ = ["functional"]
