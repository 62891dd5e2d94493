"""The bridge from nnx modules: the module's own numbers, through every transformation, on plain trees."""

import importlib
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtheory import networks
from jaxtheory.networks.mlp import MLP


class Everything(nnx.Module):
    """A list of layers, batch statistics, two dropouts from one stream, a shared layer, a constant."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, momentum=0.9, rngs=rngs)])
        self.again = self.layers[0]
        self.dropouts = nnx.List([nnx.Dropout(0.5, rngs=rngs) for _ in range(2)])
        self.scale = nnx.Variable(jnp.full((4,), 2.0))
        self.offset = np.float32([0, 0, 0, 1])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        x = self.again(x[..., :3])
        for dropout in self.dropouts:
            x = dropout(x)
        return x * self.scale + self.offset


class Dropouts(nnx.Module):
    """Two masks, one after the other and side by side."""

    def __init__(self, rngs):
        self.one, self.other = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.one(x), self.other(x)


class Noise(nnx.Module):
    """Draws in either mode."""

    def __init__(self, rngs):
        self.rngs = rngs.fork()

    def __call__(self, x):
        return x + jax.random.normal(self.rngs.noise(), x.shape)


@pytest.fixture
def x(rng):
    return np.float32(rng.standard_normal((6, 3)))


def trees_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)))


def test_trees_are_plain_dictionaries_named_by_texts():
    params, state = networks.functional(Everything).init(jax.random.key(0))
    shapes = jax.tree.map(lambda leaf: leaf.shape, (params, state))
    # The shared layer is there once, under the first of its names; streams of random numbers are not there.
    assert shapes == (
        {"again": {"bias": (4,), "kernel": (3, 4)}, "layers": {"1": {"bias": (4,), "scale": (4,)}}},
        {"layers": {"1": {"mean": (4,), "var": (4,)}}, "offset": (4,), "scale": (4,)},
    )
    assert all(type(leaf) is not nnx.Param for leaf in jax.tree.leaves(params))


def test_more_than_ten_layers_keep_their_order():
    class Horner(nnx.Module):
        def __init__(self, _):
            self.digits = nnx.List(nnx.Param(jnp.float32(digit)) for digit in range(12))

        def __call__(self, x):
            for digit in self.digits:
                x = x * 2 + digit[...]
            return x

    init, apply = networks.functional(Horner)
    params, state = init(jax.random.key(0))
    assert {name: int(digit) for name, digit in params["digits"].items()} == {str(i): i for i in range(12)}
    assert apply(params, state, 1.0)[0] == 2**12 + sum(i * 2 ** (11 - i) for i in range(12))


def test_numbers_are_the_modules_own(x):
    module = Everything(nnx.Rngs(jax.random.key(3)))
    init, apply = networks.functional(Everything)
    params, state = init(jax.random.key(3))
    np.testing.assert_array_equal(params["again"]["kernel"], module.again.kernel[...])
    module.eval()
    np.testing.assert_allclose(apply(params, state, x)[0], module(x), rtol=1e-6)


def test_batch_statistics_move_in_training_only(x):
    init, apply = networks.functional(Everything)
    params, state = init(jax.random.key(0))
    _, evaluated = apply(params, state, x)
    assert trees_equal(evaluated, state)
    _, trained = apply(params, state, x, key=jax.random.key(1), train=True)
    hidden = x @ params["again"]["kernel"] + params["again"]["bias"]
    statistics = trained["layers"]["1"]
    np.testing.assert_allclose(statistics["mean"], 0.1 * hidden.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics["var"], 0.9 + 0.1 * hidden.var(0), rtol=1e-4)
    assert trees_equal(trained["scale"], state["scale"])
    assert jax.tree.structure(trained) == jax.tree.structure(state)


def test_the_key_drives_dropout():
    init, apply = networks.functional(Dropouts)
    params, state = init(jax.random.key(0))
    assert (params, state) == ({}, {})
    ones = jnp.ones(20_000)
    masks = [apply(params, state, ones, key=jax.random.key(seed), train=True)[0] for seed in (1, 1, 2)]
    assert trees_equal(masks[0], masks[1])
    one, other = masks[0]
    assert set(np.unique(one)) == {0.0, 2.0}
    # Kept are a half, and of those a half by the other mask: the streams are independent.
    for mask in (one, other, masks[2][0] * one, one * other):
        expected = 0.5 if mask is one or mask is other else 0.25
        assert abs(np.mean(mask > 0) - expected) < 0.02
    for key in (None, jax.random.key(1)):
        evaluated = apply(params, state, ones, key=key)[0]
        assert trees_equal(evaluated, (ones, ones))


def test_training_without_a_key_says_so(x, own_errors):
    init, apply = networks.functional(Everything)
    params, state = init(jax.random.key(0))
    with pytest.raises(
        ValueError,
        match=r"^key is None: take a random key, .* random numbers with train=True",
    ):
        apply(params, state, x, train=True)
    quiet = networks.functional(partial(MLP, (3, 2)))
    assert quiet.apply(*quiet.init(jax.random.key(0)), x, train=True)[0].shape == (6, 2)


def test_noise_in_evaluation_needs_a_key(x):
    init, apply = networks.functional(Noise)
    params, state = init(jax.random.key(0))
    with pytest.raises(
        ValueError,
        match=r"^key is None: take a random key, .* random numbers with train=False",
    ):
        apply(params, state, x)
    one, again = (apply(params, state, x, key=jax.random.key(4))[0] for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, x)


def test_streams_of_stacked_layers_differ(x):
    """Layers made by nnx.vmap keep one stream with an axis of keys."""

    class Stacked(nnx.Module):
        def __init__(self, rngs):
            @nnx.split_rngs(splits=2)
            @nnx.vmap
            def make(rngs):
                return nnx.Dropout(0.5, rngs=rngs)

            self.layers = make(rngs)

        def __call__(self, x):
            return nnx.vmap(lambda layer, x: layer(x), in_axes=(0, None))(self.layers, x)

    init, apply = networks.functional(Stacked)
    params, state = init(jax.random.key(0))
    one, other = apply(params, state, jnp.ones(1000), key=jax.random.key(1), train=True)[0] > 0
    assert abs(np.mean(one & other) - 0.25) < 0.05


def test_values_made_in_a_call_are_left_out(x):
    class Remembers(nnx.Module):
        def __init__(self, rngs):
            self.layer = nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, x):
            self.seen = nnx.Intermediate(x)
            return self.layer(x)

    init, apply = networks.functional(Remembers)
    params, state = init(jax.random.key(0))
    assert apply(params, state, x)[1] == {}


def test_vmap_over_keys_is_one_seed_at_a_time(x):
    init, apply = networks.functional(Everything)
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(init)(keys)
    ys, states = jax.vmap(partial(apply, train=True), in_axes=(0, 0, None))(*many, x, key=keys)
    for i, key in enumerate(keys):
        one = init(key)
        for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
            np.testing.assert_array_equal(a[i], b)
        y, state = apply(*one, x, key=key, train=True)
        np.testing.assert_allclose(ys[i], y, rtol=1e-4, atol=1e-5)
        for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(state)):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-5)


def test_forward_over_reverse_derivatives(x, x64):
    init, apply = networks.functional(lambda rngs: MLP((3, 5, 2), rngs, activation="tanh", bias_variance=0.1))
    params, state = init(jax.random.key(0))
    x = np.float64(x)

    def loss(params):
        return jnp.mean(apply(params, state, x)[0] ** 2)

    direction = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)

    def moved(t):
        return jax.tree.map(lambda leaf, d: leaf + t * d, params, direction)

    gradient, product = jax.jvp(jax.grad(loss), (params,), (direction,))
    h = 1e-5
    slope = (loss(moved(h)) - loss(moved(-h))) / (2 * h)
    inner = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))
    np.testing.assert_allclose(inner, slope, rtol=1e-8)
    differences = jax.tree.map(
        lambda a, b: (a - b) / (2 * h), jax.grad(loss)(moved(h)), jax.grad(loss)(moved(-h))
    )
    for a, b in zip(jax.tree.leaves(product), jax.tree.leaves(differences)):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_export_and_back(x):
    init, apply = networks.functional(Everything)
    params, state = init(jax.random.key(0))

    @jax.jit
    def program(params, state, x, key):
        return apply(params, state, x, key=key, train=True)

    key = jax.random.key(5)
    exported = jax.export.export(program)(params, state, x, key)
    again = jax.export.deserialize(exported.serialize()).call(params, state, x, key)
    expected = program(params, state, x, key)
    assert jax.tree.structure(again) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(expected)):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_structure_is_found_once_and_without_allocating():
    calls = []

    def make(rngs):
        calls.append(1)
        return MLP((10**6, 10**6, 10**6), rngs)

    init, apply = networks.functional(make)
    assert len(calls) == 1
    params, state = jax.eval_shape(init, jax.random.key(0))
    assert params["layers"]["1"]["kernel"].shape == (10**6, 10**6)
    y, _ = jax.eval_shape(apply, params, state, jax.ShapeDtypeStruct((2, 10**6), jnp.float32))
    assert y.shape == (2, 10**6)
    assert len(calls) == 2  # the second draws the parameters


def test_one_compilation_serves_equal_shapes(x):
    init, apply = networks.functional(partial(MLP, (3, 2)))
    for seed in range(3):
        apply(*init(jax.random.key(seed)), x + seed)
    assert init._cache_size() == 1
    assert apply._cache_size() == 1


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda params: {"layers": {"0": params["layers"]["0"]}},
            "^params are .*: take what this module's",
        ),
        (lambda params: [params], "^params are .*: take what this module's init returned"),
    ],
)
def test_parameters_of_another_structure(x, break_it, message):
    init, apply = networks.functional(lambda rngs: MLP((3, 4, 2), rngs))
    params, state = init(jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        apply(break_it(params), state, x)


def test_state_of_another_structure(x):
    init, apply = networks.functional(Everything)
    params, _ = init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"^state are .*: take what this module's init returned"):
        apply(params, {}, x)


def test_an_array_outside_of_a_variable():
    class Holds(nnx.Module):
        def __init__(self, rngs):
            self.inner = MLP((3, 2), rngs)
            self.inner.filters = jnp.ones(3)

    with pytest.raises(
        TypeError, match=r"^make returns a module whose attribute inner\.filters is a JAX array"
    ):
        networks.functional(Holds)


def test_what_is_no_module_or_no_key():
    with pytest.raises(TypeError, match=r"^make returns a dict: take a function that returns an nnx\.Module"):
        networks.functional(lambda rngs: {"w": rngs.params()})
    init, _ = networks.functional(partial(MLP, (3, 2)))
    with pytest.raises(TypeError, match=r"key is .*: take one random key, as jax\.random\.key\(0\)"):
        init(3)
    with pytest.raises(TypeError, match=r"key is .* of shape \(4,\): take one random key"):
        init(jax.random.split(jax.random.key(0), 4))
    assert trees_equal(init(jax.random.PRNGKey(7)), init(jax.random.key(7)))


def test_a_module_in_place_of_its_maker_is_refused(own_errors):
    message = r"^make is a Linear, a module: take what makes it, as lambda rngs: Linear\(\.\.\., rngs=rngs"
    with pytest.raises(TypeError, match=message):
        networks.functional(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match=r"^make is a int: take a function from nnx\.Rngs to a module$"):
        networks.functional(3)


def test_the_name_is_the_function_however_it_is_imported():
    module = importlib.import_module("jaxtheory.networks.bridge")
    assert module.functional is networks.functional
    code = (
        "from jaxtheory.networks.bridge import functional; "
        "from jaxtheory import networks; import sys; "
        "assert functional is networks.functional; "
        "assert not {'flax', 'optax'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
