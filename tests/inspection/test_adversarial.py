"""Attacks by gradients against closed forms of linear models, the theorem of the ball, and bad input."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtheory.inspection import adversarial


def linear(params, x):
    return jnp.matmul(x.reshape(len(x), params.shape[0]), params)


@pytest.fixture
def two_classes(rng):
    """A linear model of two classes, and examples."""
    weights = np.float32(rng.standard_normal((12, 2)))
    return weights, np.float32(rng.uniform(0, 1, (30, 3, 4))), rng.integers(0, 2, 30)


def network(params, x):
    x = jnp.tanh(x @ params["first"])
    return x @ params["second"]


@pytest.fixture
def small(rng):
    """A network of one hidden layer, examples, and the labels that it gives them."""
    params = {
        "first": jnp.asarray(rng.standard_normal((12, 16)), jnp.float32),
        "second": jnp.asarray(rng.standard_normal((16, 4)), jnp.float32),
    }
    x = np.float32(rng.uniform(0, 1, (40, 12)))
    return params, x, np.array(network(params, x)).argmax(axis=1)


def worst(weights, x, y, epsilon, norm):
    """The change of a linear model's examples that raises the loss most, and the margin then."""
    w = (weights[:, 0] - weights[:, 1])[None] * np.where(y == 0, -1, 1)[:, None]
    unit = np.sign(w) if norm == "inf" else w / np.linalg.norm(w, axis=1, keepdims=True)
    moved = x.reshape(len(x), -1) + epsilon * unit
    return moved.reshape(x.shape), (moved * w).sum(1)


