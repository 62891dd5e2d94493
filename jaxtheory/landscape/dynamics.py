r"""Loss, sharpness and gradient noise along a training run.

The sharpness is the largest eigenvalue of the loss's Hessian. The gradient noise scale is
$\mathrm{tr}\,\Sigma / |G|^2$, with the covariance $\Sigma$ of the gradient of one example and the gradient
$G$ of the risk: batches well below it average noise away, larger ones add little.

`probe` is a pair of pure functions for a compiled training loop, `Recorder` a callback for any other loop.

Conventions: `loss(params, batch) -> scalar` is the mean over a batch. `batches` is a pytree of arrays with
two leading axes, (batches, examples).

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.landscape import dynamics
    >>> def loss(params, batch):
    ...     x, y = batch
    ...     return jnp.mean((jnp.tanh(x @ params) - y) ** 2)
    >>> x = jax.random.normal(jax.random.key(0), (8, 16, 5))
    >>> batches = (x, jnp.sin(x[..., 0]))
    >>> recorder = dynamics.Recorder(loss, batches, jax.random.key(1), every=10)
    >>> params = jnp.zeros(5)
    >>> for _ in range(30):
    ...     params = params - 0.1 * jax.grad(loss)(params, (x[0], batches[1][0]))
    ...     recorder(params)
    >>> recorder.history["step"].tolist(), recorder.history["sharpness"].shape
    ([10, 20, 30], (3,))
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int32, PyTree, Shaped, UInt32

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey, Reals, RealScalar
from jaxtheory.landscape.curvature import Operator, hessian

Batches = PyTree[Shaped[AnyArray, "batches examples ..."]]
"""Data in batches: every array has the two leading axes."""

RENEWAL = 0.1
"""The length of the random part of a start, beside the last eigenvector's length of one: without it, an
eigenvector that overtakes the one that is followed would not be seen."""


@record
class SharpnessResult:
    """An approximate largest eigenvalue with its eigenvector."""

    value: Float[Array, ""]
    """The Ritz value, which is at most the largest eigenvalue."""
    residual: Float[Array, ""]
    r"""The norm $\|H v - \lambda v\|$: an eigenvalue is at most this far away."""
    vector: PyTree
    """The eigenvector, of Euclidean norm one."""


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


@record
class Measurement:
    """What is measured at one moment of a training, or with leading axes at several."""

    loss: Float[Array, "..."]
    """The mean of the loss over all batches."""
    sharpness: Float[Array, "..."]
    """The largest eigenvalue of the Hessian."""
    residual: Float[Array, "..."]
    """The residual of this eigenvalue."""
    trace: Float[Array, "..."]
    """The trace of the covariance of one example's gradient."""
    squared_norm: Float[Array, "..."]
    """The unbiased estimate of the squared norm of the risk's gradient."""


@record
class ProbeState:
    """What a probe carries from one measurement to the next: arrays only, so that it can be stored."""

    vector: PyTree
    """The eigenvector that was found last."""
    measured: Int32[Array, ""]
    """The number of measurements made."""
    key: UInt32[Array, " words"]
    """The data of the random key, which never changes: the number of measurements is folded in."""
    implementation: str = static()
    """The implementation of the key."""


class Probe(NamedTuple):
    """A pair of pure functions that measure along a training."""

    init: Callable[[Any, Any], ProbeState]
    """The state before the first measurement: `init(params, key)`."""
    measure: Callable[[ProbeState, Any, Any], tuple[ProbeState, Measurement]]
    """The next state and what was measured: `measure(state, params, batches)`."""


