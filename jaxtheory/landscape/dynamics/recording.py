"""Loss, sharpness and gradient noise along a training: within compiled loops, and as a callback."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int32, PyTree, UInt32

from jaxtheory.core import checks, trees
from jaxtheory.core.records import record, static
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature import hessian
from jaxtheory.landscape.dynamics.eigenvalue import sharpness
from jaxtheory.landscape.dynamics.noise import Batches, loss_and_noise

RENEWAL = 0.1
"""The length of the random part of a start, beside the last eigenvector's length of one: without it, an
eigenvector that overtakes the one that is followed would not be seen."""


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

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import dynamics
        >>> loss = lambda params, batch: jnp.mean((batch @ params - 1) ** 2) / 2
        >>> batches = jax.random.normal(jax.random.key(0), (20, 4, 3))
        >>> recorder = dynamics.Recorder(loss, batches, jax.random.key(1), every=2, steps=3)
        >>> params = jnp.zeros(3)
        >>> for batch in batches:
        ...     params = params - 0.1 * jax.grad(loss)(params, batch)
        ...     _ = recorder(params)
        >>> history = recorder.history
        >>> dynamics.noise_scale(history["trace"], history["squared_norm"], window=5).value.shape
        (6,)
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


def _start(params: PyTree, key: RandomKey) -> ProbeState:
    trees.check_numbers("params", params)
    checks.random_key("key", key)
    return _begin(params, key)


@jax.jit
def _begin(params: PyTree, key: RandomKey) -> ProbeState:
    zeros = jax.tree.map(jnp.zeros_like, params)
    implementation = str(jax.random.key_impl(key))
    return ProbeState(zeros, jnp.zeros((), jnp.int32), jax.random.key_data(key), implementation)


def _measure(
    state: ProbeState, params: PyTree, batches: Batches, **options: Any
) -> tuple[ProbeState, Measurement]:
    trees.check_numbers("params", params)
    trees.check_numbers("batches", batches)
    return _measured(state, params, batches, **options)


@partial(jax.jit, static_argnames=("loss", "steps", "chunk"))
def _measured(
    state: ProbeState, params: PyTree, batches: Batches, *, loss: Callable[..., Any], steps: int, chunk: int
) -> tuple[ProbeState, Measurement]:
    value, noise = loss_and_noise(loss, params, batches, chunk)
    key = jax.random.wrap_key_data(state.key, impl=state.implementation)
    flat, unravel = ravel_pytree(state.vector)
    fresh = jax.random.normal(jax.random.fold_in(key, state.measured), flat.shape, flat.dtype)
    start = unravel(flat + RENEWAL * fresh / jnp.linalg.norm(fresh))
    found = sharpness(hessian(loss, params, batches), start, steps=steps)
    after = ProbeState(found.vector, state.measured + 1, state.key, state.implementation)
    return after, Measurement(value, found.value, found.residual, noise.trace, noise.squared_norm)
