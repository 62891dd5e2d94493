"""Rows of the table of examples: random features, and regressions on them."""

import jax

from jaxtheory.statistics import random_features
from tests.example_rows import Example, float32

PARAMS = random_features.fourier(jax.random.key(0), 3, 6, bandwidth=1.0)
ONE_TRAINING_SET = "one training set, a row an example"
ITS_RESIDUAL = "its residual is the rounding itself; tests/statistics holds it against dense linear algebra"


def _examples(rng):
    """Nine features of five examples, and two outputs."""
    return float32(rng, 5, 9), float32(rng, 5, 2)


FITTED = {
    "leading": (0, 1),
    "vmap": ONE_TRAINING_SET,
    "x64": ITS_RESIDUAL,
    "half": ITS_RESIDUAL,
    "integer": ITS_RESIDUAL,
}

EXAMPLES: list[Example] = [
    Example(random_features.apply, lambda rng: (PARAMS, float32(rng, 3)), None, (1,), (0, 1), devices=True),
    Example(
        random_features.minimum_norm_path,
        _examples,
        {"sizes": (3, 7, 9)},
        grad="JAX has no derivative of the QR factorization of a wide matrix",
        export=True,
        **FITTED,
    ),
    Example(
        random_features.ridge_path,
        _examples,
        {"penalties": (0.1, 1.0)},
        **FITTED,
    ),
]

NOT_TRACED: dict[str, str] = {
    "statistics.random_features.features.fourier": "features of a size, from a key",
    "statistics.random_features.features.relu": "features of a size, from a key",
}
