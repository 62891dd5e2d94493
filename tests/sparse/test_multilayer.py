"""The multilayer model against dense matrices in double precision, scikit-learn, SciPy, Flax and theorems."""

import re
from functools import partial

import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from sklearn.linear_model import Lasso

from jaxtheory.sparse import multilayer


def dense(filters, size, stride, boundary):
    """A dictionary as a matrix (pixels channels, places atoms), entry by entry from its definition."""
    *kernel, channels, atoms = filters.shape
    grid = [n // stride for n in size]
    matrix = np.zeros((*size, channels, *grid, atoms))
    for place in np.ndindex(*grid):
        for offset in np.ndindex(*kernel):
            pixel = tuple(stride * n + i - (k - 1) // 2 for n, i, k in zip(place, offset, kernel))
            if boundary == "circular":
                pixel = tuple(p % n for p, n in zip(pixel, size))
            elif any(not 0 <= p < n for p, n in zip(pixel, size)):
                continue
            matrix[(*pixel, slice(None), *place, slice(None))] += filters[offset]
    return matrix.reshape(np.prod(size) * channels, -1)


def matrices(dictionaries, size, strides, boundary):
    found = []
    for filters, stride in zip(dictionaries, strides):
        found.append(dense(np.asarray(filters), size, stride, boundary))
        size = [n // stride for n in size]
    return found


def soft(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def ravelled(layers):
    return [np.ravel(layer) for layer in layers]


CASES = {
    "signal of strides": (((7, 2, 3), (4, 3, 2)), (36,), (3, 2)),
    "image": (((3, 2, 1, 2), (2, 3, 2, 3)), (6, 4), (1, 1)),
    "image of strides": (((4, 3, 2, 3), (3, 2, 3, 2)), (12, 12), (2, 2)),
    "three layers": (((3, 1, 2), (3, 2, 3), (2, 3, 2)), (12,), (2, 1, 2)),
}


def made(rng, name):
    shapes, size, strides = CASES[name]
    return [rng.standard_normal(shape) for shape in shapes], size, strides


@pytest.mark.parametrize("boundary", ["circular", "zero"])
@pytest.mark.parametrize("name", CASES)
def test_synthesis_and_thresholding_are_those_of_the_dense_matrices(name, boundary, x64, rng):
    dictionaries, size, strides = made(rng, name)
    chain = matrices(dictionaries, size, strides, boundary)
    grid = [n // np.prod(strides) for n in size]
    deepest = rng.standard_normal((*grid, dictionaries[-1].shape[-1]))
    options = {"strides": strides, "boundary": boundary}
    layers = multilayer.synthesize(dictionaries, deepest, **options)
    expected = np.ravel(deepest)
    for matrix, layer in zip(reversed(chain), reversed(layers[:-1])):
        expected = matrix @ expected
        np.testing.assert_allclose(np.ravel(layer), expected, atol=1e-11)
    x = rng.standard_normal((*size, dictionaries[0].shape[-2]))
    thresholds = [1.5 * np.abs(rng.standard_normal(d.shape[-1])) for d in dictionaries]
    kind, shrink = {
        "circular": ("soft", soft),
        "zero": ("hard", lambda z, threshold: z * (np.abs(z) > threshold)),
    }[boundary]
    found = multilayer.layered_thresholding(dictionaries, x, thresholds, kind=kind, **options)
    z = x.ravel()
    for matrix, threshold, layer in zip(chain, thresholds, found):
        z = shrink(matrix.T @ z, np.tile(threshold, matrix.shape[1] // len(threshold)))
        np.testing.assert_allclose(np.ravel(layer), z, atol=1e-10)


@pytest.mark.parametrize("strides", [(1, 2), (2, 2)])
def test_nonnegative_soft_thresholding_is_the_forward_pass_of_a_network(strides, x64, rng):
    x = rng.standard_normal((3, 12, 12, 2))
    widths, kernels = (2, 5, 4), ((4, 3), (3, 3))
    values, dictionaries, thresholds = x, [], []
    for i, (kernel, stride) in enumerate(zip(kernels, strides)):
        layer = flax.nnx.Conv(
            widths[i], widths[i + 1], kernel, strides=stride, padding="CIRCULAR",
            param_dtype=jnp.float64, precision="highest", rngs=flax.nnx.Rngs(i),
        )  # fmt: skip
        bias = -np.abs(rng.standard_normal(widths[i + 1])) / 10
        layer.bias.set_value(jnp.asarray(bias))
        values = flax.nnx.relu(layer(values))
        dictionaries.append(layer.kernel.get_value())
        thresholds.append(-bias)
    found = multilayer.layered_thresholding(dictionaries, x, thresholds, kind="nonnegative", strides=strides)[
        -1
    ]
    assert 0 < np.count_nonzero(found) < found.size
    assert np.abs(found - values).max() <= 1e-12 * np.abs(values).max()


def test_layered_basis_pursuit_solves_scikit_learns_lasso_in_each_layer(x64, rng):
    dictionaries, size, strides = made(rng, "signal of strides")
    x = rng.standard_normal((3, *size, dictionaries[0].shape[-2]))
    x[1, 0] = np.nan
    # For each image of the batch its own penalty in the second layer.
    second = np.array([0.3, 0.3, 0.6]).reshape(3, *[1] * (x.ndim - 1))
    found = multilayer.layered_basis_pursuit(
        dictionaries, x, [1.0, second], nonnegative=True, strides=strides, tolerance=1e-12,
        max_steps=10_000,
    )  # fmt: skip
    for one in found:
        assert one.converged.tolist() == [True, False, True]
    chain = matrices(dictionaries, size, strides, "circular")
    for image in (0, 2):
        below = x[image].ravel()
        for matrix, penalty, one in zip(chain, (1.0, second[image].item()), found):
            model = Lasso(
                penalty / below.size, fit_intercept=False, positive=True, tol=1e-13, max_iter=500_000
            )
            best = model.fit(matrix, below).coef_

            def objective(z, matrix=matrix, below=below, penalty=penalty):
                return np.sum((below - matrix @ z) ** 2) / 2 + penalty * np.abs(z).sum()

            codes = np.ravel(one.codes[image])
            assert 0 < np.count_nonzero(codes) < codes.size
            np.testing.assert_allclose(objective(codes), objective(best), rtol=1e-9)
            below = codes


def dense_step(chain, x, penalties, step_sizes, deepest):
    """A step of ML-ISTA, as the paper has it, with matrices."""
    current = [deepest]
    for matrix in reversed(chain):
        current.insert(0, matrix @ current[0])
    below, whole = x, 1.0
    for i, (matrix, mu, penalty) in enumerate(zip(chain, step_sizes, penalties)):
        whole *= mu
        below = soft(current[i + 1] - mu * matrix.T @ (current[i] - below), whole * penalty)
    return below


@pytest.mark.parametrize("name", ["image", "three layers"])
def test_the_steps_of_ml_ista_and_ml_fista_are_those_of_the_papers(name, x64, rng):
    dictionaries, size, strides = made(rng, name)
    chain = matrices(dictionaries, size, strides, "circular")
    x = rng.standard_normal((*size, dictionaries[0].shape[-2]))
    penalties = [0.02, 0.05, 0.03][: len(chain)]
    step_sizes = [1 / np.linalg.norm(matrix, 2) ** 2 for matrix in chain]
    z = ahead = np.zeros(chain[-1].shape[1])
    plain, t = z, 1.0
    for _ in range(4):
        plain = dense_step(chain, x.ravel(), penalties, step_sizes, plain)
        after = dense_step(chain, x.ravel(), penalties, step_sizes, ahead)
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        ahead = after + (t - 1) / following * (after - z)
        z, t = after, following
    one = multilayer.ml_ista(dictionaries, x, penalties, steps=4, strides=strides)
    other = multilayer.ml_fista(dictionaries, x, penalties, steps=4, strides=strides)
    assert np.abs(plain).max() > 1e-3
    np.testing.assert_allclose(np.ravel(one.codes[-1]), plain, atol=1e-10)
    np.testing.assert_allclose(np.ravel(other.codes[-1]), z, atol=1e-10)
    current, expected = plain, penalties[-1] * np.abs(plain).sum()
    for matrix, penalty in zip(reversed(chain), [*reversed(penalties[:-1]), None]):
        current = matrix @ current
        expected += (
            np.sum((x.ravel() - current) ** 2) / 2 if penalty is None else penalty * np.abs(current).sum()
        )
    np.testing.assert_allclose(one.objective, expected, rtol=1e-10)


def test_one_step_of_size_one_from_zero_is_layered_soft_thresholding(rng):
    dictionaries, size, strides = made(rng, "image of strides")
    dictionaries = [np.float32(d / 8) for d in dictionaries]
    x = np.float32(rng.standard_normal((*size, 2)))
    options = {"strides": strides}
    found = multilayer.ml_ista(dictionaries, x, [0.2, 0.1], steps=1, step_sizes=[1.0, 1.0], **options)
    expected = multilayer.layered_thresholding(dictionaries, x, [0.2, 0.1], **options)
    for one, other in zip(found.codes, expected):
        assert np.any(other)
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_one_layer_comes_to_the_minimum_as_fast_as_the_rates_say(x64, rng):
    filters, x = rng.standard_normal((5, 1, 3)), rng.standard_normal((16, 1))
    matrix = dense(filters, (16,), 1, "circular")
    model = Lasso(0.5 / 16, fit_intercept=False, tol=1e-14, max_iter=500_000)
    best = model.fit(matrix, x.ravel()).coef_
    least = np.sum((x.ravel() - matrix @ best) ** 2) / 2 + 0.5 * np.abs(best).sum()
    scale = np.linalg.norm(matrix, 2) ** 2 * np.sum(best**2)
    values = []
    for steps in (10, 1000):
        plain = multilayer.ml_ista([filters], x, [0.5], steps=steps)
        fast = multilayer.ml_fista([filters], x, [0.5], steps=steps)
        assert -1e-12 <= plain.objective - least <= scale / (2 * steps)
        assert -1e-12 <= fast.objective - least <= 2 * scale / (steps + 1) ** 2
        values.append(float(plain.objective))
    assert values[1] < values[0]
    np.testing.assert_allclose(values[-1], least, rtol=1e-6)
    np.testing.assert_allclose(fast.objective, least, rtol=1e-6)
    assert fast.change < 1e-4


def multilayer_minimum(chain, x, penalties):
    """The least objective of two layers: a quadratic program in codes and bounds of absolute values."""
    (first, second), (_, atoms) = chain, chain[-1].shape
    hidden = second.shape[0]
    whole, (one, other) = first @ second, penalties

    def value(v):
        fit = np.sum((x - whole @ v[:atoms]) ** 2) / 2
        return fit + one * v[atoms:-atoms].sum() + other * v[-atoms:].sum()

    def slope(v):
        return np.concatenate(
            [whole.T @ (whole @ v[:atoms] - x), np.full(hidden, one), np.full(atoms, other)]
        )

    bounds, free = np.eye(hidden + atoms), np.concatenate([second, np.eye(atoms)])
    constraints = np.block([[-free, bounds], [free, bounds]])
    found = scipy.optimize.minimize(
        value, np.concatenate([np.zeros(atoms), np.ones(hidden + atoms)]), jac=slope, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda v: constraints @ v, "jac": lambda _: constraints},
        options={"maxiter": 1000, "ftol": 1e-13},
    )  # fmt: skip
    assert found.success
    return found.fun


def test_fixed_points_come_near_the_minimum_as_steps_shrink(x64, rng):
    dictionaries = [rng.standard_normal((3, 1, 2)), rng.standard_normal((3, 2, 2))]
    x, penalties = rng.standard_normal((6, 1)), (0.3, 0.4)
    chain = matrices(dictionaries, (6,), (1, 1), "circular")
    least = multilayer_minimum(chain, x.ravel(), penalties)
    whole = [1 / np.linalg.norm(matrix, 2) ** 2 for matrix in chain]
    excess = []
    for shrunken in (1, 8, 32):
        found = multilayer.ml_ista(
            dictionaries, x, penalties, steps=12_800, step_sizes=[whole[0] / shrunken, whole[1]]
        )
        assert found.change < 1e-7
        again = dense_step(
            chain, x.ravel(), penalties, [whole[0] / shrunken, whole[1]], np.ravel(found.codes[1])
        )
        np.testing.assert_allclose(again, np.ravel(found.codes[1]), atol=1e-6)
        excess.append(float(found.objective) / least - 1)
    assert min(excess) > -1e-6
    assert excess[0] > 2 * excess[1] > 4 * excess[2]
    assert excess[2] < 5e-3


def test_figures_of_sparsity_are_counts_over_the_dense_matrices(rng):
    shapes, strides = ((7, 1, 4), (3, 4, 3)), (4, 1)
    dictionaries = [np.float32(rng.standard_normal(shape)) for shape in shapes]
    kept = [rng.random((5, 12, shape[-1])) < 0.1 for shape in shapes]
    codes = [np.float32(rng.standard_normal(some.shape) * some) for some in kept]
    for boundary, padding in (("circular", "wrap"), ("zero", "constant")):
        found = multilayer.sparsity(dictionaries, codes, strides=strides, boundary=boundary)
        for i, z in enumerate(codes):
            flat, width = z.reshape(5, -1), (48, 12)[i]
            support = dense(np.ones(shapes[i]), (width,), strides[i], "circular")
            if boundary == "zero":
                # Where atoms reach over the border, they still count as meeting.
                support = dense(np.ones(shapes[i]), (2 * width,), strides[i], "zero")
                support = support[:, support.shape[1] // 4 : 3 * support.shape[1] // 4]
            meets = support.T @ support > 0
            np.testing.assert_array_equal(found.stripes[:, i], (1 * (flat != 0) @ meets).max(-1))
            np.testing.assert_allclose(found.largest[:, i], np.abs(flat).max(-1), rtol=1e-6)
            smallest = np.where(flat != 0, np.abs(flat), np.inf).min(-1)
            np.testing.assert_allclose(found.smallest[:, i], smallest, rtol=1e-6)
            counts = np.pad((z != 0).sum(-1), ((0, 0), (2, 2)), mode=padding)
            windows = np.lib.stride_tricks.sliding_window_view(counts, 3, axis=-1).sum(-1)
            np.testing.assert_array_equal(found.patches[:, i], windows.max(-1))


def test_patch_norms_are_those_of_the_largest_window(rng):
    x = np.float32(rng.standard_normal((4, 7, 6, 2)))
    for boundary, mode in (("circular", "wrap"), ("zero", "constant")):
        padded = np.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0)), mode=mode)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(1, 2))
        expected = np.sqrt((windows**2).sum((3, 4, 5))).max((1, 2))
        np.testing.assert_allclose(multilayer.patch_norm(x, (3, 2), boundary=boundary), expected, rtol=1e-5)
    zero = jax.grad(lambda x: multilayer.patch_norm(x, (2,)))(jnp.zeros((4, 1)))
    np.testing.assert_array_equal(zero, 0)


@pytest.mark.parametrize("name", CASES)
def test_coherences_and_norms_are_those_of_the_dense_matrices(name, x64, rng):
    dictionaries, size, strides = made(rng, name)
    dictionaries = [d / np.linalg.norm(d.reshape(-1, d.shape[-1]), axis=0) for d in dictionaries]
    size = [2 * n for n in size]
    chain = matrices(dictionaries, size, strides, "circular")
    grams = [matrix.T @ matrix for matrix in chain]
    expected = [np.abs(gram - np.diag(np.diag(gram))).max() for gram in grams]
    np.testing.assert_allclose(multilayer.coherences(dictionaries, strides=strides), expected, atol=1e-12)
    norms = [np.linalg.norm(matrix, 2) ** 2 for matrix in chain]
    np.testing.assert_allclose(
        multilayer.squared_norms(dictionaries, size, strides=strides), norms, rtol=1e-10
    )
    cut = [np.linalg.norm(m, 2) ** 2 for m in matrices(dictionaries, size, strides, "zero")]
    bounds = multilayer.squared_norms(dictionaries, size, strides=strides, boundary="zero")
    assert np.all(bounds >= np.array(cut) * (1 - 1e-12))
    assert np.all(bounds <= 1.5 * np.array(cut))


def test_samples_have_their_entries_and_are_the_dictionaries_images(x64):
    dictionaries = multilayer.init(jax.random.key(0), [(3, 2), (2, 2)], (2, 3, 4))
    draw = partial(
        multilayer.sample, dictionaries=dictionaries, size=(8, 6), entries=5, smallest=1.0, largest=1.3,
        strides=(2, 1),
    )  # fmt: skip
    x, first, deepest = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), 200))
    assert (x.shape, first.shape, deepest.shape) == ((200, 8, 6, 2), (200, 4, 3, 3), (200, 4, 3, 4))
    chain = matrices(dictionaries, (8, 6), (2, 1), "circular")
    np.testing.assert_allclose(
        x.reshape(200, -1), deepest.reshape(200, -1) @ (chain[0] @ chain[1]).T, atol=1e-12
    )
    values = np.asarray(deepest)[np.asarray(deepest) != 0]
    assert values.size == 1000
    size = np.abs(values)
    assert 1 <= size.min() < 1.01
    assert 1.29 < size.max() <= 1.3
    # Signs are fair and places uniform, to five standard errors.
    assert abs((values > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    counts = (np.asarray(deepest) != 0).sum(0).ravel()
    expected = 1000 / 48
    assert np.sum((counts - expected) ** 2 / expected) < 47 + 5 * np.sqrt(2 * 47)
    positive = draw(jax.random.key(2), nonnegative=True)[-1]
    assert np.all(positive >= 0)
    for filters in dictionaries:
        np.testing.assert_allclose(np.sum(np.square(filters), (0, 1, 2)), 1)


def hopping(rng):
    """Dictionaries of low coherence: nearly orthonormal blocks, and atoms that share one entry at most."""
    first = scipy.linalg.hadamard(16) / 4 + 0.002 * rng.standard_normal((16, 16))
    first /= np.linalg.norm(first, axis=0)
    second = np.zeros((33, 16, 16))
    for atom in range(16):
        for channel in range(16):
            second[2 * ((atom + 1) * (channel + 1) % 17), channel, atom] = rng.choice([-1, 1]) / 4
    return [first[:, None, :], second], (16, 1)


def test_no_bound_is_broken_by_draws_that_meet_it(x64, rng):
    dictionaries, strides = hopping(rng)
    mu = multilayer.coherences(dictionaries, strides=strides)
    assert 0.001 < mu[0] < 0.02
    np.testing.assert_allclose(mu[1], 1 / 16)
    draw = partial(
        multilayer.sample, dictionaries=dictionaries, size=(1280,), entries=3, largest=1.3, strides=strides
    )
    x, *codes = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 40))
    noise = 1e-4 * rng.standard_normal(x.shape)
    size = multilayer.patch_norm(noise, (16,))
    figures = multilayer.sparsity(dictionaries, codes, strides=strides)
    promises = {
        kind: multilayer.thresholding_guarantee(mu, figures, size, kind=kind) for kind in ("hard", "soft")
    }
    promises["basis pursuit"] = multilayer.basis_pursuit_guarantee(mu, figures, size)
    for name, promise in promises.items():
        each = [promise.parameters[:, layer, None, None] for layer in range(2)]
        options = {"strides": strides}
        if name == "basis pursuit":
            solutions = multilayer.layered_basis_pursuit(
                dictionaries, x + noise, each, tolerance=1e-10, **options
            )
            found = [one.codes for one in solutions]
        else:
            found = multilayer.layered_thresholding(dictionaries, x + noise, each, kind=name, **options)
        met = np.asarray(promise.holds).all(-1)
        assert met.sum() >= 12
        for layer, (one, true) in enumerate(zip(found, codes)):
            error = multilayer.patch_norm(one - true, (33,))
            assert np.all(error[met] <= promise.errors[met, layer])
            extra, missed = (one != 0) & (true == 0), (one == 0) & (true != 0)
            assert not np.any(extra[met])
            if name != "basis pursuit":
                assert not np.any(missed[met])
            assert np.all(error[met] > 0)


