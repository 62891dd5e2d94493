"""Networks as pairs of pure functions, and their training.

`functional` turns a `flax.nnx` module into `init` and `apply`; `mlp` and `cnn` are such modules, and
`training` trains any pair. Importing this package loads no flax.
"""

# The function takes the name of the file that defines it, which is imported here once and for all.
from jaxtheory.networks.functional import functional

__all__ = ["functional"]