@partial(jax.jit, static_argnames="steps")
def sharpness(operator: Operator, start: PyTree, *, steps: int = 10) -> SharpnessResult:
    r"""Return the largest eigenvalue of an operator by a few Lanczos steps from a given vector.

    The result is the largest Ritz pair of the Krylov space $\mathrm{span}(s, H s, \dots, H^{k-1} s)$, whose
    basis is kept orthogonal. Along a training, the eigenvector found last is a good start, and a few steps
    are enough; `spectrum.top_eigenpairs` iterates until a tolerance is met, from any start.

    Args:
        operator: The symmetric operator, such as `curvature.hessian(loss, params, batches)`.
        start: The start $s$, a pytree like a vector of the operator; its length does not matter.
        steps: The number $k$ of Lanczos steps, each of one product, from 1 to the operator's dimension. The
            memory is that of $k$ vectors.

    Returns:
        The eigenvalue, its residual, and the eigenvector. All are NaN for a start of zero.

    Raises:
        ValueError: If `steps` is out of range.
        TypeError: If `steps` is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import dynamics
        >>> from jaxtheory.landscape.curvature import Matrix
        >>> found = dynamics.sharpness(Matrix(jnp.diag(jnp.array([5.0, 2.0, 1.0]))), jnp.ones(3), steps=3)
        >>> round(float(found.value), 5)
        5.0

    References:
        Lanczos, An iteration method for the solution of the eigenvalue problem, 1950.
    """
    steps = checks.count("steps", steps, most=operator.dimension)
    flat, unravel = ravel_pytree(start)

    def project(basis: Array, vector: Array) -> Array:
        """Remove what lies in the span of the basis; twice, as once leaves a remainder of rounding."""
        for _ in range(2):
            parts = jnp.matmul(basis, vector, precision="highest")
            vector = vector - jnp.matmul(parts, basis, precision="highest")
        return vector

    def advance(carry: tuple[Array, ...], k: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        basis, vector, alive, size = carry
        basis = basis.at[k].set(vector)
        image, _ = ravel_pytree(operator.apply(unravel(vector)))
        diagonal = jnp.vdot(vector, image, precision="highest")
        size = jnp.maximum(size, jnp.linalg.norm(image))
        rest = project(basis, image)
        beta = jnp.linalg.norm(rest)
        # A remainder of rounding would be a random direction: the space is invariant, and ends here.
        going = alive & (beta > 10 * jnp.finfo(flat.dtype).eps * size)
        following = jnp.where(going, rest / jnp.where(going, beta, 1), 0)
        return (basis, following, going, size), (diagonal, jnp.where(going, beta, 0), alive)

    first = flat / jnp.linalg.norm(flat)
    begin = (jnp.zeros((steps, flat.size), flat.dtype), first, jnp.array(True), jnp.zeros((), flat.dtype))
    (basis, *_), (diagonal, beta, alive) = lax.scan(advance, begin, jnp.arange(steps))
    # Beyond the end of the space there is no Ritz value: what stands there lies below all others.
    lowest = jnp.min(jnp.where(alive, diagonal, jnp.inf)) - 2 * jnp.sum(beta) - 1
    diagonal = jnp.where(alive, diagonal, lowest)
    inner = jnp.diag(diagonal) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1)
    values, vectors = jnp.linalg.eigh(inner)
    combined = jnp.matmul(vectors[:, -1], basis, precision="highest")
    residual = jnp.abs(beta[-1] * vectors[-1, -1])
    return SharpnessResult(values[-1], residual, unravel(combined / jnp.linalg.norm(combined)))


@partial(jax.jit, static_argnames=("loss", "chunk"))
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
    number, examples = _leading(batches)
    chunk = checks.count("chunk", chunk, most=number)
    if number % chunk:
        raise ValueError(f"chunk is {chunk}: take a divisor of {number}, the number of batches")

    def gradient(batch: Any) -> Array:
        return ravel_pytree(jax.grad(loss)(params, batch))[0]

    def add(carry: tuple[Array, ...], part: Any) -> tuple[tuple[Array, ...], None]:
        # Running sums about the mean: differences of large sums would cancel in single precision.
        mean, spread, seen = carry
        gradients = jax.vmap(gradient)(part)
        center = jnp.mean(gradients, axis=0)
        move = center - mean
        within = jnp.sum((gradients - center) ** 2)
        spread = spread + within + jnp.sum(move**2) * seen * chunk / (seen + chunk)
        return (mean + move * chunk / (seen + chunk), spread, seen + chunk), None

    parts = jax.tree.map(lambda leaf: jnp.reshape(leaf, (-1, chunk, *leaf.shape[1:])), batches)
    like = jax.eval_shape(gradient, jax.tree.map(lambda leaf: leaf[0], batches))
    zero = jnp.zeros((), like.dtype)
    (mean, spread, _), _ = lax.scan(add, (jnp.zeros(like.shape, like.dtype), zero, zero), parts)
    trace = examples * spread / (number - 1)
    return GradientNoise(trace, jnp.sum(mean**2) - trace / (examples * number))


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


