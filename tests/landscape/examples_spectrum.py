"""Rows of the table of examples: spectra."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.landscape import curvature, spectrum
from tests.example_rows import Example

KEY = jax.random.key(0)


def _matrix(rng):
    """A symmetric matrix of eight rows with eigenvalues apart from each other."""
    rotation, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    eigenvalues = np.array([9.0, 6, 4, 1, 0.5, -0.5, -2, -5]) + 0.1 * rng.uniform(size=8)
    return (curvature.Matrix(jnp.float32((rotation * eigenvalues) @ rotation.T)),)


def _density(rng):
    """A density of the matrix, found by fewer steps than dimensions."""
    return (spectrum.density(*_matrix(rng), KEY, probes=3, steps=4),)


def _steps(rng):
    """The matrix and the state of its density before the first step."""
    (matrix,) = _matrix(rng)
    return matrix, spectrum.density_init(matrix, KEY, probes=3, steps=4)


def _search(rng):
    """The matrix and the state of the search for its eigenpairs before the first step."""
    (matrix,) = _matrix(rng)
    return matrix, spectrum.eigenpairs_init(matrix, 2, KEY)


ONE = {
    "leading": (),
    "vmap": "one operator at a time",
    "integer": "operators act on floating-point vectors",
    "half": "what is measured of vectors in half precision is returned in single: tests/landscape holds it",
}
NO_LENGTH = "reverse mode does not go through a loop without a fixed length"
SIGNS = (
    "starting vectors, and so the signs of eigenvectors, differ with the dtype: tests/landscape holds both"
)

EXAMPLES: list[Example] = [
    Example(
        spectrum.density,
        _matrix,
        {"key": KEY, "probes": 3, "steps": 4},
        grad=NO_LENGTH,
        export=True,
        tolerance=1e-4,
        **ONE,
    ),
    Example(spectrum.density_init, _matrix, {"key": KEY, "steps": 4}, grad="it does not depend on it", **ONE),
    Example(spectrum.density_step, _steps, {"steps": 2}, grad=NO_LENGTH, export=True, tolerance=1e-4, **ONE),
    Example(
        spectrum.density_result,
        lambda rng: (spectrum.density_step(*_steps(rng), steps=4),),
        grad="nodes of a step that is not taken are equal: their derivative is not defined",
        tolerance=1e-4,
        **ONE,
    ),
    Example(
        spectrum.top_eigenpairs,
        _matrix,
        {"k": 2, "key": KEY},
        grad=NO_LENGTH,
        x64=SIGNS,
        export=True,
        tolerance=1e-4,
        **ONE,
    ),
    Example(
        spectrum.eigenpairs_init,
        _matrix,
        {"k": 2, "key": KEY},
        grad="it does not depend on it",
        x64=SIGNS,
        **ONE,
    ),
    Example(
        spectrum.eigenpairs_step,
        _search,
        {"steps": 3},
        grad=NO_LENGTH,
        x64=SIGNS,
        export=True,
        tolerance=1e-4,
        **ONE,
    ),
    Example(
        spectrum.eigenpairs_result,
        lambda rng: (_search(rng)[0], spectrum.eigenpairs_step(*_search(rng), steps=8)),
        grad="the state holds numbers of steps",
        x64=SIGNS,
        tolerance=1e-4,
        **ONE,
    ),
    Example(spectrum.trace, _matrix, {"key": KEY, "probes": 5}, differentiable=(0,), export=True, **ONE),
    Example(spectrum.diagonal, _matrix, {"key": KEY, "probes": 5}, differentiable=(0,), export=True, **ONE),
    Example(
        spectrum.xtrace,
        _matrix,
        {"key": KEY, "probes": 3},
        grad="its block product has no rule for derivatives",
        x64="its normal vectors differ with the dtype: tests/landscape holds both",
        tolerance=1e-4,
        **ONE,
    ),
    Example(
        spectrum.negative_share, _density, grad="a share of counts changes in steps", tolerance=1e-4, **ONE
    ),
    Example(spectrum.effective_rank, _density, differentiable=(0,), tolerance=1e-4, **ONE),
]

NOT_TRACED: dict[str, str] = {}
