"""Coherence against closed forms and all subsets; its guarantees against pursuits and thresholding."""

import re
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.linalg
from scipy.linalg import svdvals
from sklearn.linear_model import OrthogonalMatchingPursuit

from jaxtheory.sparse import coherence


def periodic(filters, shape):
    """All atoms (places, atoms, numbers) of filters on a periodic image, or signal."""
    kernel, atoms = filters.shape[:-2], filters.shape[-1]
    found = np.zeros((*shape, atoms, *shape, filters.shape[-2]))
    for place in np.ndindex(*shape):
        for offset in np.ndindex(*kernel):
            covered = tuple((p + o) % n for p, o, n in zip(place, offset, shape))
            found[(*place, slice(None), *covered)] += filters[offset].T
    return found.reshape(*shape, atoms, -1)


def random_dictionary(rng, atoms, features):
    values = rng.standard_normal((atoms, features))
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def simplex(n):
    """n + 1 equiangular directions in n dimensions."""
    centered = np.eye(n + 1) - 1 / (n + 1)
    return (centered @ np.linalg.svd(centered)[2][:n].T) * np.sqrt((n + 1) / n)


@pytest.mark.parametrize("n", [1, 4, 64])
def test_hadamard_and_dirac(n, x64):
    frame = coherence.hadamard_dirac(n)
    np.testing.assert_allclose(np.linalg.norm(frame, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(coherence.mutual_coherence(frame), 1 / np.sqrt(n), rtol=1e-12)


@pytest.mark.parametrize("n", [8, 32])
def test_cosines_and_dirac(n, x64):
    frame = np.concatenate([np.eye(n), scipy.fft.dct(np.eye(n), norm="ortho", axis=0)])
    # The largest entry is beside the border, half a step from the crest of the fastest cosine but one.
    expected = np.sqrt(2 / n) * np.cos(np.pi / (2 * n))
    np.testing.assert_allclose(coherence.mutual_coherence(frame), expected, rtol=1e-12)


def test_complex_waves_and_dirac(x64):
    frame = np.concatenate([np.eye(9, dtype=complex), scipy.fft.fft(np.eye(9), norm="ortho")])
    np.testing.assert_allclose(coherence.mutual_coherence(frame), 1 / 3, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_equiangular_tight_frames_reach_the_bound_of_welch(n, x64, rng):
    np.testing.assert_allclose(
        coherence.mutual_coherence(simplex(n)), coherence.welch_bound(n + 1, n), rtol=1e-10
    )
    other = coherence.mutual_coherence(random_dictionary(rng, n + 1, n))
    assert other > coherence.welch_bound(n + 1, n)
    assert coherence.welch_bound(n, n) == 0


def test_the_babel_function_by_all_subsets(x64, rng):
    frame = random_dictionary(rng, 7, 4)
    cosines = np.abs(frame @ frame.T)
    expected = [
        max(
            sum(cosines[i, j] for j in chosen)
            for i in range(7)
            for chosen in combinations([j for j in range(7) if j != i], k)
        )
        for k in range(7)
    ]
    np.testing.assert_allclose(coherence.babel(frame), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_spark_is_no_smaller_than_its_bound(seed, x64):
    rng = np.random.default_rng(seed)
    frame = random_dictionary(rng, 8, 6)
    # A dependence of few atoms.
    frame[7] = frame[:3].T @ rng.standard_normal(3)
    frame[7] /= np.linalg.norm(frame[7])
    spark = next(
        k
        for k in range(1, 9)
        if any(svdvals(frame[list(chosen)])[-1] < 1e-10 for chosen in combinations(range(8), k)) or k > 6
    )
    bound = int(coherence.spark_bound(frame))
    assert spark == 4
    assert 1 + 1 / float(coherence.mutual_coherence(frame)) <= bound + 1
    assert 2 <= bound <= spark


def test_the_bound_on_the_spark_is_reached(x64):
    # Comb functions: the Dirac comb is its own Fourier transform, and 2 sqrt(n) atoms depend.
    frame = np.concatenate([np.eye(16, dtype=complex), scipy.fft.fft(np.eye(16), norm="ortho")])
    assert coherence.spark_bound(frame) == 5
    assert coherence.spark_bound(np.eye(3)) == 4
    # Directions of a simplex depend all together, as the equality in the bound says.
    assert coherence.spark_bound(simplex(3)) == 4


def test_frames_by_alternating_projection(x64):
    frame = coherence.grassmannian(jax.random.key(0), 6, 3, steps=3000)
    np.testing.assert_allclose(np.linalg.norm(frame, axis=1), 1, rtol=1e-12)
    # Six diagonals of the icosahedron.
    np.testing.assert_allclose(coherence.mutual_coherence(frame), 1 / np.sqrt(5), rtol=1e-4)
    wide = coherence.gaussian(jax.random.key(1), 40, 20)
    np.testing.assert_allclose(np.linalg.norm(wide, axis=1), 1, rtol=1e-12)
    less = coherence.grassmannian(jax.random.key(1), 40, 20, steps=200)
    bound = coherence.welch_bound(40, 20)
    assert bound < coherence.mutual_coherence(less) < 0.6 * coherence.mutual_coherence(wide)


@pytest.mark.parametrize("shape", [(3, 1, 2), (2, 3, 2, 3)])
def test_shifts_against_the_dense_dictionary(shape, x64, rng):
    filters = rng.standard_normal(shape)
    filters /= np.sqrt(np.sum(filters**2, axis=tuple(range(len(shape) - 1))))
    size = (9,) if len(shape) == 3 else (7, 8)
    matrix = periodic(filters, size)
    flat = matrix.reshape(-1, matrix.shape[-1])
    shifts = coherence.shift_coherence(filters)
    np.testing.assert_allclose(np.max(shifts), coherence.mutual_coherence(flat), rtol=1e-12)
    # The atoms at one place, and those at the places beside it.
    gram = np.abs(flat @ flat.T).reshape(*size, shape[-1], *size, shape[-1])
    place = tuple(n // 2 for n in size)
    for shift in np.ndindex(shifts.shape):
        moved = tuple(p + s - k + 1 for p, s, k in zip(place, shift, shape))
        block = gram[(*place, slice(None), *moved)]
        if moved == place:
            block = block - np.diag(np.diag(block))
        np.testing.assert_allclose(shifts[shift], block.max(), atol=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "zero"])
def test_stripes_by_counting(boundary, rng):
    codes = np.float32(rng.standard_normal((2, 7, 9, 3)) * (rng.random((2, 7, 9, 3)) < 0.15))
    found = coherence.stripe_sparsity(codes, (3, 2), boundary=boundary)
    for image, count in zip(codes, found):
        stripes = []
        for i, j in np.ndindex(7, 9):
            rows, columns = np.arange(i - 2, i + 3), np.arange(j - 1, j + 2)
            if boundary == "periodic":
                rows, columns = rows % 7, columns % 9
            else:
                rows, columns = rows[(rows >= 0) & (rows < 7)], columns[(columns >= 0) & (columns < 9)]
            stripes.append(np.count_nonzero(image[np.ix_(rows, columns)]))
        assert count == max(stripes)
    assert coherence.stripe_sparsity(codes[0, 0], (2,)) <= np.count_nonzero(codes[0, 0])


def test_codes_below_the_bounds_are_found(x64, rng):
    frame = np.asarray(coherence.hadamard_dirac(64))
    mu = float(coherence.mutual_coherence(frame))
    assert float(coherence.uniqueness_sparsity(mu)) == 4.5
    for _ in range(50):
        support = rng.choice(128, 4, replace=False)
        code = np.zeros(128)
        code[support] = rng.choice([-1, 1], 4) * rng.uniform(1, 100, 4)
        model = OrthogonalMatchingPursuit(n_nonzero_coefs=4, fit_intercept=False).fit(frame.T, code @ frame)
        np.testing.assert_allclose(model.coef_, code, atol=1e-9)

        noise = rng.standard_normal(64)
        noise *= 0.1 / np.linalg.norm(noise)
        few = rng.choice(128, 2, replace=False)
        code = np.zeros(128)
        code[few] = rng.choice([-1, 1], 2) * rng.uniform(1, 2, 2)
        smallest, largest = np.abs(code[few]).min(), np.abs(code[few]).max()
        assert coherence.thresholding_sparsity(mu, smallest, largest, 0.1) > 2
        products = np.abs(frame @ (code @ frame + noise))
        assert set(np.argsort(products)[-2:]) == set(few)

        assert coherence.omp_sparsity(mu, smallest, 0.1) >= 2
        model = OrthogonalMatchingPursuit(n_nonzero_coefs=2, fit_intercept=False)
        found = model.fit(frame.T, code @ frame + noise).coef_
        error = np.linalg.norm(found - code)
        assert set(np.flatnonzero(found)) == set(few)
        assert error <= coherence.omp_error(mu, 2, 0.1)
        assert error <= coherence.stability_error(mu, 2, 0.1)


def test_errors_are_infinite_where_nothing_is_promised(x64):
    assert coherence.omp_error(0.25, 5, 1.0) == np.inf
    np.testing.assert_allclose(coherence.stability_error(0.1, np.array([2, 5, 6]), 0.0), [0, 0, np.inf])
    np.testing.assert_allclose(coherence.basis_pursuit_error(0.2, 1, 1.0), 2 / np.sqrt(0.4))


def test_nothing_is_coherent_with_an_orthonormal_basis(x64):
    assert coherence.mutual_coherence(np.eye(4, dtype=int)) == 0
    assert coherence.uniqueness_sparsity(0) == np.inf
    assert coherence.thresholding_sparsity(0.0, 1.0, 2.0, 0.1) == np.inf
    assert coherence.omp_sparsity(0.0, 1.0, 0.1) == np.inf


def test_half_precision_is_computed_in_single(rng):
    frame = jnp.asarray(random_dictionary(rng, 8, 64), jnp.bfloat16)
    wide = np.asarray(frame, np.float64)
    expected = np.max(np.abs(wide @ wide.T - np.diag(np.sum(wide**2, 1))))
    found = coherence.mutual_coherence(frame)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(float(found), expected, rtol=2**-8)
    assert coherence.shift_coherence(frame.T[:, None, :]).dtype == jnp.bfloat16


def test_what_is_real_refuses_complex_numbers(own_errors):
    for call in (
        lambda: coherence.shift_coherence(np.ones((1, 1, 1)) + 0j),
        lambda: coherence.uniqueness_sparsity(0.5 + 0j),
        lambda: coherence.stability_error(0.1, 2, 1j),
    ):
        with pytest.raises(TypeError, match="is complex"):
            call()


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_the_fast_transform_is_scipys_matrix(n, x64, rng):
    matrix = np.concatenate([np.eye(n), scipy.linalg.hadamard(n) / np.sqrt(n)])
    apply, adjoint = coherence.hadamard_dirac_operators(n)
    codes, signals = rng.standard_normal((3, 2, 2 * n)), rng.standard_normal((3, 2, n))
    np.testing.assert_allclose(apply(codes), codes @ matrix, atol=1e-12)
    np.testing.assert_allclose(adjoint(signals), signals @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(jax.jit(adjoint)(signals), adjoint(signals), atol=1e-12)
    np.testing.assert_allclose(matrix, coherence.hadamard_dirac(n), atol=1e-12)


ZERO = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
BAD = {
    "zero atom": (lambda: coherence.mutual_coherence(ZERO), "zeros or NaN as atom 1: leave it out"),
    "long atom": (lambda: coherence.babel(2 * np.eye(2)), "has an atom of norm 2: take atoms of unit norm"),
    "no atoms": (lambda: coherence.babel(np.ones((0, 2))), "has the shape (0, 2): take at least one atom"),
    "a vector": (
        lambda: coherence.spark_bound(np.ones(2)),
        "has the shape (2,): take (..., atoms, features)",
    ),
    "zero filter": (lambda: coherence.shift_coherence(np.zeros((2, 1, 1))), "zeros or NaN as atom 0"),
    "filters": (lambda: coherence.shift_coherence(ZERO), "filters has the shape (2, 2): take (height"),
    "no power": (lambda: coherence.hadamard_dirac(12), "features is 12: take a power of two"),
    "no power of operators": (
        lambda: coherence.hadamard_dirac_operators(6),
        "features is 6: take a power of two",
    ),
    "signals": (
        lambda: coherence.hadamard_dirac_operators(4)[1](jnp.ones(8)),
        "signals has the shape (8,): take (..., 4) for (..., features)",
    ),
    "codes": (
        lambda: coherence.hadamard_dirac_operators(4)[0](jnp.ones(4)),
        "codes has the shape (4,): take (..., 8) for (..., atoms)",
    ),
    "count": (lambda: coherence.welch_bound(0, 2), "atoms is 0: take a whole number at least 1"),
    "too few": (
        lambda: coherence.grassmannian(jax.random.key(0), 2, 3),
        "atoms is 2: take a whole number at least 3",
    ),
    "mu": (lambda: coherence.uniqueness_sparsity(-0.1), "mu is -0.1: take a number of 0 or more"),
    "noise": (lambda: coherence.omp_error(0.1, 2, -1.0), "noise is -1.0: take a number of 0 or more"),
    "kernel": (
        lambda: coherence.stripe_sparsity(jnp.ones((4, 1)), (1, 1)),
        "take (height, width) or (length,)",
    ),
    "border": (
        lambda: coherence.stripe_sparsity(jnp.ones((4, 1)), (1,), boundary="same"),
        "boundary is 'same': take 'periodic' or 'zero'",
    ),
    "stripe": (
        lambda: coherence.stripe_sparsity(jnp.ones((4, 1)), (3,)),
        "kernel_size is (3,): its stripes do not fit on a periodic image of (4,)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
