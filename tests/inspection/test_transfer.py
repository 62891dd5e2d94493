"""Layers that are copied and frozen: their order, their parts, and training against the rest alone."""

from functools import partial

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtheory import networks
from jaxtheory.inspection import transfer
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN

DENSE = {"kernel": np.ones((2, 2)), "bias": np.ones(2)}


def ones_like(tree):
    return jax.tree.map(jnp.ones_like, tree)


def test_layers_are_in_the_order_of_the_data():
    network = networks.functional(partial(CNN, (8, 8), (2, 3), head=(4, 2)))
    params = jax.eval_shape(network.init, jax.random.key(0))[0]
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape), params)
    expected = ("convolutions/0", "convolutions/1", "head/layers/0", "head/layers/1")
    assert transfer.layers(params) == expected
    several = {"layers": {str(k): DENSE for k in range(12)}}
    assert transfer.layers(several) == tuple(f"layers/{k}" for k in range(12))
    assert transfer.layers([(np.ones((2, 3)), np.ones(3)), (np.ones((3, 1)), np.ones(1))]) == ("0", "1")
    assert transfer.layers([np.ones((2, 3)), np.ones((3, 1))]) == ("0", "1")
    perceptron = equinox.nn.MLP(2, 1, 4, 2, key=jax.random.key(0))
    assert transfer.layers(equinox.filter(perceptron, equinox.is_array)) == (
        "layers/0",
        "layers/1",
        "layers/2",
    )
    given = {"blocks": [DENSE, DENSE], "stem": DENSE, "an_end": DENSE}
    order = ("stem", "blocks", "an_end")
    assert transfer.layers(given, order=order) == ("stem", "blocks/0", "blocks/1", "an_end")
    part = transfer.first(given, 2, order=order)
    assert part == {
        "blocks": [{"kernel": True, "bias": True}, {"kernel": False, "bias": False}],
        "stem": {"kernel": True, "bias": True},
        "an_end": {"kernel": False, "bias": False},
    }


def test_the_number_of_layers_may_be_traced():
    params = [(np.ones((2, 2)), np.ones(2)) for _ in range(3)]
    parts = jax.vmap(lambda number: transfer.first(params, number))(jnp.arange(4))
    for number in range(4):
        assert jax.tree.map(lambda leaf, k=number: bool(leaf[k]), parts) == transfer.first(params, number)


def test_protocols_copy_and_freeze():
    source = [jnp.ones((2, 3)), jnp.ones((3, 5))]
    params = [jnp.zeros((2, 3)), jnp.zeros((3, 1))]
    part = transfer.first(params, 1)
    for protocol, copied, frozen in (
        ("copied and frozen", 1, True), ("copied and tuned", 1, False), ("random and frozen", 0, True),
    ):  # fmt: skip
        begun, held = transfer.begin(protocol, source, params, part)
        assert [float(leaf.mean()) for leaf in begun] == [copied, 0]
        assert held == [frozen, False]
        assert [leaf.shape for leaf in begun] == [(2, 3), (3, 1)]
    assert set(transfer.PROTOCOLS) == {"copied and frozen", "copied and tuned", "random and frozen"}


@pytest.fixture(scope="module")
def regression():
    """Two layers without activation, examples, and the loss."""
    keys = jax.random.split(jax.random.key(0), 4)
    x, y = jax.random.normal(keys[0], (20, 3)), jax.random.normal(keys[1], (20, 2))
    params = {"a": jax.random.normal(keys[2], (3, 4)), "b": jax.random.normal(keys[3], (4, 2))}

    def loss(params, batch):
        x, y = batch
        return jnp.mean((x @ params["a"] @ params["b"] - y) ** 2)

    return params, (x, y), loss


def test_what_is_frozen_stays_and_the_rest_trains_as_if_it_were_alone(regression):
    params, data, loss = regression
    # Clipping by the norm of all gradients, and weight decay, must not see or move the frozen part.
    inner = optax.chain(optax.clip_by_global_norm(0.01), optax.adamw(0.05, weight_decay=0.1))
    frozen = transfer.freeze(inner, transfer.first(params, 1))
    options = {"objective": training.stateless(loss), "steps": 30, "batch": 10}
    start = training.init(params, jax.random.key(1), optimizer=frozen)
    end, _ = training.run(start, data, optimizer=frozen, **options)
    np.testing.assert_array_equal(end.params["a"], params["a"])
    hidden = (data[0] @ params["a"], data[1])
    options["objective"] = training.stateless(lambda b, batch: loss({"a": jnp.eye(4), "b": b}, batch))
    alone = training.init(params["b"], jax.random.key(1), optimizer=inner)
    alone, _ = training.run(alone, hidden, optimizer=inner, **options)
    np.testing.assert_allclose(end.params["b"], alone.params, rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(end.params["b"] - params["b"]).max()) > 0.05


@pytest.mark.beyond
def test_parts_are_mapped_over(regression):
    params, data, loss = regression
    objective = training.stateless(loss)

    def trained(number):
        optimizer = transfer.freeze(optax.adam(0.05), transfer.first(params, number))
        start = training.init(params, jax.random.key(1), optimizer=optimizer)
        return training.run(start, data, objective=objective, optimizer=optimizer, steps=5, batch=10)[
            0
        ].params

    mapped = jax.jit(jax.vmap(trained))(jnp.arange(3))
    for number in range(3):
        one = jax.tree.map(lambda leaf, k=number: leaf[k], mapped)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, trained(number)
        )
    np.testing.assert_array_equal(mapped["b"][2], params["b"])


TWO = [np.ones(2), np.ones(3)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (partial(transfer.layers, []), ValueError, r"^params holds no layer: take a pytree with arra"),
        (partial(transfer.layers, np.ones(3)), ValueError, r"^params holds no layer: take a pytree with a"),
        (partial(transfer.layers, ["a"]), TypeError, r"^params\[0\] is 'a' \(str\): take an array of n"),
        (
            partial(transfer.layers, {"a": DENSE, "b": DENSE}, order=("a",)), ValueError,
            r"^order is \('a',\): take each of \('a', 'b'\) once$",
        ),
        (partial(transfer.first, TWO, 3), ValueError, r"^number is 3: take a whole number from 0 to 2$"),
        (partial(transfer.first, TWO, 1.5), TypeError, r"^number is 1\.5: take a whole number from 0 to 2$"),
        (
            partial(transfer.begin, "copied", TWO, TWO, [True, False]), ValueError,
            r"^protocol is 'copied': take 'copied and frozen', 'copied and tuned' or 'random and frozen'$",
        ),
        (
            partial(transfer.begin, "copied and tuned", TWO[:1], TWO, [True, False]), ValueError,
            r"^source is PyTreeDef\(\[\*\]\): take the structure of the parameters, PyTreeDef\(\[\*, \*\]\)$",
        ),
        (
            partial(transfer.begin, "copied and tuned", TWO, TWO, [True]), ValueError,
            r"^part is PyTreeDef\(\[\*\]\): take the structure of the parameters, PyTreeDef\(\[\*, \*\]\)$",
        ),
        (
            partial(transfer.begin, "copied and tuned", TWO[::-1], TWO, [True, False]), ValueError,
            r"^source\[0\] has the shape \(3,\): take \(2,\), as the part is copied$",
        ),
        (
            lambda: transfer.freeze(optax.sgd(0.1), [True]).init(TWO), ValueError,
            r"^part is PyTreeDef\(\[\*\]\): take the structure of the parameters, PyTreeDef\(\[\*, \*\]\)$",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("own_errors")
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
