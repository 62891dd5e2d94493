r"""Alignment of networks by permutations of their hidden units, which leave the function as it is.

Two networks trained from different starts may have learned the same units in different orders. Weight
matching looks for the order of one that is nearest to the other: permutations $P$ that maximize the inner
product $\langle \theta_A, P \theta_B \rangle$, layer by layer, each layer's a linear assignment problem.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record, static
from jaxtheory.core.trees import inner, real_leaves, same_form
from jaxtheory.core.types import RandomKey


@record
class AlignmentResult:
    """A network with its hidden units in the order of another's."""

    params: PyTree
    """The permuted parameters, which are the same function as before."""
    permutations: dict[str, Int[Array, " units"]]
    """The old place of each unit by group: unit i is what unit `permutations[group][i]` was."""
    similarity: Float[Array, ""]
    """The inner product of the permuted parameters with the reference."""
    steps: int = static()
    """The number of sweeps over all groups."""
    converged: bool = static()
    """Whether the last sweep changed no permutation: no group alone can be improved."""


def layer_groups(params: PyTree) -> PyTree:
    """Return the groups of units of a multilayer perceptron, as `match_weights` takes them.

    Args:
        params: The parameters of a `networks.mlp.MLP`, `{"layers": {"0": {"kernel", "bias"}, ...}}`, with or
            without biases.

    Returns:
        A tuple for each array, with the name of the group of units along each axis, or `None` for inputs and
        outputs, whose order is fixed.

    Raises:
        ValueError: If the parameters are not those of a multilayer perceptron.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> first = {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}
        >>> groups = connectivity.layer_groups({"layers": {"0": first, "1": {"kernel": jnp.ones((3, 2))}}})
        >>> groups["layers"]["0"]
        {'bias': ('layer 0',), 'kernel': (None, 'layer 0')}
    """
    layers = params.get("layers") if isinstance(params, Mapping) else None
    places = sorted(layers, key=lambda one: (len(one), one)) if isinstance(layers, Mapping) else []
    is_perceptron = bool(places) and places == [str(k) for k in range(len(places))]
    for place in places:
        parts = layers[place]
        is_perceptron &= isinstance(parts, Mapping) and {"kernel"} <= set(parts) <= {"kernel", "bias"}
        is_perceptron = is_perceptron and jnp.ndim(parts["kernel"]) == 2
    if not is_perceptron:
        raise ValueError(
            'params are not those of a multilayer perceptron, {"layers": {"0": {"kernel", "bias"}, ...}}: '
            "write the groups of your network, a tuple for each array with a name or None for each axis"
        )
    names = [None, *(f"layer {place}" for place in places[:-1]), None]

    def of_layer(k: int) -> dict[str, tuple[str | None, ...]]:
        both = {"bias": (names[k + 1],), "kernel": (names[k], names[k + 1])}
        return {part: both[part] for part in sorted(layers[places[k]])}

    return {"layers": {place: of_layer(k) for k, place in enumerate(places)}}


def permute_units(params: PyTree, groups: PyTree, permutations: Mapping[str, Any]) -> PyTree:
    """Permute units: along each axis of a group, the i-th entry becomes what entry `permutation[i]` was.

    Args:
        params: The parameters, a pytree of arrays.
        groups: The groups: a tuple for each array, with the name of a group or `None` for each axis.
        permutations: The permutations by group; a group that is not among them stays as it is.

    Returns:
        The permuted parameters.

    Raises:
        TypeError: If the parameters are not real floating-point arrays.
        ValueError: If the groups do not fit the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> params, groups = {"w": jnp.array([[1.0, 2.0, 3.0]])}, {"w": (None, "hidden")}
        >>> connectivity.permute_units(params, groups, {"hidden": jnp.array([2, 0, 1])})["w"]
        Array([[3., 1., 2.]], dtype=float32)
    """
    params = real_leaves("params", params)
    _sizes(params, groups)
    return _permuted(params, groups, permutations)


