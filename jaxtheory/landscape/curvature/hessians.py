"""The Hessian of a loss, as products with vectors."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jaxtheory.core.records import record, static
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature import losses, means, parameters
from jaxtheory.landscape.curvature.batches import Batch, Batches, take


@record
class Hessian(means.Mean):
    """The Hessian of the mean of a loss over batches, by forward over reverse mode."""

    params: PyTree
    fixed: PyTree
    batches: Batches | None
    key: RandomKey | None
    loss: Callable[..., Any] = static()

    def value(self, one: Batch) -> Float[Array, ""]:
        return self._loss(one)(self.params)

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        return jax.jvp(jax.grad(self._loss(one)), (self.params,), (vector,))[1]

    def _loss(self, one: Batch) -> Callable[[PyTree], Float[Array, ""]]:
        return lambda params: self.loss(
            parameters.merge(params, self.fixed), one.data, *losses.of_batch(self.key, one)
        )


def hessian(
    loss: Callable[..., Any],
    params: PyTree,
    batches: PyTree,
    *,
    part: PyTree | None = None,
    mesh: Mesh | None = None,
    key: RandomKey | None = None,
) -> Hessian:
    r"""Return the Hessian $\nabla^2 L(w)$ of a mean loss $L(w) = \sum_b \frac{n_b}{n} \ell(w, b)$.

    Products are computed anew for each batch by forward over reverse mode, in memory that does not grow with
    the number of batches.

    Args:
        loss: The function `loss(params, batch) -> scalar`, the mean over a batch; one that draws takes a
            random key as its third argument. Programs are compiled for it, so keep it from call to call.
        params: The parameters $w$, a pytree of real floating-point arrays.
        batches: A pytree of arrays with leading axes (batches, examples), or a list of batches of any size,
            each taken with its number of examples $n_b$.
        part: The parameters that vary, as a pytree of truth values like `params` or the upper part of one;
            by default all.
        mesh: The devices among which the batches are divided; by default one device has them all.
        key: The random key of a loss that draws; each batch draws by a key of its own, the same in every
            product.

    Returns:
        The operator.

    Raises:
        TypeError: If parameters are not real floating-point arrays, or a key is missing or too many.
        ValueError: If the loss is not a scalar or not finite, or the batches are of unequal structure.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> loss = lambda params, batch: jnp.mean((batch @ params) ** 2) / 2
        >>> operator = curvature.hessian(loss, jnp.zeros(2), [jnp.eye(2), 3 * jnp.eye(2)])
        >>> operator.matvec(jnp.array([1.0, 2.0]))
        Array([2.5, 5. ], dtype=float32)

    References:
        Pearlmutter, Fast exact multiplication by the Hessian, 1994.
    """
    varied, fixed = parameters.split(params, part)
    key = losses.checked_key("loss", loss, ("params", "batch"), key)
    operator = Hessian(params=varied, fixed=fixed, batches=take(batches, mesh), key=key, loss=loss)
    value = jax.eval_shape(operator.value, operator.batches.first())
    losses.shaped("loss", value, (), "one number, as the mean over the batch")
    return means.finite("loss", operator)
