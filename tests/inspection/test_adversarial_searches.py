"""Attacks that search against distances of linear models from boundaries, and accuracy under several."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.inspection import adversarial

KEY = jax.random.key(0)


def linear(params, x):
    return jnp.matmul(x, params["weights"]) + params["bias"]


def of_images(params, x):
    return linear(params, x.reshape(len(x), 12))


@pytest.fixture
def model(rng):
    """A linear model of three classes, examples far from 0 and 1, and the model's own answers."""
    params = {"weights": np.float32(rng.standard_normal((12, 3))), "bias": np.float32([0.3, 0.0, -0.5])}
    x = np.float32(rng.uniform(0.35, 0.65, (20, 12)))
    return params, x, np.array(linear(params, x)).argmax(1)


def distances(params, x, y, norm, target=None):
    """The exact distances from the boundaries of a linear model's answers."""
    z, rows = x @ params["weights"] + params["bias"], np.arange(len(x))
    slopes = params["weights"].T - params["weights"].T[y][:, None]
    heights = z[rows, y][:, None] - z
    dual = np.abs(slopes).sum(2) if norm == "inf" else np.linalg.norm(slopes, axis=2)
    far = np.divide(heights, dual, out=np.full_like(heights, np.inf), where=dual > 0)
    return far.min(1) if target is None else far[rows, target]


@pytest.mark.parametrize("norm", ["inf", pytest.param(2, marks=pytest.mark.beyond)])
def test_deepfool_finds_the_nearest_boundary_of_a_linear_model(model, norm):
    params, x, y = model
    attack = adversarial.deepfool(linear, params, x, y, norm=norm, bounds=None)
    np.testing.assert_allclose(attack.distance, 1.02 * distances(params, x, y, norm), rtol=1e-3)
    assert attack.success.all()
    assert np.all(attack.loss > 0)


@pytest.mark.beyond
def test_deepfool_leaves_what_is_answered_wrongly_and_reaches_targets(model):
    params, x, y = model
    target = (y + 1) % 3
    aimed = adversarial.deepfool(linear, params, x, y, targets=target, bounds=None)
    np.testing.assert_array_equal(np.argmax(linear(params, aimed.x), 1), target)
    assert np.all(aimed.distance >= distances(params, x, y, 2, target))
    wrong = adversarial.deepfool(linear, params, x, (y + 1) % 3)
    np.testing.assert_array_equal(wrong.x, x)
    assert np.all(wrong.distance == 0)


def test_carlini_wagner_comes_close_to_the_nearest_boundary(model):
    params, x, y = model
    exact = distances(params, x, y, 2)
    run = partial(adversarial.carlini_wagner, linear, params, x, y, steps=300, rate=2e-3)
    free, bounded = run(bounds=None), run()
    for attack in (free, bounded):
        assert attack.success.all()
        assert np.all(attack.distance >= exact * (1 - 1e-5))
        # Adam's first step has the same length in every entry.
        assert np.all(attack.distance <= 1.05 * exact + 2e-3 * 12**0.5)
    assert np.all((bounded.x >= 0) & (bounded.x <= 1))


@pytest.mark.beyond
def test_a_confident_change_has_its_margin(model):
    params, x, y = model
    attack = adversarial.carlini_wagner(linear, params, x, y, confidence=0.5, bounds=None, steps=200)
    assert attack.success.all()
    assert np.all(attack.loss >= 0.5)


@pytest.mark.beyond
@pytest.mark.parametrize("attack", [adversarial.deepfool, partial(adversarial.carlini_wagner, steps=200)])
def test_the_smallest_change_succeeds_up_to_epsilon(model, attack):
    params, x, y = model
    exact = distances(params, x, y, 2)
    found = attack(linear, params, x, y, epsilon=float(np.median(exact)), bounds=None)
    assert 0 < found.success.sum() <= (exact <= np.median(exact)).sum()


def constant(_, x):
    return jnp.tile(jnp.float32([1, 0]), (len(x), 1)) + 0 * x[:, :2]


@pytest.mark.beyond
def test_without_success_distances_are_infinite(rng):
    x, y = np.float32(rng.uniform(size=(3, 4))), np.zeros(3, int)
    for attack in (
        adversarial.deepfool,
        partial(adversarial.carlini_wagner, steps=2, searches=2),
        partial(adversarial.boundary, key=KEY, steps=2),
    ):
        found = attack(constant, None, x, y)
        assert not found.success.any()
        assert np.isinf(found.distance).all()
        np.testing.assert_array_equal(found.x, x)


def test_the_boundary_attack_comes_close_to_the_nearest_boundary(model):
    params, x, y = model
    exact = distances(params, x, y, 2)
    few, many = (adversarial.boundary(linear, params, x, y, KEY, steps=steps) for steps in (10, 1000))
    assert many.success.all()
    assert np.all(many.distance >= exact * (1 - 1e-5))
    assert np.all((many.x >= 0) & (many.x <= 1))
    assert np.median(many.distance / exact) < 1.1 < np.median(few.distance / exact)


