"""The pieces of the experiment on thresholding and ReLU against SciPy, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxtheory.experiments.sparse import thresholding_is_relu as relu
from jaxtheory.lab import Lab, Verdict

TINY = relu.Config(values=1000, digits=3, atoms=20, channels=(3, 2), kernels=(3, 2), active=0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_bits_are_finite_numbers_of_all_sizes(dtype, rng):
    values = relu.random_bits(rng, 2000, dtype)
    assert values.dtype == dtype
    assert np.isfinite(values).all()
    assert 0.4 < (values < 0).mean() < 0.6
    exponents = np.log2(np.abs(values))
    assert exponents.max() - exponents.min() > np.finfo(dtype).maxexp


def test_thresholds_lie_far_and_near(rng):
    x, threshold = relu.thresholded_bits(rng, 1000, np.float32)
    assert (threshold >= 0).all()
    ratio = np.float64(threshold) / np.abs(x)
    near = np.abs(ratio - 1) < 1e-5
    assert 0.4 < near.mean() < 0.6
    assert (ratio[~near] > 2).any()
    assert (ratio[~near] < 0.5).any()


def test_a_bit_is_noticed():
    x = np.float32([0.0, 1.0, -2.0])
    assert relu.differing(x, x) == 0
    assert relu.differing(x, np.nextafter(x, np.float32(5))) == 3
    assert relu.differing(x, np.float32([-0.0, 1.0, -2.0])) == 1


def test_pieces_are_of_the_maps_and_of_unit_length(rng):
    maps = np.zeros((2, 6, 5, 2))
    maps[1, 2:] = rng.standard_normal((4, 5, 2))
    pieces = relu.pieces(maps, 3, 4, rng)
    assert pieces.shape == (3, 3, 2, 4)
    np.testing.assert_allclose(np.square(pieces).sum((0, 1, 2)), 1)
    windows = [maps[1, i : i + 3, j : j + 3] for i in range(4) for j in range(3)]
    for k in range(4):
        cosines = [np.vdot(pieces[..., k], one) / np.linalg.norm(one) for one in windows]
        assert max(cosines) == pytest.approx(1)


def test_too_few_pieces_are_refused(rng):
    with pytest.raises(ValueError, match="0 of 150 pieces are not empty, and there are to be 3 atoms: take"):
        relu.pieces(np.zeros((2, 6, 5, 1)), 3, 3, rng)


def test_a_share_of_the_correlations_is_active(rng):
    correlations = rng.standard_normal((500, 3)) + np.array([0.0, 1.0, -9.0])
    found = relu.thresholds(correlations, 0.2)
    np.testing.assert_allclose((correlations > found).mean(0), [0.2, 0.2, 0], atol=0.005)
    assert found[2] == 0


@pytest.mark.beyond
@pytest.mark.parametrize("domain", relu.DOMAINS)
@pytest.mark.parametrize("boundary", relu.BOUNDARIES)
def test_layers_are_correlations_thresholded(boundary, domain, rng, x64):
    digits = rng.random((2, 7, 7))
    weights = relu.layers(TINY, rng.random((4, 7, 7)), boundary, rng)
    expected = digits[..., None]
    for filters, threshold in weights:
        size = len(filters)
        before = (size - 1) // 2
        padded = np.pad(
            expected,
            ((0, 0), (before, size - 1 - before), (before, size - 1 - before), (0, 0)),
            mode="wrap" if boundary == "periodic" else "constant",
        )
        kernels = filters[None]
        expected = np.concatenate(
            [scipy.signal.correlate(padded, kernels[..., k], mode="valid") for k in range(kernels.shape[-1])],
            -1,
        )
        expected = np.maximum(expected - threshold, 0)
    np.testing.assert_allclose(
        relu.layered_thresholding(weights, digits, boundary, domain)[-1], expected, atol=1e-12
    )
    np.testing.assert_allclose(relu.forward_pass(TINY, weights, digits, boundary)[-1], expected, atol=1e-12)


@pytest.mark.beyond
def test_another_network_is_not_layered_thresholding(rng, x64):
    digits = rng.random((2, 7, 7))
    weights = relu.layers(TINY, rng.random((4, 7, 7)), "zero", rng)
    moved = [(filters * (1 + 1e-9), threshold) for filters, threshold in weights]
    codes = relu.layered_thresholding(weights, digits, "zero", "spatial")
    maps = relu.forward_pass(TINY, moved, digits, "zero")
    assert relu.relative(codes[0], maps[0]) > 1e-10


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = relu.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 2, 1, 4]
    assert all(claim.verdict == Verdict.HOLDS for claim in claims)
    # Rounding differs somewhere, so that it is not one computation compared with itself.
    assert max(one.value for one in claims[3].measurements) > 0
    assert {figure["name"] for figure in lab.figures} == {"thresholds_and_differences", "maps"}
    assert len(lab.notes) == 1
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == jnp.float32
