r"""Stochastic approximation: minimization from noisy gradients, or from noisy values alone.

A scheme is `Scheme(init, step)`: `init(x)` makes the state, and `step(state, key)` returns the next one.

- `schemes`: `robbins_monro` follows noisy gradients, `kiefer_wolfowitz` differences of noisy values, and
  `iterates` drives either;
- `derivatives`: gradients of functions that are known exactly by forward mode, by the complex step and by
  central differences, which are witnesses of back-propagation.

Conventions: `x` is an array or a pytree of arrays. $\mu$ is the smallest eigenvalue of the Hessian at the
minimizer $x^*$: with the step $a / t$ and $2 \mu a > 1$, $\mathrm{E} |x_t - x^*|^2$ falls like $1 / t$ for
noisy gradients, and with $2 \mu a > 2/3$ and a width proportional to $t^{-1/6}$ like $t^{-2/3}$ for
differences of noisy values.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.landscape import stochastic_approximation
    >>> def gradient(x, key):
    ...     return x - 3 + jax.random.normal(key, x.shape)
    >>> scheme = stochastic_approximation.robbins_monro(gradient, gain=1.0)
    >>> path = stochastic_approximation.iterates(scheme, jnp.zeros(2), jax.random.key(0), times=(10, 10_000))
    >>> bool(jnp.max(jnp.abs(path[1] - 3)) < 0.05)
    True
"""

from jaxtheory.landscape.stochastic_approximation.derivatives import (
    central_gradient,
    complex_step_gradient,
    forward_gradient,
)
from jaxtheory.landscape.stochastic_approximation.schemes import (
    ApproximationState,
    Scheme,
    iterates,
    kiefer_wolfowitz,
    robbins_monro,
)

__all__ = [
    "ApproximationState",
    "Scheme",
    "central_gradient",
    "complex_step_gradient",
    "forward_gradient",
    "iterates",
    "kiefer_wolfowitz",
    "robbins_monro",
]
