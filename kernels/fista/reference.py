r"""FISTA for the lasso with a Gram matrix, as JAX: the definition, and what processors run."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax


def shrink(x: Array, threshold: Array, *, nonnegative: bool) -> Array:
    """The soft threshold, or the nonnegative one."""
    above = jnp.maximum(x - threshold, 0)
    # Without `sign`, which Mosaic cannot lower away from its device.
    return above if nonnegative else above - jnp.maximum(-x - threshold, 0)


def extrapolate(codes: Array, before: Array, t: Array) -> tuple[Array, Array]:
    """The point beyond the codes from which the next step is taken, and the next t."""
    after = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
    return codes + (t - 1) / after * (codes - before), after


@partial(jax.jit, static_argnames=("steps", "nonnegative"))
def gram_fista(
    gram: Array, correlations: Array, penalty: Array, step_size: Array, *, steps: int, nonnegative: bool
) -> Array:
    """What `api.gram_fista` computes, of arguments that are checked and of one dtype."""

    def step(_: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        before, point, t = carry
        slope = jnp.matmul(point, gram, precision="highest") - correlations
        codes = shrink(point - step_size * slope, step_size * penalty, nonnegative=nonnegative)
        return codes, *extrapolate(codes, before, t)

    zeros = jnp.zeros_like(correlations)
    return lax.fori_loop(0, steps, step, (zeros, zeros, jnp.ones((), correlations.dtype)))[0]