@pytest.mark.parametrize("norm", ["inf", pytest.param(2, marks=pytest.mark.beyond)])
def test_attacks_of_a_linear_model_find_the_worst_point_of_the_ball(two_classes, norm):
    weights, x, y = two_classes
    expected, margin = worst(weights, x, y, 0.2, norm)
    options = {"epsilon": 0.2, "norm": norm, "bounds": None}
    key = jax.random.key(0)
    # On the sphere a step turns by less the longer it is.
    sizes = {"steps": 20, "step": 1.0, "restarts": 2}
    found = {
        "fgsm": adversarial.fgsm(linear, weights, x, y, **options),
        "momentum": adversarial.momentum(linear, weights, x, y, **options),
        "pgd": adversarial.pgd(linear, weights, x, y, key, **sizes, **options),
    }
    for name, attack in found.items():
        # About the highest point of a sphere, points whose losses are equal in single precision are kept.
        np.testing.assert_allclose(attack.x, expected, atol=5e-4 if norm == 2 else 1e-5, err_msg=name)
        np.testing.assert_array_equal(attack.success, margin > 0, err_msg=name)
        np.testing.assert_allclose(attack.loss, np.logaddexp(0, margin), rtol=1e-3, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(attack.distance, 0.2, rtol=1e-4, err_msg=name)
        assert attack.valid.all()


def test_clipped_signs_are_the_worst_point_of_the_ball_and_the_box(two_classes):
    weights, x, y = two_classes
    expected = np.clip(worst(weights, x, y, 0.3, "inf")[0], 0, 1)
    options = {"epsilon": 0.3, "step": 0.05, "steps": 15}
    attack = adversarial.pgd(linear, weights, x, y, jax.random.key(0), **options)
    np.testing.assert_allclose(attack.x, expected, atol=1e-5)
    np.testing.assert_allclose(adversarial.fgsm(linear, weights, x, y, 0.3).x, expected, atol=1e-6)


def test_a_certain_model_is_attacked_all_the_same(two_classes):
    # The cross entropy's own gradient is zero in single precision.
    weights, x, y = two_classes
    right = np.where(worst(weights, x, y, 0.0, "inf")[1] > 0, 1 - y, y)
    plain = jax.grad(lambda x: jax.nn.log_softmax(linear(1e4 * weights, x))[np.arange(30), right].sum())(x)
    assert np.all(np.asarray(plain) == 0)
    attack = adversarial.fgsm(linear, 1e4 * weights, x, right, 0.3)
    np.testing.assert_array_equal(attack.x, adversarial.fgsm(linear, weights, x, right, 0.3).x)


RUN = partial(adversarial.pgd, key=jax.random.key(1), steps=5)
FEW = {"fgsm": adversarial.fgsm, "pgd": partial(RUN, restarts=3)}
MORE = {
    "momentum": partial(adversarial.momentum, steps=5),
    "margin": partial(RUN, loss="margin"),
    "adam": partial(RUN, step=optax.adam(0.1)),
}


@pytest.mark.parametrize(
    ("attacks", "norm"), [(FEW, "inf"), pytest.param(FEW | MORE, 2, marks=pytest.mark.beyond)]
)
def test_changes_stay_in_the_ball_and_within_the_bounds(small, attacks, norm):
    params, x, y = small
    epsilon = np.linspace(0, 0.4, len(x), dtype=np.float32)
    targets = (y + 1) % 4
    for name, attack in attacks.items():
        for aimed in (None, targets):
            found = attack(network, params, x, y, epsilon=epsilon, norm=norm, targets=aimed)
            change = np.asarray(found.x, np.float64) - x
            size = np.abs(change).max(1) if norm == "inf" else np.linalg.norm(change, axis=1)
            assert np.all(size <= epsilon + 1e-6), name
            np.testing.assert_allclose(found.distance, size, atol=1e-6)
            assert np.all((found.x >= 0) & (found.x <= 1)), name
            answers = np.argmax(network(params, found.x), axis=1)
            expected = answers == targets if aimed is not None else answers != y
            np.testing.assert_array_equal(found.success, expected, err_msg=name)


@pytest.mark.beyond
def test_losses_are_those_of_the_points(small):
    params, x, y = small
    key, targets = jax.random.key(0), (y + 2) % 4
    run = partial(adversarial.pgd, network, params, x, y, key, epsilon=0.2, steps=4)

    def entropy(x, classes):
        return -np.asarray(jax.nn.log_softmax(network(params, x)))[np.arange(len(y)), classes]

    plain, aimed, margin = run(), run(targets=targets), run(loss="margin")
    np.testing.assert_allclose(plain.loss, entropy(plain.x, y), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(aimed.loss, -entropy(aimed.x, targets), rtol=1e-4, atol=1e-6)
    z = np.array(network(params, margin.x))
    own = z[np.arange(len(y)), y]
    z[np.arange(len(y)), y] = -np.inf
    np.testing.assert_allclose(margin.loss, z.max(1) - own, rtol=1e-4, atol=1e-5)
    assert np.all(plain.loss > entropy(x, y))


def test_restarts_on_standing_examples_find_the_same_as_on_all(small):
    params, x, y = small
    run = partial(adversarial.pgd, network, params, x, y, jax.random.key(3), epsilon=0.15, steps=3)
    every, once = run(restarts=6, only_standing=False), run(restarts=1)
    standing = run(restarts=6)
    np.testing.assert_array_equal(standing.success, every.success)
    assert once.success.sum() < every.success.sum() < len(y)
    assert np.all(every.loss >= standing.loss - 1e-6)
    # What fell at the first start stays as it was found.
    fallen = np.asarray(once.success)
    np.testing.assert_array_equal(standing.x[fallen], once.x[fallen])


@pytest.mark.beyond
def test_chunks_do_not_change_what_is_found(small):
    params, x, y = small
    attack = partial(adversarial.pgd, network, params, key=jax.random.key(3), epsilon=0.15, steps=3)
    run = partial(attack, x, y, restarts=3)
    whole = run()
    for chunk in (7, 40):
        parts = run(chunk=chunk)
        np.testing.assert_allclose(parts.x, whole.x, atol=1e-5)
        np.testing.assert_array_equal(parts.success, whole.success)
    several = attack(np.tile(x, (3, 1)), np.tile(y, 3))
    np.testing.assert_allclose(several.loss[:40], run(restarts=1).loss, rtol=1e-4)


@pytest.mark.beyond
def test_models_and_sizes_are_mapped_over(small):
    params, x, y = small
    other = jax.tree.map(lambda leaf: leaf + 0.1, params)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), params, other)
    run = partial(adversarial.pgd, network, steps=3, restarts=2)

    def attack(params, epsilon):
        return run(params, x, y, jax.random.key(0), epsilon=epsilon)

    sizes = jnp.array([0.1, 0.3])
    found = jax.vmap(jax.vmap(attack, (None, 0)), (0, None))(both, sizes)
    assert found.success.shape == (2, 2, 40)
    alone = attack(other, 0.3)
    np.testing.assert_allclose(found.x[1, 1], alone.x, atol=1e-5)
    np.testing.assert_array_equal(found.success[1, 1], alone.success)


def test_a_schedule_and_an_optimizer_are_step_rules(two_classes):
    weights, x, y = two_classes
    run = partial(adversarial.pgd, linear, weights, x, y, jax.random.key(0), epsilon=0.2, bounds=None)
    expected = worst(weights, x, y, 0.2, "inf")[0]
    falling = run(steps=4, step=np.float32([0.2, 0.2, 0.1, 0.1]), restarts=0)
    np.testing.assert_allclose(falling.x, expected, atol=1e-6)
    adam = run(steps=20, step=optax.adam(0.1), restarts=0)
    np.testing.assert_allclose(adam.x, expected, atol=1e-5)


@pytest.mark.beyond
def test_entries_have_bounds_of_their_own(small):
    params, x, y = small
    low, high = np.linspace(-1, 0, 12), np.linspace(1, 2, 12)
    found = adversarial.fgsm(network, params, x, y, 0.5, bounds=(low, high))
    assert np.all((found.x >= np.float32(low)) & (found.x <= np.float32(high)))
    assert float(found.x.max()) > 1


