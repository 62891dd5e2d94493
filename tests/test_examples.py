"""Every public function of the theories, through every transformation that it promises to compose with."""

import importlib
import inspect
import pkgutil
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxtheory
from tests.examples import EXAMPLES, NOT_TRACED, Example

THEORIES = (
    "harmonic", "sparse", "approximation", "landscape", "statistics", "networks", "inspection", "kernels",
    "data",
)  # fmt: skip


def parameters(chosen: list[Example]):
    """Rows as parameters; `conftest.py` puts all forms of a row side by side.

    Further rows of a function lie beyond the newcomer's tests.
    """
    first = {row.id.split("[")[0]: row.id for row in reversed(chosen)}.values()
    marked = [
        pytest.param(row, id=row.id, marks=[] if row.id in first else pytest.mark.beyond) for row in chosen
    ]
    return pytest.mark.parametrize("row", marked)


def rows(*forms: str):
    """The rows to which a form applies, or one of several, as parameters."""
    return parameters([row for row in EXAMPLES if any(getattr(row, form) is True for form in forms)])


def is_float(arg):
    return hasattr(arg, "dtype") and jnp.issubdtype(arg.dtype, jnp.floating)


OF_FLOATS = [
    row
    for row in EXAMPLES
    if row.jit is True and any(is_float(arg) for arg in row.make(np.random.default_rng(0)))
]
ONE_EACH = list({row.id.split("[")[0]: row for row in OF_FLOATS if row.name != "pair"}.values())
"""One row of each function of arrays; what is in a pair of functions is theirs."""


def bind(row: Example):
    return partial(row.function, **(row.options or {}))


def arguments(row: Example, seed: int = 0):
    return row.make(np.random.default_rng(seed))


def floats(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]


def is_integer(arg):
    return hasattr(arg, "dtype") and arg.dtype == np.int32


def widened_half(tree):
    """A tree whose bfloat16 leaves NumPy can compare."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if floats(leaf) else leaf, tree)


def widened(args):
    """The arguments with their floating arrays in double precision."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.promote_types(leaf.dtype, jnp.float64)) if floats(leaf) else leaf,
        args,
    )


def assert_close(actual, expected, tolerance):
    chex.assert_trees_all_equal_structs(actual, expected)
    chex.assert_trees_all_equal_shapes(actual, expected)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected)):
        one, other = np.asarray(one), np.asarray(other)
        scale = max(np.abs(other).max(initial=0), 1e-6)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


def public_functions():
    """Full names of the functions that the theories define and do not mark as their own.

    Where the face of a package names what is public, in `__all__`, the rest of its modules is its own.
    """
    for theory in THEORIES:
        try:
            package = importlib.import_module(f"jaxtheory.{theory}")
        except ModuleNotFoundError:
            continue
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            parent = importlib.import_module(info.name.rpartition(".")[0])
            face = None if parent is package else getattr(parent, "__all__", None)
            for name, value in vars(module).items():
                if face is not None and name not in face:
                    continue
                if (
                    not name.startswith("_")
                    and getattr(value, "__module__", None) == module.__name__
                    and callable(value)
                    and not inspect.isclass(value)
                ):
                    yield f"{module.__name__.removeprefix('jaxtheory.')}.{name}"


def test_the_table_lists_every_public_function():
    found = set(public_functions())
    assert len(found) >= 5
    listed = {row.id.split("[")[0] for row in EXAMPLES} | set(NOT_TRACED)
    assert found - listed == set()
    assert listed - found == set()


def test_every_no_has_its_reason():
    assert jaxtheory.__version__
    for row in EXAMPLES:
        for form in ("jit", "vmap", "grad", "x64", "export", "devices", "integer", "half"):
            answer = getattr(row, form)
            assert answer is True or (isinstance(answer, str) and len(answer) > 10), (row.id, form)
    assert all(len(reason) > 10 for reason in NOT_TRACED.values())


@rows("jit", "integer")
def test_compiled_and_of_integers(row):
    # One test for both, as they share the program of the function itself.
    if row.jit is True:
        compiled_once_it_agrees(row)
    if row.integer is True:
        integers_are_taken_as_floats(row)


def compiled_once_it_agrees(row):
    function, args = bind(row), arguments(row)
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def traced_once(*args):
        return function(*args)

    first, again = traced_once(*args), traced_once(*args)
    chex.assert_trees_all_equal(first, again)
    assert_close(first, function(*args), row.tolerance)


def integers_are_taken_as_floats(row):
    function = bind(row)
    whole = [
        np.rint(3 * np.asarray(arg)).astype(np.int32) if i in row.leading and is_float(arg) else arg
        for i, arg in enumerate(arguments(row))
    ]
    same = [jnp.asarray(arg, jnp.float32) if is_integer(arg) else arg for arg in whole]
    assert any(is_integer(arg) for arg in whole)
    found, expected = function(*whole), function(*same)
    assert [leaf.dtype for leaf in floats(found)] == [leaf.dtype for leaf in floats(expected)]
    assert_close(found, expected, row.tolerance)


