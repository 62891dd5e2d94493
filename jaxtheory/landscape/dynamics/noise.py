"""The noise of minibatch gradients: its size, that of the gradient itself, and the noise scale."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree, Shaped

from jaxtheory.core import checks, trees
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Reals, RealScalar

Batches = PyTree[Shaped[AnyArray, "batches examples ..."]]
"""Data in batches: every array has the two leading axes."""


@record
class GradientNoise:
    """Unbiased estimates of noise and signal of the gradient."""

    trace: Float[Array, "..."]
    r"""The trace of the covariance of one example's gradient, $\mathrm{tr}\,\Sigma$."""
    squared_norm: Float[Array, "..."]
    """The squared norm of the risk's gradient; an unbiased estimate may be negative."""


@record
class NoiseScaleResult:
    """A gradient noise scale, and whether there is one."""

    value: Float[Array, "..."]
    """The noise scale in examples; NaN where the sum of the squared norms is not positive."""
    trace: Float[Array, "..."]
    """The sum of the traces."""
    squared_norm: Float[Array, "..."]
    """The sum of the squared norms."""
    defined: Bool[Array, "..."]
    """Whether the sum of the squared norms is positive."""


def gradient_noise(
    loss: Callable[..., Any], params: PyTree, batches: Batches, *, chunk: int = 1
) -> GradientNoise:
    r"""Estimate noise and signal of the gradient from the gradients of several batches.

    With gradients $g_1, \dots, g_m$ of batches of $b$ independent examples and their mean $\bar g$,
    $\mathrm{tr}\,\Sigma = \frac{b}{m - 1} \sum_i |g_i - \bar g|^2$ and
    $|G|^2 = |\bar g|^2 - \frac{1}{b m} \mathrm{tr}\,\Sigma$ are unbiased.

    Args:
        loss: The function `loss(params, batch) -> scalar`, the mean over a batch.
        params: The parameters.
        batches: The data, at least two batches; batches of one example use the data best.
        chunk: The number of batches whose gradients are computed at once, which divides their number. The
            memory is that of as many gradients.

    Returns:
        The two estimates.

    Raises:
        ValueError: If there are fewer than two batches, the leading axes differ, or `chunk` does not divide
            the number of batches.
        TypeError: If `chunk` is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import dynamics
        >>> loss = lambda params, batch: jnp.mean((params - batch) ** 2) / 2
        >>> noise = dynamics.gradient_noise(loss, jnp.float32(0), jnp.array([[1.0], [3.0]]))
        >>> float(noise.trace), float(noise.squared_norm)
        (2.0, 3.0)

    References:
        McCandlish, Kaplan, Amodei and the OpenAI Dota Team, An empirical model of large-batch training, 2018.
    """
    trees.check_numbers("params", params)
    trees.check_numbers("batches", batches)
    return _noise(loss, params, batches, chunk=chunk)


@partial(jax.jit, static_argnames=("loss", "chunk"))
def _noise(loss: Callable[..., Any], params: PyTree, batches: Batches, *, chunk: int) -> GradientNoise:
    return loss_and_noise(loss, params, batches, chunk)[1]


def noise_of_norms(
    small: Reals, large: Reals, small_size: RealScalar, large_size: RealScalar
) -> GradientNoise:
    r"""Estimate noise and signal from the squared norms of gradients of small and of large batches.

    With $\mathrm{E} |g_b|^2 = |G|^2 + \mathrm{tr}\,\Sigma / b$ for batches of two sizes $b$ and $B$,
    $\mathrm{tr}\,\Sigma = (|g_b|^2 - |g_B|^2) / (1/b - 1/B)$ and
    $|G|^2 = (B |g_B|^2 - b |g_b|^2) / (B - b)$. This is what a data-parallel training has at hand: the
    gradients of the devices and their mean.

    Args:
        small: The squared norms of gradients of small batches, or their mean.
        large: The squared norms of gradients of large batches.
        small_size: The number $b$ of examples in a small batch, positive.
        large_size: The number $B$ of examples in a large batch, above $b$.

    Returns:
        The two estimates.

    Raises:
        ValueError: If the sizes are not positive, or the large one is not the larger.

    Example:
        >>> from jaxtheory.landscape import dynamics
        >>> noise = dynamics.noise_of_norms(5.0, 4.0, 1, 2)
        >>> float(noise.trace), float(noise.squared_norm)
        (2.0, 3.0)

    References:
        McCandlish, Kaplan, Amodei and the OpenAI Dota Team, An empirical model of large-batch training, 2018.
    """
    for name, size in (("small_size", small_size), ("large_size", large_size)):
        checks.axes(name, size)
        checks.positive(name, size)
    if checks.known(small_size) and checks.known(large_size) and not small_size < large_size:
        raise ValueError(f"large_size is {large_size}: take more than {small_size}, the small batches' size")
    (small, large, b, B), back = real_arrays(
        small=small, large=large, small_size=small_size, large_size=large_size
    )
    trace = (small - large) / (1 / b - 1 / B)
    return back(GradientNoise(trace, (B * large - b * small) / (B - b)))


