"""The bridge from `flax.nnx` modules to pure functions over plain dictionaries."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtheory.core import checks

Path = tuple[str, ...]


class Functional(NamedTuple):
    """A module as two pure functions; unpacks as `init, apply = functional(make)`."""

    init: Callable[..., Any]
    """`init(key) -> (params, state)`."""
    apply: Callable[..., Any]
    """`apply(params, state, x, *, key=None, train=False) -> (y, state)`."""


def functional(make: Callable[..., Any]) -> Functional:
    """Turn a `flax.nnx` module into a pair of pure functions.

    `init(key) -> (params, state)` draws the parameters, `nnx.Param`, and whatever else the module keeps,
    such as batch statistics: nested dictionaries of arrays, named by attribute and by place in a list ("0",
    "1", ...). `apply(params, state, x, *, key=None, train=False) -> (y, state)` calls the module on `x`,
    after its `train()` or its `eval()`. Every random stream in the module (dropout, noise) starts from a
    fold of `key`, so that the same key gives the same output. Values that the module creates when it is
    called are not part of the state. Both functions are compiled, and compose with `jit`, `vmap` (over keys:
    an ensemble of seeds), `grad`, `jvp`, `eval_shape` and `export`.

    The structure of the module is found here, once, without allocating an array: call `functional` once for
    a network, as compiled programs are kept for each pair that it returns.

    Args:
        make: A function from `nnx.Rngs` to an `nnx.Module` that is called with one argument, `x`.

    Returns:
        The pair `init`, `apply`. `apply` raises a ValueError when the module draws random numbers without a
        key, and when `params` or `state` are of another structure. A module that wraps its random streams in
        a lifted transformation, such as `nnx.scan`, needs a key in either mode.

    Raises:
        TypeError: If `make` is a module itself or not a function, or returns anything other than a module or
            one that holds a JAX array outside an `nnx.Variable`; from `init`, if `key` is not a random
            key.
        ValueError: From `apply`, if `params` or `state` have another structure, or a key is missing.

    Example:
        >>> import jax
        >>> from jaxtheory import networks
        >>> from jaxtheory.networks.mlp import MLP
        >>> init, apply = networks.functional(lambda rngs: MLP((2, 8, 3), rngs))
        >>> params, state = init(jax.random.key(0))
        >>> jax.tree.map(lambda leaf: leaf.shape, params["layers"]["1"])
        {'bias': (3,), 'kernel': (8, 3)}
        >>> y, state = apply(params, state, jax.numpy.ones((5, 2)))
        >>> y.shape
        (5, 3)
        >>> seeds = jax.random.split(jax.random.key(1), 4)
        >>> jax.vmap(init)(seeds)[0]["layers"]["1"]["kernel"].shape
        (4, 8, 3)
    """
    from flax import nnx

    if isinstance(make, nnx.Module):
        name = type(make).__name__
        raise TypeError(
            f"make is a {name}, a module: take what makes it, as lambda rngs: {name}(..., rngs=rngs)"
        )
    if not callable(make):
        raise TypeError(f"make is a {type(make).__name__}: take a function from nnx.Rngs to a module")
    module = nnx.eval_shape(lambda: _checked_module(make))
    graphs = {}
    for train in (False, True):
        (module.train if train else module.eval)()
        graphs[train], variables = nnx.split(module)
    variables = dict(nnx.to_flat_state(variables))
    params = {path: _texts(path) for path, one in variables.items() if isinstance(one, nnx.Param)}
    streams = {path: one for path, one in variables.items() if isinstance(one, nnx.RngState)}
    rest = {path: _texts(path) for path in variables if path not in params and path not in streams}
    trees = {
        name: jax.tree.structure(_nested(dict.fromkeys(paths.values(), 0)))
        for name, paths in (("params", params), ("state", rest))
    }

    @jax.jit
    def init(key: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        checks.random_key("key", key)
        _, values = nnx.split(make(nnx.Rngs(key)))
        values = {path: _value(one) for path, one in nnx.to_flat_state(values)}
        return tuple(
            _nested({text: values[path] for path, text in paths.items()}) for paths in (params, rest)
        )

    @partial(jax.jit, static_argnames=("train",))
    def apply(given: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        for name, tree in (("params", given), ("state", state)):
            found = jax.tree.structure(tree)
            if found != trees[name]:
                raise ValueError(f"{name} are {found}: take what this module's init returned, {trees[name]}")
        arrays = _started(streams, key)
        for paths, tree in ((params, given), (rest, state)):
            arrays |= {path: _leaf(tree, text) for path, text in paths.items()}
        module = nnx.merge(graphs[train], nnx.from_flat_state(_refilled(variables, arrays)))
        y = module(x)
        after = {path: _value(one) for path, one in nnx.to_flat_state(nnx.state(module))}
        if key is None and any(after[path] is not arrays[path] for path in streams):
            raise ValueError(
                f"key is None: take a random key, as this module draws random numbers with train={train}"
            )
        return y, _nested({text: after[path] for path, text in rest.items()})

    return Functional(init, apply)


def _checked_module(make: Callable[..., Any]) -> Any:
    """The module, known to be one whose arrays Flax finds."""
    from flax import nnx

    module = make(nnx.Rngs(0))
    if not isinstance(module, nnx.Module):
        raise TypeError(f"make returns a {type(module).__name__}: take a function that returns an nnx.Module")
    # Flax takes a traced array for a static fact of its module, and fails later without naming it.
    for path, part in nnx.iter_modules(module):
        for name, value in vars(part).items():
            if isinstance(value, jax.Array):
                place = ".".join((*_texts(path), name))
                raise TypeError(
                    f"make returns a module whose attribute {place} is a JAX array: take an nnx.Variable or "
                    "a NumPy array"
                )
    return module


def _texts(path: tuple[Any, ...]) -> Path:
    # Numbers would not export: dictionaries are serialised with texts as keys only.
    return tuple(str(part) for part in path)


def _value(variable: Any) -> Any:
    """The array in a variable, or the array that an attribute is."""
    return variable.get_value() if hasattr(variable, "get_value") else variable


def _refilled(variables: dict[Any, Any], arrays: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return [
        (path, one.replace(arrays[path]) if hasattr(one, "replace") else arrays[path])
        for path, one in variables.items()
    ]


def _started(streams: dict[Any, Any], key: Any) -> dict[Any, Any]:
    """The state of every random stream at its start, each with a key of its own."""
    key = jax.random.key(0) if key is None else key
    started = {}
    for number, (path, one) in enumerate(streams.items()):
        like = _value(one)
        if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
            own = jax.random.fold_in(key, number)
            started[path] = jax.random.split(own, like.shape) if like.shape else own
        else:
            started[path] = jnp.zeros(like.shape, like.dtype)
    return started


def _nested(leaves: dict[Path, Any]) -> dict[str, Any]:
    tree = {}
    for path, leaf in leaves.items():
        place = tree
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = leaf
    return tree


def _leaf(tree: dict[str, Any], path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree
