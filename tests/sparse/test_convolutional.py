"""Convolutional dictionaries against their dense matrices in double precision, SciPy and scikit-learn."""

import re
import subprocess
import sys

import flax.nnx
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from scipy import signal
from sklearn.linear_model import Lasso

from jaxtheory.sparse import convolutional

BOUNDARIES = ("circular", "zero")
DOMAINS = ("spatial", "fourier")


def dense(filters, size, boundary):
    """The dictionary as a matrix (pixels channels, places atoms), entry by entry from its definition."""
    *kernel, channels, atoms = filters.shape
    matrix = np.zeros((*size, channels, *size, atoms))
    for place in np.ndindex(*size):
        for offset in np.ndindex(*kernel):
            pixel = tuple(n + i - (k - 1) // 2 for n, i, k in zip(place, offset, kernel))
            if boundary == "circular":
                pixel = tuple(p % n for p, n in zip(pixel, size))
            elif any(not 0 <= p < n for p, n in zip(pixel, size)):
                continue
            matrix[(*pixel, slice(None), *place, slice(None))] += filters[offset]
    return matrix.reshape(np.prod(size) * channels, -1)


CASES = {
    "image": ((3, 2, 1, 3), (5, 4)),
    "colour": ((2, 3, 2, 4), (4, 5)),
    "one row": ((1, 3, 2, 2), (1, 7)),
    "signal": ((4, 1, 3), (9,)),
    "signal of channels": ((3, 2, 3), (6,)),
    "whole": ((4, 3, 1, 2), (4, 3)),
}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", CASES)
def test_the_dictionary_is_its_dense_matrix(name, boundary, domain, x64, rng):
    shape, size = CASES[name]
    filters = rng.standard_normal(shape)
    matrix = dense(filters, size, boundary)
    z, x = rng.standard_normal((*size, shape[-1])), rng.standard_normal((*size, shape[-2]))
    options = {"boundary": boundary, "domain": domain}
    np.testing.assert_allclose(
        np.ravel(convolutional.synthesize(filters, z, **options)), matrix @ z.ravel(), atol=1e-12
    )
    np.testing.assert_allclose(
        np.ravel(convolutional.analyze(filters, x, **options)), matrix.T @ x.ravel(), atol=1e-12
    )


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("masked", [False, True])
def test_lasso_reaches_the_minimum_of_scikit_learn(name, boundary, domain, masked, x64, rng):
    shape, size = CASES[name]
    filters, x = rng.standard_normal(shape), rng.standard_normal((*size, shape[-2]))
    mask = rng.choice([0.0, 0.5, 1.0], x.shape) if masked else np.ones(x.shape)
    penalty = 0.2 * np.abs(dense(filters, size, boundary).T @ (mask**2 * x).ravel()).max()
    found = convolutional.lasso(
        filters, x, penalty, mask=mask if masked else None, boundary=boundary, domain=domain,
        tolerance=1e-9, max_steps=20_000,
    )  # fmt: skip
    matrix, target = mask.reshape(-1, 1) * dense(filters, size, boundary), (mask * x).ravel()
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
    matrix = dense(filters, (5, 4), "circular") / np.tile(penalty, 20)
    model = Lasso(1 / x.size, fit_intercept=False, positive=True, tol=1e-12, max_iter=200_000)
    best = model.fit(matrix, x.ravel()).coef_
    least = np.sum((x.ravel() - matrix @ best) ** 2) / 2 + best.sum()
    assert found.converged
    assert np.min(found.codes) >= 0
    np.testing.assert_allclose(found.objective, least, rtol=2e-9)


@pytest.mark.parametrize("domain", DOMAINS)
def test_synthesis_is_a_convolution_and_analysis_a_layer(domain, rng):
    filters = np.float32(rng.standard_normal((5, 3, 2, 4)))
    z, x = np.float32(rng.standard_normal((70, 9, 4))), np.float32(rng.standard_normal((70, 9, 2)))
    expected = [
        sum(signal.convolve(z[..., k], filters[:, :, c, k], mode="same") for k in range(4)) for c in range(2)
    ]
    found = convolutional.synthesize(filters, z, boundary="zero", domain=domain)
    np.testing.assert_allclose(found, np.moveaxis(expected, 0, -1), atol=2e-5)
    for boundary, padding in (("circular", "CIRCULAR"), ("zero", "SAME")):
        layer = flax.nnx.Conv(
            2, 4, (5, 3), padding=padding, use_bias=False, precision="highest", rngs=flax.nnx.Rngs(0)
        )
        layer.kernel.set_value(jnp.asarray(filters))
        found = convolutional.analyze(filters, x, boundary=boundary, domain=domain)
        np.testing.assert_allclose(found, layer(x[None])[0], atol=2e-5)


NUMBERS = st.integers(-80, 80).map(lambda n: n / 8)
"""Values whose products are no subnormal numbers, which XLA takes for zero."""


@given(st.data())
def test_analysis_is_the_adjoint_of_synthesis(data):
    space = data.draw(st.integers(1, 2))
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=space, max_size=space))
    size = data.draw(st.lists(st.integers(3, 5), min_size=space, max_size=space))
    channels, atoms = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3))
    filters, x, z = (
        data.draw(arrays.arrays(np.float32, shape, elements=NUMBERS))
        for shape in ((*kernel, channels, atoms), (*size, channels), (*size, atoms))
    )
    options = {
        "boundary": data.draw(st.sampled_from(BOUNDARIES)),
        "domain": data.draw(st.sampled_from(DOMAINS)),
    }
    one = np.vdot(np.float64(convolutional.synthesize(filters, z, **options)), x)
    other = np.vdot(z, np.float64(convolutional.analyze(filters, x, **options)))
    scale = np.linalg.norm(filters) * np.linalg.norm(x) * np.linalg.norm(z)
    assert abs(one - other) <= 1e-5 * scale


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