def probe(loss: Callable[..., Any], *, steps: int = 10, chunk: int = 1) -> Probe:
    """Return a pair of pure functions that measure loss, sharpness and gradient noise along a training.

    `init(params, key)` makes the state, and `measure(state, params, batches)` returns the next state with a
    `Measurement`; both can be called within a compiled loop, and mapped over seeds. The Lanczos steps start
    at the eigenvector that was found last, with a random part of a tenth of its length.

    Args:
        loss: The function `loss(params, batch) -> scalar`, the mean over a batch.
        steps: The number of Lanczos steps of each measurement.
        chunk: The number of batches whose gradients are computed at once.

    Returns:
        The pair of functions.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is below 1; when measuring, if it is too large for the parameters or data.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import dynamics
        >>> loss = lambda params, batch: jnp.mean((batch @ params) ** 2) / 2
        >>> init, measure = dynamics.probe(loss, steps=3)
        >>> state = init(jnp.ones(3), jax.random.key(0))
        >>> batches = jnp.sqrt(3.0) * jnp.diag(jnp.array([3.0, 2.0, 1.0]))[:, None]
        >>> state, found = measure(state, jnp.ones(3), batches)
        >>> round(float(found.loss), 4), round(float(found.sharpness), 4)
        (7.0, 9.0)

    References:
        Cohen, Kaur, Li, Kolter and Talwalkar, Gradient descent on neural networks typically occurs at the
        edge of stability, 2021.
    """
    steps, chunk = checks.count("steps", steps), checks.count("chunk", chunk)
    return Probe(_start, partial(_measure, loss=loss, steps=steps, chunk=chunk))


class Recorder:
    """Record loss, sharpness and gradient noise of a training: a callback for any loop.

    Args:
        loss: The function `loss(params, batch) -> scalar`, the mean over a batch.
        batches: The data on which is measured, with leading axes (batches, examples).
        key: The random key of the first start of the Lanczos steps.
        every: The number of calls from one measurement to the next; the others cost nothing.
        steps: The number of Lanczos steps of each measurement.
        chunk: The number of batches whose gradients are computed at once.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        batches: Batches,
        key: RandomKey,
        *,
        every: int = 1,
        steps: int = 10,
        chunk: int = 1,
    ):
        checks.random_key("key", key)
        self._probe = probe(loss, steps=steps, chunk=chunk)
        self._batches, self._key, self._every = batches, key, checks.count("every", every)
        self._calls = 0
        self._state: ProbeState | None = None
        self._measured: list[tuple[int, Measurement]] = []

    def __call__(self, params: PyTree) -> Measurement | None:
        """Count a step, and measure if it is due.

        Args:
            params: The parameters after the step.

        Returns:
            What was measured, or nothing.
        """
        self._calls += 1
        if self._calls % self._every:
            return None
        if self._state is None:
            self._state = self._probe.init(params, self._key)
        self._state, found = self._probe.measure(self._state, params, self._batches)
        self._measured.append((self._calls, found))
        return found

    @property
    def history(self) -> dict[str, np.ndarray]:
        """What was measured so far: "step", and the fields of `Measurement`, by name."""
        names = Measurement.__dataclass_fields__
        columns = {name: np.array([getattr(one, name) for _, one in self._measured]) for name in names}
        return {"step": np.array([step for step, _ in self._measured], int), **columns}


@jax.jit
def _start(params: PyTree, key: RandomKey) -> ProbeState:
    checks.random_key("key", key)
    zeros = jax.tree.map(jnp.zeros_like, params)
    implementation = str(jax.random.key_impl(key))
    return ProbeState(zeros, jnp.zeros((), jnp.int32), jax.random.key_data(key), implementation)


@partial(jax.jit, static_argnames=("loss", "steps", "chunk"))
def _measure(
    state: ProbeState, params: PyTree, batches: Batches, *, loss: Callable[..., Any], steps: int, chunk: int
) -> tuple[ProbeState, Measurement]:
    noise = gradient_noise(loss, params, batches, chunk=chunk)
    key = jax.random.wrap_key_data(state.key, impl=state.implementation)
    flat, unravel = ravel_pytree(state.vector)
    fresh = jax.random.normal(jax.random.fold_in(key, state.measured), flat.shape, flat.dtype)
    start = unravel(flat + RENEWAL * fresh / jnp.linalg.norm(fresh))
    found = sharpness(hessian(loss, params, batches), start, steps=steps)
    value = jnp.mean(lax.map(lambda batch: loss(params, batch), batches))
    after = ProbeState(found.vector, state.measured + 1, state.key, state.implementation)
    return after, Measurement(value, found.value, found.residual, noise.trace, noise.squared_norm)


def _leading(batches: Any) -> tuple[int, int]:
    """The numbers of batches and of examples in each."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(batches)]
    if len({shape[:2] for shape in shapes}) != 1 or len(shapes[0]) < 2 or shapes[0][0] < 2:
        raise ValueError(
            f"batches have the shapes {shapes}: take arrays with two leading axes in common, of at least two "
            "batches and of the examples in each"
        )
    return shapes[0][:2]
