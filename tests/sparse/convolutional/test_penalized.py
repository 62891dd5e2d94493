"""The convolutional lasso against scikit-learn, closed forms and finite differences."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import Lasso

from jaxtheory.sparse import convolutional
from tests.sparse.convolutional import dense

BOUNDARIES = ("periodic", "zero")
DOMAINS = ("spatial", "fourier")


@pytest.mark.parametrize(
    ("name", "boundary", "domain", "masked"), dense.grid(BOUNDARIES, DOMAINS, (False, True))
)
def test_lasso_reaches_the_minimum_of_scikit_learn(name, boundary, domain, masked, x64, rng):
    filters_shape, shape = dense.CASES[name]
    filters, x = rng.standard_normal(filters_shape), rng.standard_normal((*shape, filters_shape[-2]))
    mask = rng.choice([0.0, 0.5, 1.0], x.shape) if masked else np.ones(x.shape)
    whole = dense.dictionary(filters, shape, boundary)
    penalty = 0.2 * np.abs(whole.T @ (mask**2 * x).ravel()).max()
    found = convolutional.lasso(
        filters, x, penalty, mask=mask if masked else None, boundary=boundary, domain=domain,
        tolerance=1e-9, max_steps=20_000,
    )  # fmt: skip
    matrix, target = mask.reshape(-1, 1) * whole, (mask * x).ravel()
    model = Lasso(penalty / target.size, fit_intercept=False, tol=1e-12, max_iter=200_000)
    best = model.fit(matrix, target).coef_

    def objective(z):
        return np.sum((target - matrix @ z) ** 2) / 2 + penalty * np.abs(z).sum()

    codes = np.ravel(found.codes)
    assert found.converged
    assert 0 < np.count_nonzero(codes) < codes.size
    np.testing.assert_allclose(found.objective, objective(codes), rtol=1e-10)
    assert abs(objective(codes) - objective(best)) <= 2e-9 * objective(best)
    assert objective(codes) - objective(best) <= found.gap + 1e-10


def test_penalties_by_atom_and_nonnegative_codes(x64, rng):
    filters, x = rng.standard_normal((3, 2, 1, 3)), rng.standard_normal((5, 4, 1))
    penalty = np.array([0.5, 1.0, 2.0])
    found = convolutional.lasso(filters, x, penalty, nonnegative=True, tolerance=1e-9, max_steps=20_000)
    matrix = dense.dictionary(filters, (5, 4), "periodic") / np.tile(penalty, 20)
    model = Lasso(1 / x.size, fit_intercept=False, positive=True, tol=1e-12, max_iter=200_000)
    best = model.fit(matrix, x.ravel()).coef_
    least = np.sum((x.ravel() - matrix @ best) ** 2) / 2 + best.sum()
    assert found.converged
    assert np.min(found.codes) >= 0
    np.testing.assert_allclose(found.objective, least, rtol=2e-9)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_small_penalties_do_not_diverge(boundary, rng):
    """One filter on an image of its kind can explain all: the minimum is at most the penalty of that."""
    filters = np.float32(rng.standard_normal((3, 3, 1, 1)))
    x = np.float32(rng.standard_normal((8, 8, 1)))
    matrix = dense.dictionary(filters, (8, 8), boundary)
    largest = np.abs(matrix.T @ x.ravel()).max()
    exact = np.abs(np.linalg.lstsq(matrix, x.ravel(), rcond=None)[0]).sum()
    at_zero = np.sum(x**2) / 2
    for share in (1e-3, 1e-5, 1e-8):
        found = convolutional.lasso(filters, x, np.float32(share * largest), boundary=boundary)
        assert np.isfinite(found.codes).all()
        assert found.objective <= at_zero
        if boundary == "periodic":
            assert found.objective <= 1.001 * share * largest * exact
    for steps in (1, 10, 30, 60):
        cut = convolutional.lasso(filters, x, np.float32(1e-5 * largest), boundary=boundary, max_steps=steps)
        assert cut.objective <= at_zero


@pytest.mark.beyond
@pytest.mark.parametrize("nonnegative", [False, pytest.param(True, marks=pytest.mark.beyond)])
def test_infinite_weights_leave_atoms_out_and_zeros_leave_them_unpenalized(nonnegative, x64, rng):
    filters, x = rng.standard_normal((3, 2, 3)), rng.standard_normal((8, 2))
    options = {"nonnegative": nonnegative, "tolerance": 1e-9, "max_steps": 20_000}
    found = convolutional.lasso(filters, x, np.array([0.5, np.inf, 1.0]), **options)
    without = convolutional.lasso(filters[..., [0, 2]], x, np.array([0.5, 1.0]), **options)
    assert found.converged
    assert not np.any(found.codes[:, 1])
    np.testing.assert_allclose(found.objective, without.objective, rtol=2e-9)
    np.testing.assert_allclose(found.codes[:, [0, 2]], without.codes, atol=1e-4)
    # An atom without penalty explains what it can; of the others, what is left is the lasso.
    penalty = np.array([0.5, 0.0, 1.0])
    free = convolutional.lasso(filters, x, penalty, **options)
    assert free.converged
    matrix = dense.dictionary(filters, (8,), "periodic")
    weights = np.tile(penalty, 8)
    z, best = np.zeros(24), np.inf
    curvature = np.sum(matrix**2, 0)
    for _ in range(20_000):
        before = z.copy()
        for j in range(24):
            pull = matrix[:, j] @ (x.ravel() - matrix @ z) + curvature[j] * z[j]
            z[j] = np.sign(pull) * max(abs(pull) - weights[j], 0) / curvature[j]
            if nonnegative:
                z[j] = max(pull - weights[j], 0) / curvature[j]
        if np.abs(z - before).max() < 1e-11:
            break
    best = np.sum((x.ravel() - matrix @ z) ** 2) / 2 + np.sum(weights * np.abs(z))
    np.testing.assert_allclose(free.objective, best, rtol=1e-7)
    assert np.any(free.codes[:, 1])
    # Where all others are too expensive, least squares by this atom are left; without any penalty, by all.
    alone = convolutional.lasso(filters, x, np.array([1e3, 0.0, 1e3]), **options)
    _, residual = scipy.optimize.nnls(matrix[:, 1::3], x.ravel())
    if not nonnegative:
        residual = np.linalg.norm(
            x.ravel() - matrix[:, 1::3] @ np.linalg.lstsq(matrix[:, 1::3], x.ravel())[0]
        )
    assert alone.converged
    np.testing.assert_allclose(alone.objective, residual**2 / 2, rtol=1e-7)
    assert nonnegative or convolutional.lasso(filters, x, 0.0, **options).objective < 1e-9


def test_codes_scale_with_images_and_filters(rng):
    filters, x = np.float32(rng.standard_normal((3, 1, 2))), np.float32(rng.standard_normal((4, 9, 1)))
    plain = convolutional.lasso(filters, x, np.float32(0.8))
    assert plain.converged.all()
    for scale in (1e-20, 1e-18, 1e-12, 1e15, 1e18, 1e19, 1e20):
        found = convolutional.lasso(filters, np.float32(scale) * x, np.float32(0.8 * scale))
        np.testing.assert_allclose(found.codes, np.float32(scale) * plain.codes, rtol=2e-2, atol=1e-2 * scale)
        # Squares of these images are no numbers of single precision.
        assert found.converged.all() == (1e-19 < scale < 1e19)
        if 1e-15 < scale < 1e15:
            np.testing.assert_allclose(found.objective, scale**2 * plain.objective, rtol=1e-4)
    for scale in (1e-18, 1e17):
        both = convolutional.lasso(
            np.float32(scale) * filters, np.float32(scale) * x, np.float32(0.8 * scale**2)
        )
        assert both.converged.all()
        np.testing.assert_allclose(both.codes, plain.codes, atol=2e-2)
    loud = convolutional.lasso(np.float32(1e20) * filters, np.float32(1e20) * x, np.float32(1e38))
    assert np.isfinite(loud.codes).all()


@pytest.mark.beyond
def test_a_dictionary_of_zeros_has_codes_of_zero_and_empty_batches_are_empty():
    filters, x = np.zeros((2, 2, 1, 2), np.float32), np.ones((3, 4, 4, 1), np.float32)
    for boundary in BOUNDARIES:
        found = convolutional.lasso(filters, x, 0.1, boundary=boundary)
        assert found.converged.all()
        np.testing.assert_array_equal(found.codes, 0)
        np.testing.assert_allclose(found.objective, 8)
    empty = convolutional.lasso(filters + 1, x[:0], 0.1)
    assert empty.codes.shape == (0, 4, 4, 2)
    assert empty.converged.shape == (0,)


@pytest.mark.beyond
def test_codes_move_as_finite_differences_say(x64, rng):
    filters, x, penalty = rng.standard_normal((2, 2, 1, 2)), rng.standard_normal((4, 4, 1)), 0.8
    weights = rng.standard_normal((4, 4, 2))

    def value(filters, x, penalty):
        codes = convolutional.lasso(filters, x, penalty, tolerance=1e-13, max_steps=20_000).codes
        return jnp.vdot(codes, weights)

    args = (filters, x, jnp.asarray(penalty))
    gradient = jax.grad(value, (0, 1, 2))(*args)
    for position in range(3):
        direction = rng.standard_normal(np.shape(args[position]))
        moved = [
            value(*(a + s * 1e-5 * direction if i == position else a for i, a in enumerate(args)))
            for s in (1, -1)
        ]
        slope = np.vdot(gradient[position], direction)
        tangents = [direction if i == position else jnp.zeros_like(a) for i, a in enumerate(args)]
        np.testing.assert_allclose(
            jax.jvp(value, args, tuple(map(jnp.asarray, tangents)))[1], slope, rtol=1e-6
        )
        assert abs(slope) > 1e-3
        np.testing.assert_allclose(slope, (moved[0] - moved[1]) / 2e-5, rtol=1e-3)


@pytest.mark.beyond
def test_leading_axes_vmap_and_one_by_one_agree(rng):
    filters, x = np.float32(rng.standard_normal((2, 2, 1, 2))), np.float32(rng.standard_normal((3, 4, 4, 1)))

    def codes(images):
        return convolutional.lasso(filters, images, 0.8, tolerance=1e-6).codes

    together = np.asarray(codes(x))
    mapped = jax.vmap(codes)(x[:, None])
    assert mapped.shape == (3, 1, 4, 4, 2)
    np.testing.assert_allclose(mapped[:, 0], together, atol=1e-5)
    for one, alone in zip(x, together):
        np.testing.assert_allclose(codes(one), alone, atol=1e-5)


def test_an_image_of_nan_is_flagged_and_its_neighbors_are_untouched(rng):
    filters, x = np.float32(rng.standard_normal((2, 2, 1, 2))), np.float32(rng.standard_normal((3, 4, 4, 1)))
    broken = x.copy()
    broken[1, 0, 0] = np.nan
    whole, found = (convolutional.lasso(filters, images, 0.8) for images in (x, broken))
    np.testing.assert_array_equal(found.converged, [True, False, True])
    np.testing.assert_array_equal(found.codes[::2], whole.codes[::2])


def test_too_few_steps_are_flagged_and_a_zero_image_stops_at_once(rng):
    filters = np.float32(rng.standard_normal((2, 2, 1, 2)))
    x = np.float32(rng.standard_normal((3, 4, 4, 1)))
    x[1] = 0
    found = convolutional.lasso(filters, x, 0.01, tolerance=1e-6, max_steps=3)
    np.testing.assert_array_equal(found.converged, [False, True, False])
    np.testing.assert_array_equal(found.steps, [3, 0, 3])
    assert not np.any(found.codes[1])


def test_a_zero_atom_is_never_used(rng):
    filters = np.float32(rng.standard_normal((2, 2, 1, 2)))
    filters[..., 1] = 0
    found = convolutional.lasso(filters, np.float32(rng.standard_normal((4, 4, 1))), 0.5)
    assert found.converged
    assert np.any(found.codes[..., 0])
    assert not np.any(found.codes[..., 1])


@pytest.mark.beyond
def test_the_dictionary_is_never_formed():
    filters, x, mask = (
        jax.ShapeDtypeStruct(shape, np.float32) for shape in ((8, 8, 3, 32), (256, 256, 3), (256, 256, 1))
    )
    program = jax.jit(lambda filters, x, mask: convolutional.lasso(filters, x, 0.1, mask=mask))
    memory = program.lower(filters, x, mask).compile().memory_analysis()
    assert 0 < memory.temp_size_in_bytes + memory.output_size_in_bytes < 2**30


MASKED = """
import numpy as np
from jaxtheory.sparse import convolutional