def test_leading_axes_vmap_and_one_by_one_agree(rng):
    filters, x = (
        np.float32(rng.standard_normal((2, 2, 1, 2))),
        np.float32(rng.standard_normal((3, 2, 4, 4, 1))),
    )

    def codes(images):
        return convolutional.lasso(filters, images, 0.8, tolerance=1e-6).codes

    together = np.asarray(codes(x))
    assert together.shape == (3, 2, 4, 4, 2)
    np.testing.assert_allclose(jax.vmap(codes)(x), together, atol=1e-5)
    for index in np.ndindex(3, 2):
        np.testing.assert_allclose(codes(x[index]), together[index], atol=1e-5)


def test_an_image_of_nan_is_flagged_and_its_neighbours_are_untouched(rng):
    filters, x = np.float32(rng.standard_normal((2, 2, 1, 2))), np.float32(rng.standard_normal((3, 4, 4, 1)))
    broken = x.copy()
    broken[1, 0, 0] = np.nan
    whole, found = (convolutional.lasso(filters, images, 0.8) for images in (x, broken))
    np.testing.assert_array_equal(found.converged, [True, False, True])
    np.testing.assert_array_equal(found.codes[::2], whole.codes[::2])


def test_too_few_steps_are_flagged_and_a_zero_image_stops_at_once(rng):
    filters = np.float32(rng.standard_normal((2, 2, 1, 2)))
    x = np.stack([np.float32(rng.standard_normal((4, 4, 1))), np.zeros((4, 4, 1), np.float32)])
    found = convolutional.lasso(filters, x, 0.01, tolerance=1e-6, max_steps=3)
    np.testing.assert_array_equal(found.converged, [False, True])
    np.testing.assert_array_equal(found.steps, [3, 0])
    assert not np.any(found.codes[1])


def test_a_zero_atom_is_never_used(rng):
    filters = np.float32(rng.standard_normal((2, 2, 1, 2)))
    filters[..., 1] = 0
    found = convolutional.lasso(filters, np.float32(rng.standard_normal((4, 4, 1))), 0.5)
    assert found.converged
    assert np.any(found.codes[..., 0])
    assert not np.any(found.codes[..., 1])


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


