r"""Networks whose first layers are copied from another, frozen or tuned: how far features are general.

Parameters are any pytree: a *layer* is a container that holds arrays itself, such as `{"kernel", "bias"}` or
a pair `(kernel, bias)`; arrays at the top, as in a list of matrices, are layers of their own. Layers follow
one another as the pytree has them, numbers among the keys as numbers, "10" after "9"; `order=` says
otherwise. A *part* is a pytree of truth values like the parameters: `first` makes that of the first layers.
`begin` returns the parameters at the start of one of the protocols of Yosinski et al., and `freeze` an
optimizer that leaves a part as it is.

Example:
    >>> import jax, optax
    >>> from functools import partial
    >>> from jaxtheory import networks
    >>> from jaxtheory.inspection import transfer
    >>> from jaxtheory.networks.mlp import MLP
    >>> init, _ = networks.functional(partial(MLP, (4, 8, 8, 2)))
    >>> source, target = (init(jax.random.key(seed))[0] for seed in (0, 1))
    >>> part = transfer.first(target, 2)
    >>> params, frozen = transfer.begin("copied and frozen", source, target, part)
    >>> optimizer = transfer.freeze(optax.adam(1e-3), frozen)
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> [bool((updates["layers"][name]["kernel"] == 0).all()) for name in ("0", "1", "2")]
    [True, True, False]

References:
    Jason Yosinski, Jeff Clune, Yoshua Bengio and Hod Lipson, "How transferable are features in deep neural
    networks?", 2014.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxtheory.core import checks
from jaxtheory.core.trees import check_numbers
from jaxtheory.core.types import Integers

if TYPE_CHECKING:
    import optax

PROTOCOLS = ("copied and frozen", "copied and tuned", "random and frozen")
"""What becomes of the first layers: copied from a source or drawn at random, left as they are or trained."""


def layers(params: PyTree, *, order: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the layers of a network, the first one first.

    Args:
        params: The parameters.
        order: The names at the top of the pytree, in the order in which data pass them; by default the
            pytree's own, which is alphabetical for dictionaries.

    Returns:
        The places of the layers in the pytree, such as `"layers/0"`.

    Raises:
        TypeError: If a leaf is not an array of numbers.
        ValueError: If there is no layer, or the order does not name each top of the pytree once.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.inspection import transfer
        >>> dense = {"kernel": np.ones((2, 2)), "bias": np.ones(2)}
        >>> transfer.layers({"body": {"10": dense, "9": dense}, "an_end": dense}, order=("body", "an_end"))
        ('body/9', 'body/10', 'an_end')
    """
    return tuple(dict.fromkeys(text for _, text in sorted(_places(params, order))))


def first(params: PyTree, number: Integers, *, order: Sequence[str] = ()) -> PyTree:
    """Return the part of the parameters that the first layers have.

    Args:
        params: The parameters.
        number: The number of layers, from 0 to all; it may be traced, to map over several.
        order: The names at the top of the pytree, as `layers` takes them.

    Returns:
        A truth value for each array of the parameters.

    Raises:
        TypeError: If a leaf is not an array of numbers, or the number is not a whole one.
        ValueError: If there are fewer layers, or the order does not name each top of the pytree once.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.inspection import transfer
        >>> transfer.first([(np.ones((3, 4)), np.ones(4)), (np.ones((4, 2)), np.ones(2))], 1)
        [(True, True), (False, False)]
    """
    places = _places(params, order)
    ranks = {text: rank for rank, text in enumerate(dict.fromkeys(text for _, text in sorted(places)))}
    if checks.known(number):
        number = checks.count("number", number, least=0, most=len(ranks))
    return jax.tree.unflatten(jax.tree.structure(params), [ranks[text] < number for _, text in places])


