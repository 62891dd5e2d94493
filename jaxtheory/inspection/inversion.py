r"""An input from its code: what a layer, a scattering transform or a sparse code keeps of an image.

`invert` runs to the end; `descent` is the pair of functions beneath, which is that of
`harmonic.reconstruction`, with the prior as one more statistic.

Conventions: `features(params, x)` takes one image `(H, W, C)`, or an input of any other shape, and returns
its code, a pytree of arrays. Several images are inverted side by side under `jax.vmap`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.roots import root
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.harmonic import reconstruction
from jaxtheory.inspection.activation.problems import as_partial, no_prior


@record
class InversionResult:
    """An input whose code is near to a given one, under a prior."""

    x: Float[Array, "..."]
    """The input."""
    residual: Float[Array, ""]
    """The norm of its code less the given one, over the norm of the given one."""
    prior: Float[Array, ""]
    """The value of the prior."""
    objective: Float[Array, ""]
    """The square of the residual plus the prior."""
    steps: Int[Array, ""]
    """The number of steps taken."""
    converged: Bool[Array, ""]
    """Whether the norm of the objective's gradient came down to the tolerance."""


def descent(
    features: Callable[[Any, Any], PyTree],
    params: PyTree,
    target: PyTree,
    *,
    prior: Callable[[Any], Any] | None = None,
) -> reconstruction.Descent:
    r"""Return the pair of functions that moves an input towards one with a given code, step by step.

    $\min_x \| \Phi(x) - \Phi_0 \|^2 / \| \Phi_0 \|^2 + R(x)$ by the method of L-BFGS with a line search: the
    descent of `harmonic.reconstruction` on the statistics $\Phi(x) / \| \Phi_0 \|$ and $\sqrt{R(x)}$, whose
    targets are $\Phi_0 / \| \Phi_0 \|$ and zero. The square of the state's `residual` is the objective.

    Args:
        features: The function $\Phi$ of parameters and one input, which returns a pytree of arrays. A
            `jax.tree_util.Partial` keeps the arrays in it out of the compiled program; keep the function for
            the next call, which is compiled for it.
        params: The parameters, as `features` takes them.
        target: The code $\Phi_0$, a pytree as `features` returns it.
        prior: The prior $R$, a nonnegative function of one input, such as those of `inspection.priors`; by
            default zero.

    Returns:
        The functions `init(x)` and `step(state)`, both compiled.

    Raises:
        TypeError: If a function is none, or the code holds something else than numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import inversion
        >>> pair = inversion.descent(jnp.multiply, jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0]))
        >>> state = pair.step(pair.init(jnp.zeros(2)))
        >>> state.step.item(), bool(state.residual < 1)
        (1, True)

    References:
        Aravindh Mahendran and Andrea Vedaldi, "Understanding deep image representations by inverting them",
        2015.
    """
    features = as_partial("features", features, "parameters and an input")
    prior = as_partial("prior", no_prior if prior is None else prior, "an input")
    target = jax.tree.map(lambda leaf: jnp.asarray(as_array("target", leaf)), target)
    norm = jnp.sqrt(sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(target)))
    norm = jnp.where(norm > 0, norm, 1)
    statistics = Partial(_statistics, features, params, norm, prior)
    return reconstruction.descent(statistics, (_over(target, norm), jnp.zeros((), norm.dtype)))


def invert(
    features: Callable[[Any, Any], PyTree],
    params: PyTree,
    target: PyTree,
    x: Real[AnyArray, "..."],
    *,
    prior: Callable[[Any], Any] | None = None,
    max_steps: int = 200,
    tolerance: RealScalar | None = None,
) -> InversionResult:
    r"""Find an input whose code is a given one, under a prior.

    $\min_x \| \Phi(x) - \Phi_0 \|^2 / \| \Phi_0 \|^2 + R(x)$ by L-BFGS from `x`. Where several inputs have
    the code, the prior and the start decide what is found.

    Args:
        features: The function $\Phi$ of parameters and one input, as for `descent`.
        params: The parameters, as `features` takes them.
        target: The code $\Phi_0$, a pytree as `features` returns it.
        x: The input to start from, such as weak noise about gray.
        prior: The prior $R$, a nonnegative function of one input; by default zero.
        max_steps: The largest number of steps, at least 1.
        tolerance: The norm of the objective's gradient at which it stops, relative to that at the start, 0 or
            more; by default the square root of the dtype's rounding unit.

    Returns:
        What was found, with its residual.

    Raises:
        TypeError: If a function is none, `x` is complex or not an array of numbers, or an option is not a
            number.
        ValueError: If an option is out of its range, or `target` is of another form than the features.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.inspection import inversion
        >>> weights = jax.random.normal(jax.random.key(0), (3, 12))
        >>> def layer(weights, x):
        ...     return jax.nn.relu(x @ weights)
        >>> x = jnp.array([1.0, -2.0, 0.5])
        >>> found = inversion.invert(layer, weights, layer(weights, x), jnp.ones(3))
        >>> bool(jnp.allclose(found.x, x, atol=1e-2))
        True

    References:
        Aravindh Mahendran and Andrea Vedaldi, "Understanding deep image representations by inverting them",
        2015.
    """
    (x,), back = real_arrays(x=x)
    max_steps = checks.count("max_steps", max_steps)
    if tolerance is None:
        tolerance = float(jnp.finfo(x.dtype).eps) ** 0.5
    checks.nonnegative("tolerance", tolerance, one=True)
    pair = descent(features, params, target, prior=prior)
    statistics, goals = pair.init.args
    _check_form(jax.eval_shape(statistics, x)[0], goals[0])
    return back(_invert(statistics, goals, x, jnp.asarray(tolerance, x.dtype), max_steps))


def _check_form(found: PyTree, target: PyTree) -> None:
    """Refuse a code that no input can have."""
    form, given_form = jax.tree.structure(found), jax.tree.structure(target)
    if form != given_form:
        raise ValueError(f"target is the tree {given_form}: take {form}, as features returns")
    wanted, given = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (found, target))
    if wanted != given:
        raise ValueError(f"target has the shapes {given}: take {wanted}, as features returns")


def _over(tree: PyTree, norm: Array) -> PyTree:
    return jax.tree.map(lambda leaf: leaf / norm, tree)


def _statistics(features: Partial, params: PyTree, norm: Array, prior: Partial, x: Array) -> Any:
    """The code over the norm of the given one, and the root of the prior."""
    return _over(features(params, x), norm), root(prior(x))


@jax.jit
def _invert(
    statistics: Partial, target: PyTree, x: Array, tolerance: Array, max_steps: Array | int
) -> InversionResult:
    pair = reconstruction.descent(statistics, target)
    start = pair.init(x)
    goal = tolerance * jnp.linalg.norm(start.slope.ravel())

    def is_done(state: reconstruction.DescentState) -> Array:
        return jnp.linalg.norm(state.slope.ravel()) <= goal

    state = lax.while_loop(lambda state: ~is_done(state) & (state.step < max_steps), pair.step, start)
    code, weight = statistics(state.x)
    apart = jax.tree.leaves(jax.tree.map(jnp.subtract, code, target[0]))
    square = sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in apart)
    return InversionResult(
        x=state.x,
        residual=root(square),
        prior=weight**2,
        objective=square + weight**2,
        steps=state.step,
        converged=is_done(state),
    )