def test_guarantees_are_the_theorems_formulas(x64):
    mu, noise = np.array([0.01, 0.05]), 0.002
    stripes, patches = np.array([4, 3]), np.array([9, 4])
    smallest, largest = np.array([0.5, 1.0]), np.array([0.6, 1.2])
    figures = multilayer.Sparsity(*map(jnp.asarray, (stripes, patches, smallest, largest)))
    betas, expected = [0.04, 0.4], {"hard": [], "soft": []}
    for kind, errors in expected.items():
        error = noise
        for i in range(2):
            plain = error + mu[i] * (stripes[i] - 1) * largest[i] + (betas[i] if kind == "soft" else 0)
            error = np.sqrt(patches[i]) * plain
            errors.append(error)
        found = multilayer.thresholding_guarantee(mu, figures, noise, kind=kind, thresholds=betas)
        assert np.all(found.holds)
        np.testing.assert_allclose(found.errors, errors)
        np.testing.assert_allclose(found.parameters, betas)
        before = np.array([noise, errors[0]])
        np.testing.assert_allclose(
            found.sparsities, (1 + smallest / (mu * largest)) / 2 - before / (mu * largest)
        )
    # A threshold that lets through what others cast on an atom outside of the support.
    low = multilayer.thresholding_guarantee(mu, figures, noise, kind="hard", thresholds=[0.02, 0.4])
    assert low.holds.tolist() == [False, False]
    assert np.all(np.isinf(low.errors))
    pursued = multilayer.basis_pursuit_guarantee(mu, figures, noise)
    np.testing.assert_allclose(pursued.errors, [noise * 7.5 * 3, noise * 7.5**2 * 6])
    np.testing.assert_allclose(pursued.parameters, [4 * noise, 4 * noise * 7.5 * 3])
    np.testing.assert_allclose(pursued.sparsities, (1 + 1 / mu) / 3)
    unique = multilayer.uniqueness_guarantee(mu, figures)
    np.testing.assert_allclose(unique.sparsities, (1 + 1 / mu) / 2)
    assert np.all(unique.errors == 0)
    stable = multilayer.stability_guarantee(mu, figures, noise)
    first = np.sqrt(4 * noise**2 / (1 - 7 * 0.01))
    np.testing.assert_allclose(stable.errors, [first, np.sqrt(4 * first**2 / (1 - 5 * 0.05))])
    full = multilayer.Sparsity(*map(jnp.asarray, (np.array([60, 1]), patches, smallest, largest)))
    for promise in (
        multilayer.uniqueness_guarantee(mu, full),
        multilayer.stability_guarantee(mu, full, noise),
        multilayer.basis_pursuit_guarantee(mu, full, noise),
        multilayer.thresholding_guarantee(mu, full, noise),
    ):
        assert promise.holds.tolist() == [False, False]
        assert np.all(np.isinf(promise.errors))
    # A threshold there is nevertheless.
    np.testing.assert_allclose(promise.parameters, smallest / 2)


