r"""Randomized smoothing, by Cohen, Rosenfeld and Kolter: a certificate for any classifier.

The smoothed classifier answers an input with the class that the classifier gives most often to inputs with
Gaussian noise of standard deviation $\sigma$. If that class has a probability of at least $p > 1/2$, no
change of a Euclidean norm below $\sigma \Phi^{-1}(p)$ changes the answer, whatever the classifier.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar

ABSTAIN = -1
"""The label of an input for which no class can be certified."""


@record
class SmoothingResult:
    """What a smoothed classifier answers to each input, and how far the answer is certified."""

    label: Int[Array, " n"]
    """The classes, or `ABSTAIN`."""
    radius: Float[Array, " n"]
    """The Euclidean radius within which the answer does not change; 0 where it abstains."""
    counts: Int[Array, "n classes"]
    """How many of the samples were given to each class; those from which the class was selected are not
    among them."""


class Facts(NamedTuple):
    """What is static in a smoothing."""

    logits: Callable[..., Any]
    classes: int
    samples: int
    selection: int
    chunk: int


def smooth(
    logits: Callable[..., Any],
    params: PyTree,
    x: Real[AnyArray, "n ..."],
    key: RandomKey,
    *,
    noise: RealScalar,
    samples: int = 10_000,
    selection: int = 100,
    delta: float = 0.001,
    chunk: int = 100,
) -> SmoothingResult:
    r"""Classify inputs with Gaussian noise by vote, and certify a radius within which the answer stays.

    A first vote of a few samples selects a class. A second, independent one gives $k$ of $n$ samples to it,
    and the lower confidence bound of Clopper and Pearson on its probability, $p$ with
    $P(\mathrm{Bin}(n, p) \ge k) = \delta$, gives the radius $\sigma \Phi^{-1}(p)$. Where $p \le 1/2$ it
    abstains. For each input on its own, label and radius are right with probability at least $1 - \delta$.

    Args:
        logits: The classifier, a function `logits(params, x)` of inputs `(m, ...)` that returns
            `(m, classes)`. A sample whose logits are not numbers counts for no class.
        params: The parameters of the classifier.
        x: The inputs, on one leading axis. Noise leaves the range of pixels, and is not clipped.
        key: The random key.
        noise: The standard deviation $\sigma$ of the noise, positive, in the units of the inputs.
        samples: The number $n$ of samples that are counted, at least 1.
        selection: The number of samples from which the class is selected, at least 1.
        delta: The probability $\delta$ with which the certificate of an input may fail, between 0 and 1.
        chunk: The number of samples that are classified at once, at least 1; the draws are the same for all.

    Returns:
        Classes, radii and counts.

    Raises:
        TypeError: If a number of samples is not a whole number, `key` is no random key, or an argument is
            complex or not a number.
        ValueError: If a value is out of its range, or the logits are not `(m, classes)`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.inspection import certify
        >>> sides = lambda w, x: jnp.stack([x @ w, -(x @ w)], axis=-1)
        >>> x = jnp.array([[0.5, 3.0], [0.0, 1.0]])  # at distances 0.5 and 0 from the boundary
        >>> found = certify.smooth(sides, jnp.array([1.0, 0.0]), x, jax.random.key(0), noise=0.5)
        >>> found.label.tolist(), round(float(found.radius[0]), 1)
        ([0, -1], 0.5)

    References:
        Jeremy Cohen, Elan Rosenfeld and Zico Kolter, "Certified adversarial robustness via randomized
        smoothing", 2019. Charles Clopper and Egon Pearson, "The use of confidence or fiducial limits
        illustrated in the case of the binomial", 1934.
    """
    checks.random_key("key", key)
    checks.positive("noise", noise, one=True)
    samples, selection = checks.count("samples", samples), checks.count("selection", selection)
    chunk = checks.count("chunk", chunk)
    (x, noise), _ = real_arrays(x=x, noise=noise)
    if x.ndim == 0:
        raise ValueError("x is one number: take inputs on a leading axis")
    table = _normal_quantiles(samples, _probability("delta", delta)).astype(x.dtype)
    facts = Facts(logits, _classes(logits, params, x), samples, selection, chunk)
    return _smooth(params, x, key, noise, table, facts)


@partial(jax.jit, static_argnames="facts")
def _smooth(
    params: PyTree, x: Array, key: Array, noise: Array, table: Array, facts: Facts
) -> SmoothingResult:
    def vote(example: Array, key: Array, number: int) -> Array:
        """The number of samples, among so many, that each class is given."""
        chunk = min(facts.chunk, number)

        def add(k: Array, counts: Array) -> Array:
            places = k * chunk + jnp.arange(chunk)
            drawn = jax.vmap(
                lambda place: jax.random.normal(jax.random.fold_in(key, place), example.shape, x.dtype)
            )(places)
            z = facts.logits(params, example + noise * drawn)
            counted = (places < number) & ~jnp.isnan(jnp.sum(z, axis=-1))
            given = jax.nn.one_hot(jnp.argmax(z, axis=-1), facts.classes, dtype=jnp.int32)
            return counts + jnp.sum(given * counted[:, None], axis=0, dtype=jnp.int32)

        return lax.fori_loop(0, -(-number // chunk), add, jnp.zeros(facts.classes, jnp.int32))

    def of_one(pair: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        example, number = pair
        first, second = jax.random.split(jax.random.fold_in(key, number))
        label = jnp.argmax(vote(example, first, facts.selection))
        counts = vote(example, second, facts.samples)
        quantile = table[counts[label]]
        sure = quantile > 0
        return jnp.where(sure, label, ABSTAIN), jnp.where(sure, noise * quantile, 0), counts

    return SmoothingResult(*lax.map(of_one, (x, jnp.arange(len(x)))))


@cache
def _normal_quantiles(samples: int, delta: float) -> np.ndarray:
    """The normal quantile of the lower confidence bound for each count from 0 to all samples."""
    from scipy import special

    counts = np.arange(1, samples + 1)
    bounds = special.betaincinv(counts, samples - counts + 1, delta)
    return np.concatenate([[-np.inf], special.ndtri(bounds)])


def _probability(name: str, value: Any) -> float:
    """A number between 0 and 1 as Python's, as confidence bounds are computed before anything else."""
    if not checks.known(value):
        raise TypeError(f"{name} is traced: take a number that is known, such as a static argument")
    checks.axes(name, value)
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}: take a number between 0 and 1")
    return float(value)


def _classes(logits: Callable[..., Any], params: PyTree, x: Array) -> int:
    """The number of classes of a classifier."""
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    shape = getattr(jax.eval_shape(logits, params, one), "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
        found = "no array" if shape is None else f"an array of shape {shape}"
        raise ValueError(
            f"logits gives {found} for inputs of shape {one.shape}: take a function that gives (1, classes), "
            "one number for each of at least two classes"
        )
    return shape[1]