def noise_scale(trace: Reals, squared_norm: Reals, *, window: int | None = None) -> NoiseScaleResult:
    r"""Return the gradient noise scale of a run: the sum of the traces over the sum of the squared norms.

    $B = \sum_t \mathrm{tr}\,\Sigma_t / \sum_t |G_t|^2$. A mean of ratios would be biased, and infinite where
    one estimate of $|G|^2$ is near zero.

    Args:
        trace: The estimates of $\mathrm{tr}\,\Sigma$; the last axis is that of the measurements.
        squared_norm: The estimates of $|G|^2$, of the same shape.
        window: The number of consecutive measurements that are summed, from 1 to all; by default all.

    Returns:
        The noise scales: one for all measurements, or with a window one for each place of it along the last
        axis. Where the sum of the squared norms is not positive it is NaN, and `defined` is false.

    Raises:
        ValueError: If the shapes differ or have no axis, or `window` is out of range.
        TypeError: If `window` is not a whole number.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.landscape import dynamics
        >>> found = dynamics.noise_scale(np.array([4.0, 8.0]), np.array([3.0, -1.0]))
        >>> float(found.value)
        6.0
        >>> dynamics.noise_scale(np.array([4.0, 8.0]), np.array([3.0, -1.0]), window=1).defined.tolist()
        [True, False]

    References:
        McCandlish, Kaplan, Amodei and the OpenAI Dota Team, An empirical model of large-batch training, 2018.
    """
    (trace, squared_norm), back = real_arrays(trace=trace, squared_norm=squared_norm)
    checks.axes("trace", trace, "...", "measurements")
    if trace.shape != squared_norm.shape:
        raise ValueError(f"squared_norm has the shape {squared_norm.shape}: take {trace.shape}, the trace's")

    def total(values: Array) -> Array:
        if window is None:
            return jnp.sum(values, axis=-1)
        places = values.shape[-1] - width + 1
        return sum(lax.slice_in_dim(values, k, k + places, axis=-1) for k in range(width))

    width = None if window is None else checks.count("window", window, most=trace.shape[-1])
    noise, signal = total(trace), total(squared_norm)
    defined = signal > 0
    value = jnp.where(defined, noise / jnp.where(defined, signal, 1), jnp.nan)
    return NoiseScaleResult(*back((value, noise, signal)), defined)


def loss_and_noise(
    loss: Callable[..., Any], params: PyTree, batches: Batches, chunk: int
) -> tuple[Array, GradientNoise]:
    """The mean loss, and noise and signal of the gradient, in one pass through the batches."""
    number, examples = _leading(batches)
    chunk = checks.count("chunk", chunk, most=number)
    if number % chunk:
        raise ValueError(f"chunk is {chunk}: take a divisor of {number}, the number of batches")

    flat, _ = ravel_pytree(params)
    dtype = jnp.promote_types(flat.dtype, jnp.float32)

    def of_batch(batch: Any) -> tuple[Array, Array]:
        value, gradient = jax.value_and_grad(loss)(params, batch)
        return value.astype(dtype), ravel_pytree(gradient)[0].astype(dtype)

    def add(carry: tuple[Array, ...], part: Any) -> tuple[tuple[Array, ...], Array]:
        # Running sums about the mean: differences of large sums would cancel in single precision.
        mean, spread, seen = carry
        values, gradients = jax.vmap(of_batch)(part)
        center = jnp.mean(gradients, axis=0)
        move = center - mean
        within = jnp.sum((gradients - center) ** 2)
        spread = spread + within + jnp.sum(move**2) * seen * chunk / (seen + chunk)
        return (mean + move * chunk / (seen + chunk), spread, seen + chunk), values

    parts = jax.tree.map(lambda leaf: jnp.reshape(leaf, (-1, chunk, *leaf.shape[1:])), batches)
    zero = jnp.zeros((), dtype)
    (mean, spread, _), values = lax.scan(add, (jnp.zeros(flat.size, dtype), zero, zero), parts)
    trace = examples * spread / (number - 1)
    return jnp.mean(values), GradientNoise(trace, jnp.sum(mean**2) - trace / (examples * number))


def _leading(batches: Any) -> tuple[int, int]:
    """The numbers of batches and of examples in each."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(batches)]
    if len({shape[:2] for shape in shapes}) != 1 or len(shapes[0]) < 2 or shapes[0][0] < 2:
        raise ValueError(
            f"batches have the shapes {shapes}: take arrays with two leading axes in common, of at least two "
            "batches and of the examples in each"
        )
    return shapes[0][:2]