def test_two_sparse_codes_of_one_image_are_as_close_as_theorem_5_says(x64, rng):
    dictionaries, strides = hopping(rng)
    mu = multilayer.coherences(dictionaries, strides=strides)
    options = {"strides": strides}
    for key in jax.random.split(jax.random.key(3), 10):
        x, *codes = multilayer.sample(key, dictionaries, (1280,), 3, largest=1.3, **options)
        # The same support, other values: what a noisy image cannot tell apart.
        moved = codes[-1] * (1 + 0.1 * rng.standard_normal(codes[-1].shape))
        y, *others = multilayer.synthesize(dictionaries, moved, **options)
        figures = [multilayer.sparsity(dictionaries, z, **options) for z in (codes, others)]
        # Both meet the image in their middle up to half of their distance.
        noise = np.linalg.norm(x - y) / 2
        promise = multilayer.stability_guarantee(mu, jax.tree.map(jnp.maximum, *figures), noise)
        assert np.all(promise.holds)
        for one, other, bound in zip(codes, others, promise.errors):
            assert 0 < np.linalg.norm(one - other) <= bound


def test_learning_finds_planted_dictionaries(rng):
    true = [np.float32(scipy.linalg.hadamard(8)[:, None, 1:5]), np.zeros((5, 4, 4), np.float32)]
    for channel, atom in np.ndindex(4, 4):
        true[1][rng.integers(5), channel, atom] = rng.choice([-1, 1])
    true, strides = [d / np.linalg.norm(d.reshape(-1, 4), axis=0) for d in true], (8, 1)
    draw = partial(multilayer.sample, dictionaries=true, size=(192,), entries=6, largest=2.0, strides=strides)
    images = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 64))[0]
    start = [np.float32(d + 0.18 * rng.standard_normal(d.shape)) for d in true]
    start = [d / np.linalg.norm(d.reshape(-1, 4), axis=0) for d in start]
    penalties = [0.03, 0.03]
    learnt, objective = multilayer.learn(start, images, penalties, steps=200, code_steps=30, strides=strides)
    assert objective.shape == (200,)
    best = multilayer.ml_fista(true, images, penalties, steps=300, strides=strides).objective.mean()
    assert objective[0] > 2 * best
    assert objective[-1] < 1.02 * best
    cosines = [[np.sum(a * b, (0, 1)) for a, b in zip(pair, true)] for pair in (start, learnt)]
    for before, after in zip(*cosines):
        assert np.mean(before) < 0.95
        assert np.min(after) > 0.97
    for filters in learnt:
        np.testing.assert_allclose(np.sum(np.square(filters), (0, 1)), 1, rtol=1e-5)