def test_a_masked_colour_image_takes_less_than_a_gibibyte_with_all_of_jax():
    done = subprocess.run([sys.executable, "-c", MASKED], capture_output=True, text=True, check=True)
    entries, kibibytes = map(int, done.stdout.split())
    assert entries > 0
    assert kibibytes < 2**20


FILTERS, IMAGE = np.ones((2, 2, 1, 3), np.float32), np.ones((4, 4, 1), np.float32)
BAD = {
    "no filters": ((np.ones((2, 2), np.float32), IMAGE, 0.1), {}, ValueError, "filters have shape (height"),
    "channels": ((FILTERS, np.ones((4, 4, 2), np.float32), 0.1), {}, ValueError, "with 1 channels, got"),
    "empty": ((FILTERS, np.ones((0, 4, 1), np.float32), 0.1), {}, ValueError, "an axis is empty"),
    "too large": ((np.ones((5, 2, 1, 3), np.float32), IMAGE, 0.1), {}, ValueError, "take smaller filters"),
    "boundary": ((FILTERS, IMAGE, 0.1), {"boundary": "same"}, ValueError, "take 'circular' or 'zero'"),
    "domain": ((FILTERS, IMAGE, 0.1), {"domain": "time"}, ValueError, "take 'auto', 'spatial' or 'fourier'"),
    "integers": ((FILTERS, np.ones((4, 4, 1), int), 0.1), {}, TypeError, "got int64: convert them"),
    "no penalty": ((FILTERS, IMAGE, 0.0), {}, ValueError, "the penalty is 0.0: a lasso needs a positive one"),
    "penalties": ((FILTERS, IMAGE, np.ones(2, np.float32)), {}, ValueError, "3 of them, got shape (2,)"),
    "mask": ((FILTERS, IMAGE, 0.1), {"mask": np.ones((4, 4), bool)}, ValueError, "needs an axis at its end"),
    "weights": ((FILTERS, IMAGE, 0.1), {"mask": 2 * IMAGE}, ValueError, "runs from 2.0 to 2.0: divide it"),
    "steps": ((FILTERS, IMAGE, 0.1), {"max_steps": 0}, ValueError, "max_steps is 0: take 1 at least"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    args, options, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        convolutional.lasso(*args, **options)


def test_codes_of_another_number_of_atoms_are_refused(own_errors):
    with pytest.raises(ValueError, match=re.escape("need codes of shape (..., height, width, atoms)")):
        convolutional.synthesize(FILTERS, IMAGE)


def differences(size, channels):
    """Differences of neighbours as a matrix, free at the borders."""
    rows = []
    index = np.arange(np.prod(size) * channels).reshape(*size, channels)
    for axis in range(len(size)):
        first, second = (np.take(index, range(i, size[axis] - 1 + i), axis).ravel() for i in (0, 1))
        one = np.zeros((first.size, index.size))
        one[np.arange(first.size), first], one[np.arange(first.size), second] = -1, 1
        rows.append(one)
    return np.concatenate(rows)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(9,), (5, 4)])
def test_the_smooth_part_solves_its_linear_system(size, masked, x64, rng):
    x = rng.standard_normal((*size, 2))
    mask = rng.choice([0.0, 0.3, 1.0], x.shape) if masked else np.ones(x.shape)
    weights, D = mask.ravel() ** 2, differences(size, 2)
    expected = np.linalg.solve(np.diag(weights) + 3.0 * D.T @ D, weights * x.ravel())
    found = convolutional.lowpass(
        np.where(mask > 0, x, np.nan), 3.0, mask=mask if masked else None, dimensions=len(size)
    )
    np.testing.assert_allclose(np.ravel(found), expected, atol=1e-10)