def match_weights(
    params: PyTree, reference: PyTree, groups: PyTree, key: RandomKey, *, max_steps: int = 100
) -> AlignmentResult:
    r"""Permute the hidden units of a network so that its weights match those of a reference.

    Coordinate ascent on $\langle \theta_A, P \theta_B \rangle$: one group of units after the other, in random
    order, is given its best permutation for those of the others (SciPy's `linear_sum_assignment`), until a
    sweep over all groups changes none. It runs on the host, and is not traced.

    Args:
        params: The parameters $\theta_B$ that are permuted.
        reference: The parameters $\theta_A$, of the same structure and shapes.
        groups: The groups of units: a tuple for each array, with the name of a group or `None` for each
            axis; `layer_groups` gives those of a multilayer perceptron.
        key: The random key of the order of groups.
        max_steps: The largest number of sweeps over all groups, at least 1.

    Returns:
        The permuted parameters and the permutations: a local maximum, which for one group is the global one.

    Raises:
        TypeError: If the parameters are not real floating-point arrays, or are traced.
        ValueError: If parameters, reference and groups do not fit one another.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import connectivity
        >>> reference, groups = {"w": jnp.eye(3)}, {"w": (None, "hidden")}
        >>> shuffled = {"w": jnp.eye(3)[:, jnp.array([2, 0, 1])]}
        >>> found = connectivity.match_weights(shuffled, reference, groups, jax.random.key(0))
        >>> bool((found.params["w"] == jnp.eye(3)).all()), found.permutations["hidden"]
        (True, Array([1, 2, 0], dtype=int32))

    References:
        Samuel Ainsworth, Jonathan Hayase and Siddhartha Srinivasa, Git Re-Basin: merging models modulo
        permutation symmetries, 2023.
    """
    # JAX requires SciPy, so that it is there.
    from scipy.optimize import linear_sum_assignment

    params = real_leaves("params", params)
    reference = same_form("reference", reference, params)
    checks.random_key("key", key)
    max_steps = checks.count("max_steps", max_steps)
    if not all(map(checks.known, jax.tree.leaves((params, reference)))):
        raise TypeError("params are traced: call match_weights outside jit, vmap and grad")
    sizes = _sizes(params, groups)
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, reference))
    moved, fixed = (jax.tree.leaves(tree) for tree in wide)
    axes = jax.tree.structure(params).flatten_up_to(groups)
    found = {name: np.arange(size) for name, size in sizes.items()}
    generator = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))).tolist())
    converged, steps = not sizes, 0
    while not converged and steps < max_steps:
        steps, converged = steps + 1, True
        for name in generator.permutation(list(sizes)):
            scores = np.zeros((sizes[name], sizes[name]))
            others = {group: order for group, order in found.items() if group != name}
            for one, other, names in zip(moved, fixed, axes):
                if name in names:
                    place = names.index(name)
                    taken = _ordered(one, names, others)
                    rows = (np.moveaxis(array, place, 0).reshape(sizes[name], -1) for array in (other, taken))
                    scores += np.matmul(next(rows), next(rows).T)
            order = linear_sum_assignment(scores, maximize=True)[1]
            # Of equal sums the old order is kept, or the sweeps might not end.
            places = np.arange(sizes[name])
            gain = scores[places, order].sum() - scores[places, found[name]].sum()
            if gain > 1e-12 * np.abs(scores[places, order]).sum():
                found[name], converged = order, False
    permutations = {name: jnp.asarray(order, jnp.int32) for name, order in found.items()}
    permuted = _permuted(params, groups, permutations)
    return AlignmentResult(permuted, permutations, inner(permuted, reference), steps, converged)


def _ordered(array: Any, names: tuple[str | None, ...], permutations: Mapping[str, Any]) -> Any:
    for axis, name in enumerate(names):
        if name in permutations:
            array = array.take(permutations[name], axis)
    return array


def _permuted(params: PyTree, groups: PyTree, permutations: Mapping[str, Any]) -> PyTree:
    return jax.tree.map(lambda leaf, names: _ordered(leaf, tuple(names), permutations), params, groups)


def _sizes(params: PyTree, groups: PyTree) -> dict[str, int]:
    """The number of units of each group, whose axes must agree."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    try:
        found = structure.flatten_up_to(groups)
    except ValueError as error:
        raise ValueError(
            "groups have another structure than params: take a tuple for each array, with a name or None for "
            "each axis"
        ) from error
    sizes: dict[str, int] = {}
    for (path, leaf), names in zip(leaves, found):
        place, axes = jax.tree_util.keystr(path), jnp.ndim(leaf)
        if not isinstance(names, tuple) or len(names) != axes:
            raise ValueError(
                f"groups{place} is {names!r:.60}: take a tuple of {axes}, a name or None for each axis"
            )
        for name, size in zip(names, jnp.shape(leaf)):
            if name is not None and names.count(name) > 1:
                raise ValueError(f"groups{place} names {name!r} twice: take a group once for each array")
            if name is not None and sizes.setdefault(name, size) != size:
                raise ValueError(
                    f"groups{place} gives {name!r} {size} units where another array gives it {sizes[name]}: "
                    "take groups whose axes have one length"
                )
    return sizes