def test_a_step_on_the_filters_lowers_the_objective_of_its_codes(x64, rng):
    dictionaries, size, _ = made(rng, "image")
    images = rng.standard_normal((6, *size, 1))
    penalties = [0.05, 0.1]
    state = multilayer.learn_init(dictionaries)

    def objective(dictionaries, codes):
        chain = matrices(dictionaries, size, (1, 1), "circular")
        flat = codes.reshape(6, -1)
        middle = flat @ chain[1].T
        fit = np.sum((images.reshape(6, -1) - middle @ chain[0].T) ** 2) / 2
        return (fit + 0.05 * np.abs(middle).sum() + 0.1 * np.abs(flat).sum()) / 6

    for _ in range(3):
        codes = np.asarray(multilayer.ml_fista(state.dictionaries, images, penalties, steps=50).codes[-1])
        after = multilayer.learn_step(state, images, penalties)
        np.testing.assert_allclose(after.objective, objective(state.dictionaries, codes), rtol=1e-10)
        assert objective(after.dictionaries, codes) < after.objective
        state = after


def test_an_atom_without_codes_stays_and_a_zero_image_changes_nothing(rng):
    start = [np.float32(rng.standard_normal((3, 1, 2))), np.float32(rng.standard_normal((3, 2, 2)))]
    start[1][..., 1] = 0
    state = multilayer.learn_init(start)
    after = multilayer.learn_step(state, np.float32(rng.standard_normal((4, 8, 1))), [0.1, 0.1])
    assert not np.any(after.dictionaries[1][..., 1])
    assert np.all(np.isfinite(after.dictionaries[0]))
    still = multilayer.learn_step(state, np.zeros((4, 8, 1), np.float32), [0.1, 0.1])
    for one, other in zip(still.dictionaries, state.dictionaries):
        np.testing.assert_array_equal(one, other)
    found = multilayer.ml_ista(state.dictionaries, np.zeros((8, 1), np.float32), [0.1, 0.1])
    assert found.change == 0