@pytest.mark.beyond
def test_the_boundary_attack_starts_at_points_that_are_given(model):
    params, x, y = model
    target = (y + 1) % 3
    found = adversarial.boundary(linear, params, x, y, KEY, starts=x, targets=target, bounds=None, steps=20)
    has_start = np.isin(target, y)
    np.testing.assert_array_equal(found.success, has_start)
    nearest = [np.linalg.norm(x[y == k] - one, axis=1).min() for one, k in zip(x, target) if (y == k).any()]
    assert np.all(np.asarray(found.distance)[has_start] <= np.array(nearest) + 1e-6)


@pytest.mark.beyond
def test_squares_come_close_to_the_worst_point_of_the_ball(model):
    params, x, y = model
    images = x.reshape(-1, 3, 4)
    exact = distances(params, x, y, "inf")
    options = {"epsilon": 0.2, "queries": 300}
    found = adversarial.square(of_images, params, images, y, KEY, **options)
    change = np.abs(np.asarray(found.x) - images)
    assert np.all(change <= 0.2 + 1e-6)
    assert np.all((found.x >= 0) & (found.x <= 1))
    assert not np.any(np.asarray(found.success) & (exact > 0.2))
    # Single pixels are tried in the end: what is clearly within reach is found.
    assert np.all(np.asarray(found.success)[exact < 0.15])
    few = adversarial.square(of_images, params, images, y, KEY, epsilon=0.2, queries=1)
    assert few.success.sum() < found.success.sum()
    color = adversarial.square(
        lambda params, x: of_images(params, x.mean(3)), params, np.stack(3 * [images], 3), y, KEY, **options
    )
    assert color.x.shape == (20, 3, 4, 3)
    assert np.abs(np.ptp(np.asarray(color.x) - images[..., None], axis=3)).max() > 0.3


@pytest.mark.beyond
def test_accuracy_falls_from_attack_to_attack(model):
    params, x, y = model
    labels = np.where(np.arange(20) < 3, (y + 1) % 3, y)
    sizes = (0.02, 0.08, 0.2)
    attacks = tuple(partial(adversarial.fgsm, epsilon=size) for size in sizes)
    found = adversarial.robust_accuracy(linear, params, x, labels, attacks, KEY, chunk=6)
    exact = distances(params, x, y, "inf")[3:]
    expected = [1, *(np.mean(exact > size) for size in sizes)]
    # One step of signs of the softmax's gradient need not be towards the nearest class.
    assert np.all(np.diff(found.accuracies) <= 0)
    np.testing.assert_allclose(found.accuracies[0], 17 / 20, rtol=1e-6)
    assert np.all(found.accuracies >= np.float32(expected) * 17 / 20 - 1e-6)
    assert float(found.accuracy) == float(found.accuracies[-1]) == pytest.approx(found.standing.mean())
    answers = np.argmax(linear(params, found.x), 1)
    np.testing.assert_array_equal(answers == labels, found.standing)
    strong = (*attacks, partial(adversarial.pgd, epsilon=0.2, steps=10, loss="margin", restarts=3))
    after = adversarial.robust_accuracy(linear, params, x, labels, strong, KEY, chunk=6)
    np.testing.assert_array_equal(after.accuracies[:4], found.accuracies)
    assert float(after.accuracy) == pytest.approx(expected[-1] * 17 / 20, abs=0.051)
    same = adversarial.robust_accuracy(linear, params, x, labels, attacks, KEY)
    np.testing.assert_array_equal(same.standing, found.standing)


def test_bad_input(model, own_errors):
    params, x, y = model
    with pytest.raises(ValueError, match=r"^x holds examples of shape \(12,\): take images, \(..., H"):
        adversarial.square(linear, params, x, y, KEY, epsilon=0.1)
    with pytest.raises(ValueError, match=r"^area is 2.0: take a number from 0 to 1"):
        adversarial.square(linear, params, x, y, KEY, epsilon=0.1, area=2.0)
    with pytest.raises(ValueError, match=r"^starts is None: take points to start from, or bounds"):
        adversarial.boundary(linear, params, x, y, KEY, bounds=None)
    with pytest.raises(ValueError, match=r"^starts has the shape \(20, 5\): take"):
        adversarial.boundary(linear, params, x, y, KEY, starts=x[:, :5])
    with pytest.raises(ValueError, match=r"^starts holds no point: take at least one"):
        adversarial.boundary(linear, params, x, y, KEY, starts=x[:0])
    with pytest.raises(ValueError, match=r"^candidates is 1: take a whole number at least 2"):
        adversarial.deepfool(linear, params, x, y, candidates=1)
    with pytest.raises(ValueError, match=r"^overshoot is 0.0: take a positive number"):
        adversarial.deepfool(linear, params, x, y, overshoot=0.0)
    with pytest.raises(ValueError, match=r"^confidence is -1: take a number of 0 or more"):
        adversarial.carlini_wagner(linear, params, x, y, confidence=-1)
    with pytest.raises(TypeError, match=r"^attacks holds a str: take functions"):
        adversarial.robust_accuracy(linear, params, x, y, ["fgsm"], KEY)
    with pytest.raises(TypeError, match=r"^attacks is .*: take a sequence of functions"):
        adversarial.robust_accuracy(linear, params, x, y, adversarial.fgsm, KEY)