def test_no_examples_and_one_without_a_leading_axis(small):
    params, x, y = small
    none = adversarial.pgd(network, params, x[:0], y[:0], jax.random.key(0), epsilon=0.1, steps=2)
    assert none.x.shape == (0, 12)
    one = adversarial.fgsm(network, params, x[0], y[0], 0.1)
    assert one.success.shape == ()
    np.testing.assert_allclose(one.x, adversarial.fgsm(network, params, x, y, 0.1).x[0], atol=1e-6)


KEY = jax.random.key(0)
BAD = {
    "x above": ({"x": [[0.5, 1.5]]}, r"^x holds 1.5: take numbers from 0 to 1, or give their range"),
    "x not finite": ({"x": [[0.5, np.nan]], "bounds": None}, r"^x holds nan: take numbers that are finite"),
    "epsilon below": ({"epsilon": -0.1}, r"^epsilon is -0.1: take a number from 0 to 1, the width of the"),
    "epsilon above": ({"epsilon": 1.5}, r"^epsilon is 1.5: take a number from 0 to 1"),
    "epsilon of l2": ({"epsilon": 1.5, "norm": 2}, r"^epsilon is 1.5: take a number from 0 to 1.41421, the"),
    "epsilon unbounded": ({"epsilon": -1, "bounds": None}, r"^epsilon is -1: take a number of 0 or more"),
    "epsilon shape": ({"epsilon": np.ones(3)}, r"^epsilon has the shape \(3,\): take one number, or that"),
    "target": ({"targets": [1]}, r"^targets holds 1 for example 0, which is its label: take another"),
    "target beyond": ({"targets": 7}, r"^targets holds 7: take classes from 0 to 2"),
    "label": ({"y": [-1]}, r"^y holds -1: take classes from 0 to 2"),
    "labels": ({"y": [0, 1]}, r"^y has the shape \(2,\): take that of the leading axes of x, \(1, 2\)"),
    "norm": ({"norm": 1}, r"^norm is 1: take 'inf' or 2"),
    "bounds": ({"bounds": (1, 0)}, r"^bounds is \(1, 0\): take the least value first"),
    "bounds' shape": ({"bounds": (np.zeros(3), 1)}, r"^the lower of bounds has the shape \(3,\): take one"),
    "three bounds": ({"bounds": (0, 1, 2)}, r"^bounds has 3 entries: take the least and the largest value"),
    "loss": ({"loss": "hinge"}, r"^loss is 'hinge': take 'cross_entropy' or 'margin'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, own_errors):
    changed, message = BAD[name]
    options = {"x": [[0.25, 0.5]], "y": [1], "epsilon": 0.1} | changed
    x, y = np.float32(options.pop("x")), np.asarray(options.pop("y"))
    with pytest.raises(ValueError, match=message):
        adversarial.fgsm(linear, np.eye(2, 3, dtype=np.float32), x, y, **options)


def test_bad_input_of_other_kinds(own_errors):
    x, y, params = np.float32([[0.25, 0.5]]), np.array([1]), np.eye(2, 3, dtype=np.float32)

    def sums(params, x):
        return linear(params, x).sum(1)

    attack = partial(adversarial.pgd, linear, params, x, y, KEY, epsilon=0.1)
    with pytest.raises(ValueError, match=r"^logits gives an array of shape \(1,\) for examples of shape"):
        adversarial.fgsm(sums, params, x, y, 0.1)
    with pytest.raises(ValueError, match=r"^logits gives a tuple for examples"):
        adversarial.fgsm(lambda params, x: (x, params), params, x, y, 0.1)
    with pytest.raises(TypeError, match=r"^logits gives int32: take a function that gives real"):
        adversarial.fgsm(lambda params, x: jnp.int32(x @ params), params, x, y, 0.1)
    with pytest.raises(TypeError, match=r"^y is float32: take whole numbers from 0"):
        adversarial.fgsm(linear, params, x, x[:, 0], 0.1)
    with pytest.raises(ValueError, match=r"^step has the shape \(3,\): take one number, or \(40,\)"):
        attack(step=np.ones(3))
    with pytest.raises(ValueError, match=r"^step is -1.0: take a positive number"):
        attack(step=-1.0)
    with pytest.raises(TypeError, match=r"^step is an optimizer: take the length of a step, or give"):
        adversarial.momentum(linear, params, x, y, epsilon=0.1, step=optax.sgd(1.0))
    with pytest.raises(ValueError, match=r"^restarts is -1: take a whole number at least 0"):
        attack(restarts=-1)
    with pytest.raises(TypeError, match=r"^only_standing is 1: take True or False"):
        attack(only_standing=1)


def test_under_jit_bad_values_are_flags(small):
    params, x, y = small
    x, targets, epsilon = x[:4].copy(), (y[:4] + 1) % 4, np.float32([0.1, 0.1, 2.0, 0.1])
    x[0, 0], targets[1] = 1.5, y[1]

    @jax.jit
    def attack(x, targets, epsilon):
        return adversarial.fgsm(network, params, x, y[:4], epsilon, targets=targets)

    found = attack(x, targets, epsilon)
    assert found.valid.tolist() == [False, False, False, True]
    assert not found.success[:3].any()