ONE, TWO = np.ones((3, 1, 2), np.float32), np.ones((2, 2, 3), np.float32)
X = np.ones((8, 1), np.float32)
BAD = {
    "none": (([], X, []), {}, "a model has one dictionary at least, got none"),
    "axes": (([np.ones((3, 2), np.float32)], X, [0.1]), {}, "layer 1 has filters of shape (3, 2)"),
    "mixed": (([ONE, np.ones((2, 2, 2, 3), np.float32)], X, [0.1, 0.1]), {}, "all layers take"),
    "chain": (([ONE, ONE], X, [0.1, 0.1]), {}, "layer 2 has 1 channels and the one before 2 atoms"),
    "strides": (([ONE, TWO], X, [0.1, 0.1]), {"strides": (2,)}, "strides are (2,): take one of 1 or more"),
    "no stride": (([ONE, TWO], X, [0.1, 0.1]), {"strides": 0}, "strides are (0, 0): take one of 1 or more"),
    "size": (([ONE, TWO], X, [0.1, 0.1]), {"strides": 4}, "crop or pad them to multiples of 16"),
    "images": (([ONE, TWO], np.ones(8, np.float32), [0.1, 0.1]), {}, "the last of 1 channels, got (8,)"),
    "layers": (([ONE, TWO], X, [0.1]), {}, "for 2 layers: give one for each layer"),
    "atoms": (([ONE, TWO], X, [0.1, np.ones(2)]), {}, "codes of shape (8, 3), got shape (2,)"),
    "negative": (([ONE, TWO], X, [0.1, -0.5]), {}, "hold -0.5: take"),
    "filters": (([np.ones((9, 1, 2), np.float32)], X, [0.1]), {}, "do not fit on a circular image"),
}