def begin(protocol: str, source: PyTree, params: PyTree, part: PyTree) -> tuple[PyTree, PyTree]:
    """Return the parameters from which a protocol starts, and the part of them that stays as it is.

    Args:
        protocol: The protocol, one of `PROTOCOLS`: `"copied and frozen"` and `"copied and tuned"` take the
            part from the source, `"random and frozen"` leaves it as it was drawn.
        source: The parameters of the network that was trained before, with the shapes of `params` in the
            part; elsewhere they may have others, as an output for other classes.
        params: The parameters of the new network as they were drawn.
        part: The part that is copied or frozen, from `first`, or any pytree of truth values.

    Returns:
        The parameters, and the part for `freeze`; that of a protocol that tunes is false everywhere.

    Raises:
        TypeError: If a leaf is not an array of numbers.
        ValueError: If no protocol has the name, or the pytrees have other structures or, in the part, shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import transfer
        >>> source, params = [jnp.ones(2), jnp.ones(3)], [jnp.zeros(2), jnp.zeros(1)]
        >>> transfer.begin("copied and tuned", source, params, transfer.first(params, 1))
        ([Array([1., 1.], dtype=float32), Array([0.], dtype=float32)], [False, False])
    """
    checks.one_of("protocol", protocol, PROTOCOLS)
    check_numbers("params", params)
    check_numbers("source", source)
    for name, tree in (("source", source), ("part", part)):
        _check_structure(name, tree, params)
    if protocol != "random and frozen":
        params = jax.tree_util.tree_map_with_path(_copied, params, source, part)
    return params, jax.tree.map(lambda _: False, part) if protocol == "copied and tuned" else part


def freeze(optimizer: "optax.GradientTransformation", part: PyTree) -> "optax.GradientTransformation":
    """Return an optimizer that leaves a part of the parameters as it is, and trains the rest.

    The optimizer sees gradients of zero in the part, and its updates there, such as weight decay, are
    dropped. Truth values may be traced, to map over parts; the optimizer's state has the form that it has
    without freezing.

    Args:
        optimizer: One of optax's optimizers.
        part: The part to freeze, a truth value for each array of the parameters.

    Returns:
        The optimizer, for `networks.training` and every other loop.

    Raises:
        ValueError: When it is used, if the part has another structure than the parameters.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from jaxtheory.inspection import transfer
        >>> optimizer = transfer.freeze(optax.adamw(0.1), {"w": True, "b": False})
        >>> params = {"w": jnp.ones(()), "b": jnp.ones(())}
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> float(updates["w"]), round(float(updates["b"]), 2)
        (0.0, -0.1)
    """
    import optax

    inner = optax.with_extra_args_support(optimizer)

    def init(params: PyTree) -> Any:
        _check_structure("part", part, params)
        return inner.init(params)

    def update(updates: PyTree, state: Any, params: PyTree = None, **options: Any) -> tuple[PyTree, Any]:
        moved, state = inner.update(_zeroed(updates, part), state, params, **options)
        return _zeroed(moved, part), state

    return optax.GradientTransformationExtraArgs(init, update)


def _zeroed(tree: PyTree, part: PyTree) -> PyTree:
    """The arrays of a pytree, those of a part as zeros."""
    return jax.tree.map(lambda leaf, within: jnp.where(within, 0, leaf).astype(leaf.dtype), tree, part)


def _copied(path: Any, leaf: Any, other: Any, within: Any) -> Any:
    """An array of the source where the part says so."""
    if checks.known(within) and not within:
        return leaf
    if jnp.shape(leaf) != jnp.shape(other):
        place = jax.tree_util.keystr(path)
        raise ValueError(
            f"source{place} has the shape {jnp.shape(other)}: take {jnp.shape(leaf)}, as the part is copied"
        )
    return jnp.where(within, other, leaf).astype(jnp.asarray(leaf).dtype)


def _check_structure(name: str, tree: PyTree, params: PyTree) -> None:
    """Refuses a pytree of another structure than the parameters."""
    found, wanted = jax.tree.structure(tree), jax.tree.structure(params)
    if found != wanted:
        raise ValueError(f"{name} is {found}: take the structure of the parameters, {wanted}")


def _places(params: PyTree, order: Sequence[str]) -> list[tuple[tuple[int, ...], str]]:
    """For each leaf, the place of its layer: numbers that sort as data pass the layers, and the text."""
    check_numbers("params", params)
    paths = [
        tuple(jax.tree_util.keystr((key,), simple=True) for key in path)
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]
    if not paths or () in paths:
        raise ValueError("params holds no layer: take a pytree with arrays in it, such as a list of layers")
    tops = tuple(dict.fromkeys(path[0] for path in paths))
    if order and sorted(order) != sorted(tops):
        raise ValueError(f"order is {tuple(order)}: take each of {tops} once")
    # An array at the top is a layer of its own.
    holders = [path[:-1] or path for path in paths]
    ranks = {name: rank for rank, name in enumerate(order)}
    seen: dict[tuple[str, ...], int] = {}

    def rank(path: tuple[str, ...]) -> int:
        if len(path) == 1 and path[0] in ranks:
            return ranks[path[0]]
        return int(path[-1]) if path[-1].isdigit() else seen.setdefault(path, len(seen))

    return [(tuple(rank(path[: end + 1]) for end in range(len(path))), "/".join(path)) for path in holders]