def test_the_smooth_part_of_a_constant_is_itself_and_leading_axes_are_free(rng):
    x = np.concatenate([np.full((1, 6, 5, 1), 2.0, np.float32), np.float32(rng.normal(size=(1, 6, 5, 1)))])
    mask = np.float32(rng.random((6, 5, 1)) > 0.3)
    both = convolutional.lowpass(x, 10.0, mask=mask)
    np.testing.assert_allclose(both[0], 2.0, rtol=1e-5)
    np.testing.assert_allclose(both[1], convolutional.lowpass(x[1], 10.0, mask=mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["image", "signal of channels"])
def test_filters_become_the_least_squares_of_the_ball(name, masked, domain, x64, rng):
    shape, size = CASES[name]
    x = 2 * rng.standard_normal((4, *size, shape[-2]))
    mask = rng.choice([0.0, 0.5, 1.0], x.shape) if masked else None
    start = convolutional.learn_init(rng.standard_normal(shape))
    options = {"mask": mask, "boundary": "zero", "domain": domain, "tolerance": 1e-10, "max_steps": 3000}
    codes = convolutional.lasso(start.filters, x, 0.5, **options).codes
    found = convolutional.learn_step(start, x, 0.5, **options, filter_steps=500).filters
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    weights = np.ones(x.shape) if mask is None else mask
    columns = [np.ravel(weights * convolutional.synthesize(unit, codes, boundary="zero")) for unit in units]
    matrix = np.stack(columns, 1)
    residual = (weights * x).ravel() - matrix @ np.ravel(found)
    descent = (matrix.T @ residual).reshape(-1, shape[-1])
    atoms = np.asarray(found).reshape(-1, shape[-1])
    norms = np.linalg.norm(atoms, axis=0)
    # At the minimum over the ball, what would lower the fit points out of it, along the atom.
    pull = np.sum(atoms * descent, axis=0)
    assert norms.max() < 1 + 1e-12
    assert np.any(norms > 1 - 1e-9)
    assert np.all(pull > -1e-7)
    inside = norms < 1 - 1e-7
    np.testing.assert_allclose(descent - np.where(inside, 0, pull) * atoms, 0, atol=1e-5)


def test_planted_filters_are_learnt(rng):
    planted = rng.standard_normal((5, 1, 2))
    planted /= np.linalg.norm(planted, axis=(0, 1))
    codes = np.where(rng.random((60, 64, 2)) < 0.04, rng.choice([-1.0, 1.0], (60, 64, 2)), 0)
    images = np.asarray(convolutional.synthesize(np.float32(planted), np.float32(codes)))
    # The problem is not convex: of a few starts, the one that came lowest.
    runs = [
        convolutional.learn(np.float32(rng.standard_normal((7, 1, 4))), images, 0.2, steps=60)
        for _ in range(3)
    ]
    learnt, objective = min(runs, key=lambda run: run[1][-1])
    assert np.all(np.diff(objective) < 1e-2 * objective[0])
    learnt = np.asarray(learnt[:, 0] / np.linalg.norm(learnt[:, 0], axis=0))
    for true in planted[:, 0].T:
        assert max(abs(np.correlate(one, true, "full")).max() for one in learnt.T) > 0.99


def test_what_is_missing_or_an_image_of_nan_is_not_learnt_from(rng):
    images = np.float32(rng.standard_normal((3, 12, 1)))
    state = convolutional.learn_init(np.float32(rng.standard_normal((3, 1, 2))))
    mask = rng.random((3, 12, 1)) > 0.3
    kept, lost = (
        convolutional.learn_step(state, np.where(mask, images, other), 0.3, mask=mask)
        for other in (9, np.nan)
    )
    np.testing.assert_array_equal(kept.filters, lost.filters)
    np.testing.assert_array_equal(kept.objective, lost.objective)
    images[1, 4] = np.inf
    with_it = convolutional.learn_step(state, images, 0.3)
    without = convolutional.learn_step(state, images[[0, 2]], 0.3)
    np.testing.assert_allclose(with_it.filters, without.filters, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(with_it.objective, without.objective, rtol=1e-5)


def test_an_atom_without_codes_stays(rng):
    filters = np.float32(rng.standard_normal((3, 1, 2)))
    state = convolutional.learn_init(filters)
    after = convolutional.learn_step(
        state, np.float32(rng.standard_normal((2, 12, 1))), np.float32([0.3, 1e3])
    )
    np.testing.assert_array_equal(after.filters[..., 1], state.filters[..., 1])
    assert np.abs(after.filters - state.filters)[..., 0].max() > 1e-3


def test_denoising_is_the_smooth_part_and_the_lasso_of_the_rest(x64, rng):
    filters, x = rng.standard_normal((3, 1, 2)), rng.standard_normal((9, 1))
    found = convolutional.denoise(
        filters, x, 0.2, strength=1.5, smoothness=2.0, tolerance=1e-10, max_steps=9999
    )
    D = differences((9,), 1)
    smooth = np.linalg.solve(np.eye(9) + 2.0 * D.T @ D, x)
    np.testing.assert_allclose(found.lowpass, smooth, atol=1e-12)
    matrix = dense(filters, (9,), "zero")
    # Columns are divided by their penalties, which makes these one.
    penalties = np.tile(0.3 * np.linalg.norm(filters, axis=(0, 1)), 9)
    peer = Lasso(alpha=1 / 9, fit_intercept=False, tol=1e-14, max_iter=10**6)
    codes = peer.fit(matrix / penalties, (x - smooth).ravel()).coef_ / penalties
    np.testing.assert_allclose(found.images.ravel(), smooth.ravel() + matrix @ codes, atol=1e-6)
    assert found.codes.converged


def test_noise_falls_and_the_missing_comes_back(rng):
    filters = np.float32(rng.standard_normal((6, 6, 1, 2)))
    codes = np.where(rng.random((48, 48, 2)) < 0.004, 3.0, 0.0)
    clean = np.asarray(convolutional.synthesize(filters, np.float32(codes), boundary="zero"))
    noisy = clean + 0.5 * np.float32(rng.standard_normal(clean.shape))
    # No smooth part is in these images; it is given little room.
    found = convolutional.denoise(filters, noisy, 0.5, smoothness=1e4)
    assert np.mean((found.images - clean) ** 2) < 0.25 * np.mean((noisy - clean) ** 2)
    mask = rng.random(clean.shape) > 0.5
    known = np.where(mask, clean, np.nan)
    filled = convolutional.inpaint(filters, known, mask, 0.05, smoothness=1e4, tolerance=1e-4, max_steps=3000)
    missing = ~mask
    assert np.mean((filled.images - clean)[missing] ** 2) < 0.01 * np.mean(clean[missing] ** 2)


BAD_CALLS = {
    "learnt matrix": (
        lambda: convolutional.learn_init(np.ones((2, 2), np.float32)),
        "filters have shape (hei",
    ),
    "no filters": (
        lambda: convolutional.learn_init(np.ones((2, 0, 2), np.float32)),
        "an axis is empty: filt",
    ),
    "filter steps": (
        lambda: convolutional.learn_step(convolutional.learn_init(FILTERS), IMAGE, 0.1, filter_steps=0),
        "filter_steps is 0: take 1 at least",
    ),
    "steps": (
        lambda: convolutional.learn(FILTERS, IMAGE[None], 0.1, steps=0),
        "steps are 0: take 1 at least",
    ),
    "dimensions": (
        lambda: convolutional.lowpass(IMAGE, 1.0, dimensions=3),
        "take 2 for images, 1 for signals",
    ),
    "axes": (
        lambda: convolutional.lowpass(IMAGE[0, 0], 1.0, dimensions=1),
        "2 axes that are not empty at th",
    ),
    "smoothness": (lambda: convolutional.lowpass(IMAGE, -1.0), "smoothness is -1.0: take 0 or more"),
    "noise": (lambda: convolutional.denoise(FILTERS, IMAGE, 0.0), "noise is 0.0: take a positive number"),
    "strength": (
        lambda: convolutional.denoise(FILTERS, IMAGE, 1.0, strength=-1),
        "strength is -1: take a pos",
    ),
    "mask": (
        lambda: convolutional.inpaint(FILTERS, IMAGE, 2 * IMAGE, 0.1),
        "a mask holds weights from 0 to 1",
    ),
    "penalty": (lambda: convolutional.inpaint(FILTERS, IMAGE, IMAGE, -1.0), "needs a positive one"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_errors_of_learning_and_restoring_say_what_to_do(name, own_errors):
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
