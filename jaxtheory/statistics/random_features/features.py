"""Random Fourier and ReLU features."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar


@record
class RandomFeatures:
    """Features of one form, each a function of the projection on a random direction."""

    directions: Float[Array, "features dimension"]
    """The direction of each feature, in the inverse units of the examples."""
    phases: Float[Array, " features"]
    """The phase of each feature, which is added to the projection."""
    form: str = static()
    """What is made of it: "fourier" for the cosine, "relu" for the positive part, both times a root of 2."""


def fourier(key: RandomKey, dimension: int, features: int, *, bandwidth: RealScalar) -> RandomFeatures:
    r"""Draw random Fourier features $\sqrt2 \cos(\langle w, x \rangle + b)$ of a Gaussian kernel.

    With $w \sim N(0, \sigma^{-2} I)$ and $b$ uniform on $[0, 2 \pi]$, the mean over the features of products
    at x and y tends to $\exp(-|x - y|^2 / (2 \sigma^2))$, which is `kernel_regression.gaussian`. Each feature
    is one real column.

    Args:
        key: The random key.
        dimension: The number of entries of an example, at least 1.
        features: The number of features, at least 1.
        bandwidth: The bandwidth $\sigma$ of the kernel, in the units of the examples; positive.

    Returns:
        The features.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is below 1, or the bandwidth is not positive.

    Example:
        >>> import jax
        >>> from jaxtheory.statistics import random_features
        >>> drawn = random_features.fourier(jax.random.key(0), 3, 10_000, bandwidth=1.0)
        >>> phi = random_features.apply(drawn, jax.numpy.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
        >>> (phi @ phi.T / 10_000).round(1).tolist()[0]  # exp(-2) is 0.14
        [1.0, 0.10000000149011612]

    References:
        Ali Rahimi and Benjamin Recht, "Random features for large-scale kernel machines", 2007.
    """
    checks.random_key("key", key)
    shape = checks.count("features", features), checks.count("dimension", dimension)
    (bandwidth,), back = real_arrays(bandwidth=bandwidth)
    checks.positive("bandwidth", bandwidth, one=True)
    of_directions, of_phases = jax.random.split(key)
    directions = jax.random.normal(of_directions, shape, bandwidth.dtype) / bandwidth
    phases = jax.random.uniform(of_phases, shape[:1], bandwidth.dtype, maxval=2 * np.pi)
    return back(RandomFeatures(directions, phases, "fourier"))


def relu(key: RandomKey, dimension: int, features: int) -> RandomFeatures:
    r"""Draw random ReLU features $\sqrt2 \max(\langle w, x \rangle, 0)$ with $w \sim N(0, I)$.

    They are the hidden layer of a network that is not trained. The mean over the features of products at x
    and y tends to the arc-cosine kernel $\frac1\pi |x| |y| (\sin \theta + (\pi - \theta) \cos \theta)$ of the
    angle $\theta$ between them.

    Args:
        key: The random key.
        dimension: The number of entries of an example, at least 1.
        features: The number of features, at least 1.

    Returns:
        The features.

    Raises:
        TypeError: If a number is not a whole number, or `key` is not a random key.
        ValueError: If a number is below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.statistics import random_features
        >>> drawn = random_features.relu(jax.random.key(0), 2, 10_000)
        >>> phi = random_features.apply(drawn, jax.numpy.array([[3.0, 0.0], [0.0, 1.0]]))
        >>> float((phi[0] @ phi[1] / 10_000).round(1))  # 3 / pi is 0.95
        1.0

    References:
        Youngmin Cho and Lawrence Saul, "Kernel methods for deep learning", 2009.
    """
    checks.random_key("key", key)
    shape = checks.count("features", features), checks.count("dimension", dimension)
    directions = jax.random.normal(key, shape)
    return RandomFeatures(directions, jnp.zeros(shape[:1], directions.dtype), "relu")


def apply(params: RandomFeatures, x: Real[AnyArray, "... dimension"]) -> Float[Array, "... features"]:
    r"""Return the features of examples, $\sqrt2\, \phi(\langle w_j, x \rangle + b_j)$.

    Args:
        params: The features, from `fourier` or `relu`.
        x: The examples.

    Returns:
        The features.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If the examples have another dimension than the directions.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import random_features
        >>> drawn = random_features.RandomFeatures(jnp.array([[1.0], [-1.0]]), jnp.zeros(2), "relu")
        >>> (random_features.apply(drawn, jnp.array([3.0])) ** 2).round(3).tolist()
        [18.0, 0.0]
    """
    checks.instance("params", params, RandomFeatures, "features, from random_features.fourier")
    (params, x), back = real_arrays(params=params, x=x)
    checks.axes("x", x, "...", "dimension", sizes=params.directions.shape[1:])
    projections = matmul(x, params.directions.T) + params.phases
    found = jnp.cos(projections) if params.form == "fourier" else jax.nn.relu(projections)
    return back(np.sqrt(2).astype(x.dtype) * found)