@pytest.mark.parametrize("function", ["layered_thresholding", "layered_basis_pursuit", "ml_ista", "ml_fista"])
@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, function, own_errors):
    args, options, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(multilayer, function)(*args, **options)


OTHERS = {
    "kind": (multilayer.layered_thresholding, ([ONE], X, [0.1]), {"kind": "firm"}, "take one of soft, nonn"),
    "penalty": (multilayer.layered_basis_pursuit, ([ONE], X, [0.0]), {}, "penalties hold 0.0: take positive"),
    "steps": (multilayer.ml_ista, ([ONE], X, [0.1]), {"steps": 0}, "steps are 0: take 1 at least"),
    "learning": (multilayer.learn, ([ONE], X[None], [0.1]), {"steps": 0}, "steps are 0: take 1 at least"),
    "step sizes": (multilayer.ml_ista, ([ONE], X, [0.1]), {"step_sizes": [0.0]}, "take positive ones"),
    "widths": (multilayer.init, (jax.random.key(0), [(3,)], (1,)), {}, "1 kernels and 1 widths: take"),
    "kernels": (multilayer.init, (jax.random.key(0), [(0,)], (1, 2)), {}, "all are 1 at least"),
    "entries": (multilayer.sample, (jax.random.key(0), [ONE], (8,), 17), {}, "codes have 16 places"),
    "size": (multilayer.sample, (jax.random.key(0), [ONE], (8, 8), 1), {}, "an image of size (8, 8) has no"),
    "odd": (multilayer.sample, (jax.random.key(0), [ONE], (9,), 1), {"strides": 2}, "multiples of 2"),
    "norms": (multilayer.squared_norms, ([ONE], (9,)), {"strides": 2}, "multiples of 2"),
    "codes": (multilayer.sparsity, ([ONE], [X, X]), {}, "codes of 2 layers for 1 dictionaries: leave"),
    "patch": (multilayer.patch_norm, (X, (3, 3)), {}, "take (height, width) or (length,)"),
    "large": (multilayer.patch_norm, (X, (9,)), {}, "patches of size (9,) do not fit on a circular image"),
    "border": (multilayer.patch_norm, (X, (2,)), {"boundary": "same"}, "take 'circular' or 'zero'"),
    "threshold": (
        multilayer.thresholding_guarantee, (np.ones(1), None, 0.0), {"kind": "firm"}, "'soft' or 'hard'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_errors_say_what_to_do(name, own_errors):
    function, args, options, message = OTHERS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        function(*args, **options)