rng = np.random.default_rng(0)
filters = np.float32(rng.standard_normal((8, 8, 3, 32)) / 14)
image = np.float32(rng.standard_normal((256, 256, 3)))
mask = np.float32(rng.random((256, 256, 1)) < 0.5)
codes = convolutional.lasso(filters, image, 2.0, mask=mask, max_steps=10).codes
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(np.count_nonzero(codes), peak.split()[1])
"""


@pytest.mark.beyond
def test_a_masked_color_image_takes_less_than_a_gibibyte_with_all_of_jax():
    done = subprocess.run([sys.executable, "-c", MASKED], capture_output=True, text=True, check=True)
    entries, kibibytes = map(int, done.stdout.split())
    assert entries > 0
    assert kibibytes < 2**20


FILTERS, IMAGE = np.ones((2, 2, 1, 3), np.float32), np.ones((4, 4, 1), np.float32)
BAD = {
    "channels": (
        (FILTERS, np.ones((4, 4, 2), np.float32), 0.1),
        {},
        ValueError,
        "take (..., height, width, 1)",
    ),
    "negative": ((FILTERS, IMAGE, -0.5), {}, ValueError, "penalty is -0.5: take a number of 0 or more"),
    "penalties": (
        (FILTERS, IMAGE, np.ones(2, np.float32)),
        {},
        ValueError,
        "penalty has the shape (2,): take one number, or (3,) for (atoms,)",
    ),
    "a word": ((FILTERS, IMAGE, "a"), {}, TypeError, "penalty is 'a' (str): take an array of numbers"),
    "mask": ((FILTERS, IMAGE, 0.1), {"mask": np.ones((4, 4), bool)}, ValueError, "needs an axis at its end"),
    "weights": (
        (FILTERS, IMAGE, 0.1),
        {"mask": 2 * IMAGE},
        ValueError,
        "mask holds 2.0: take numbers from 0 to 1",
    ),
    "steps": (
        (FILTERS, IMAGE, 0.1),
        {"max_steps": 0},
        ValueError,
        "max_steps is 0: take a whole number at lea",
    ),
    "part of a step": (
        (FILTERS, IMAGE, 0.1),
        {"max_steps": 8.0},
        TypeError,
        "max_steps is 8.0: take a whole",
    ),
    "tolerance": ((FILTERS, IMAGE, 0.1), {"tolerance": -1.0}, ValueError, "tolerance is -1.0: take a number"),
    "complex": ((FILTERS + 0j, IMAGE, 0.1), {}, TypeError, "filters is complex"),
    "boundary": ((FILTERS, IMAGE, 0.1), {"boundary": "circular"}, ValueError, "take 'periodic' or 'zero'"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    args, options, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        convolutional.lasso(*args, **options)