@pytest.mark.beyond
@rows("vmap")
def test_vmap_and_leading_axes_agree(row):
    function = bind(row)
    samples = [arguments(row, seed) for seed in range(3)]
    axes = tuple(0 if i in row.leading else None for i in range(len(samples[0])))
    stacked = tuple(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *column) if axis == 0 else column[0]
        for axis, column in zip(axes, zip(*samples))
    )
    one_by_one = [
        function(*(arg if axis == 0 else samples[0][i] for i, (axis, arg) in enumerate(zip(axes, sample))))
        for sample in samples
    ]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *one_by_one)
    assert_close(jax.vmap(function, in_axes=axes)(*stacked), expected, row.tolerance)
    assert_close(function(*stacked), expected, row.tolerance)


@pytest.mark.beyond
@rows("grad")
def test_grad_against_finite_differences(row, x64):
    function = bind(row)
    args = widened(arguments(row))
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(leaf.shape) for leaf in floats(jax.eval_shape(function, *args))]

    def scalar(*free):
        full = list(args)
        for position, value in zip(positions, free):
            full[position] = value
        return sum(jnp.sum(jnp.real(leaf) * w) for leaf, w in zip(floats(function(*full)), weights))

    positions = row.leading if row.differentiable is None else row.differentiable
    free = [args[position] for position in positions]
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), free)
    # One program for the gradient and for the values at either side, as compiling it is most of the time.
    program = jax.value_and_grad(scalar, argnums=tuple(range(len(free))))
    program = jax.jit(program) if row.jit is True else program
    value, gradient = program(*free)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))

    def moved(step):
        return program(*jax.tree.map(lambda leaf, d: leaf + step * d, free, direction))[0]

    step = 1e-6
    difference = (moved(step) - moved(-step)) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=2e-5, atol=1e-7 * max(1.0, abs(float(value))))


@pytest.mark.beyond
@rows("x64")
def test_double_precision(row):
    args = arguments(row)
    single = bind(row)(*args)
    assert all(leaf.dtype.itemsize <= 8 and leaf.dtype != np.float64 for leaf in floats(single))
    with jax.enable_x64(True):
        double = bind(row)(*widened(args))
        assert all(leaf.dtype in (np.float64, np.complex128) for leaf in floats(double))
        assert_close(single, double, 10 * row.tolerance)


@pytest.mark.beyond
@parameters(OF_FLOATS)
def test_single_precision_is_kept_where_double_is_on(row):
    args = jax.tree.map(lambda leaf: jnp.asarray(leaf) if hasattr(leaf, "dtype") else leaf, arguments(row))
    single = jax.eval_shape(bind(row), *args)
    with jax.enable_x64(True):
        wide = jax.eval_shape(bind(row), *args)
    assert [leaf.dtype for leaf in floats(wide)] == [leaf.dtype for leaf in floats(single)]


@pytest.mark.beyond
@parameters(ONE_EACH)
def test_dtypes_that_are_not_computed_in_are_refused(row, own_errors):
    function, args = bind(row), arguments(row)
    places = [i for i, arg in enumerate(args) if is_float(arg)]
    assert places
    signature = inspect.signature(row.function).parameters.values()
    optional = {i for i, one in enumerate(signature) if "None" in str(one.annotation)}
    if row.id.startswith(("landscape.", "inspection.")):
        optional |= set(places)  # parameters and batches of any structure: `None` is a pytree without a leaf
    for place in places:
        shape = np.shape(args[place])
        key = jax.random.split(jax.random.key(0), shape) if shape else jax.random.key(0)
        others = np.ones(shape, np.longdouble), jnp.ones(shape, jnp.float8_e4m3fn), key
        for value in others if place in optional else (*others, None):
            with pytest.raises(
                TypeError,
                match=r" is (of dtype float128|of dtype float8_e4m3fn|a random key|None \(NoneType\)): take ",
            ):
                function(*args[:place], value, *args[place + 1 :])


@pytest.mark.beyond
@rows("half")
def test_half_precision_is_computed_in_single(row):
    function = bind(row)
    args = arguments(row)
    assert floats(args)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16) if floats(leaf) else leaf, args)
    same = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32) if floats(leaf) else leaf, narrow)
    found, expected = function(*narrow), function(*same)
    assert {leaf.dtype for leaf in floats(found)} <= {jnp.dtype(jnp.bfloat16)}
    expected = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if floats(leaf) else leaf, expected)
    assert_close(widened_half(found), widened_half(expected), 2 * float(jnp.finfo(jnp.bfloat16).eps))


@pytest.mark.beyond
@rows("export")
def test_export(row):
    function, args = jax.jit(bind(row)), arguments(row)
    exported = jax.export.export(function)(*args)
    again = jax.export.deserialize(exported.serialize())
    assert_close(again.call(*args), function(*args), row.tolerance)


@pytest.mark.beyond
@rows("devices")
def test_eight_devices_without_a_gather(row):
    assert jax.device_count() == 8
    mesh = Mesh(np.array(jax.devices()), ("data",))
    function = bind(row)
    samples = [arguments(row, seed) for seed in range(16)]
    specs = tuple(
        PartitionSpec("data") if i in row.leading else PartitionSpec() for i in range(len(samples[0]))
    )
    stacked = tuple(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *column) if i in row.leading else column[0]
        for i, column in enumerate(zip(*samples))
    )
    program = jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec("data"), check_vma=False)
    )
    placed = tuple(jax.device_put(arg, NamedSharding(mesh, spec)) for arg, spec in zip(stacked, specs))
    text = program.lower(*placed).compile().as_text()
    assert "all-gather" not in text
    assert "all-reduce" not in text
    assert_close(program(*placed), function(*stacked), row.tolerance)
