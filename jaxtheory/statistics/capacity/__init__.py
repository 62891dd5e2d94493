r"""What a class of functions can fit: random labels and images, a network that fits anything, and a measure.

Zhang, Bengio, Hardt, Recht and Vinyals (2017) train networks on data from which what there is to learn was
taken, in part or in whole: those that fit such data could have fitted anything. `memorizer` is their explicit
network that fits any points; the empirical Rademacher complexity says how well the functions of a class fit
random signs.

- `randomized`: random labels, in part or in whole, and images without what there is to see in them;
- `memorization`: the network that fits any points;
- `complexity`: the empirical Rademacher complexity of linear functions and of those of a kernel.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.statistics import capacity
    >>> x = jax.random.normal(jax.random.key(0), (20, 3))
    >>> noise = capacity.random_labels(jnp.arange(20) % 2, jax.random.key(1), classes=2)
    >>> params = capacity.memorizer(x, noise)
    >>> bool(jnp.abs(capacity.apply(params, x) - noise).max() < 1e-3)
    True
"""

from jaxtheory.statistics.capacity.complexity import RademacherResult, rademacher
from jaxtheory.statistics.capacity.memorization import Memorizer, apply, memorizer
from jaxtheory.statistics.capacity.randomized import random_images, random_labels

__all__ = [
    "Memorizer",
    "RademacherResult",
    "apply",
    "memorizer",
    "rademacher",
    "random_images",
    "random_labels",
]
