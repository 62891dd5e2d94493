"""Rotations and translations of densities and molecules against SciPy, NumPy and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from jaxtheory.harmonic import deformation, scattering3d

SHAPE = (6, 7, 5)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.9, 3.1])
def test_a_rotation_matrix_is_scipys(x64, angle):
    axis = np.array([2.0, -1.0, 2.0]) / 3
    found = deformation.rotation_matrix(angle * axis)
    np.testing.assert_allclose(found, Rotation.from_rotvec(angle * axis).as_matrix(), rtol=0, atol=1e-14)


def test_the_derivative_of_no_rotation_is_the_cross_product():
    jacobian = jax.jacobian(deformation.rotation_matrix)(jnp.zeros(3))
    np.testing.assert_allclose(jacobian[:, :, 2], [[0, -1, 0], [1, 0, 0], [0, 0, 0]], atol=1e-7)


@pytest.mark.parametrize(
    ("boundary", "mode"),
    [("periodic", "grid-wrap"), pytest.param("reflect", "mirror", marks=pytest.mark.beyond)],
)
def test_a_rotated_density_is_scipys_cubic_spline(rng, x64, boundary, mode):
    x = rng.standard_normal(SHAPE)
    matrix = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    middle = (np.array(SHAPE) - 1) / 2
    offset = middle - matrix.T @ middle
    expected = ndimage.affine_transform(x, matrix.T, offset, order=3, mode=mode)
    found = deformation.rotate_density(x, matrix, boundary=boundary)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_quarter_turns_are_rot90(rng, x64):
    x = rng.standard_normal((2, 5, 5, 5))
    turns = deformation.rotation_matrix(np.pi / 2 * np.eye(3))
    found = deformation.rotate_density(x[:, None], turns)
    # About the first axis the second goes to the third.
    for axis, axes in enumerate([(2, 3), (3, 1), (1, 2)]):
        np.testing.assert_allclose(found[:, axis], np.rot90(x, axes=axes), atol=1e-12)


def test_a_density_turns_with_its_atoms(x64):
    charges, positions = np.array([6.0, 1.0, 8.0]), np.array([[0, 0.5, 0], [2, 1, -2.0], [-2, 0, 1.0]])
    matrix = deformation.rotation_matrix(np.array([0.4, 0.1, -0.7]))
    shape, width = (16, 16, 16), 1.6
    turned = deformation.rotate_density(scattering3d.density(charges, positions, shape, width=width), matrix)
    moved = deformation.rotate_positions(positions, matrix)
    expected = scattering3d.density(charges, moved, shape, width=width)
    # What lies in the corners comes from beyond the box.
    inside = ((np.indices(shape) - 7.5) ** 2).sum(axis=0) <= 7.5**2
    largest = float(expected.max())
    # The spline errs by some thousandths on Gaussians of this width.
    np.testing.assert_allclose(turned[inside], expected[inside], rtol=0, atol=5e-3 * largest)
    other = scattering3d.density(charges, positions, shape, width=width)
    assert float(abs(other - turned)[inside].max()) > 0.1 * largest


@pytest.mark.parametrize("shape", [(4, 6, 5), (3, 1, 4)])
def test_a_whole_shift_is_a_roll(rng, x64, shape):
    x = rng.standard_normal(shape)
    found = deformation.translate_density(x, np.array([1.0, -2.0, 3.0]))
    np.testing.assert_allclose(found, np.roll(x, (1, -2, 3), (0, 1, 2)), atol=1e-13)


def test_broken_shifts_add_up_to_whole_ones(rng, x64):
    x = rng.standard_normal((5, 7, 3))
    twice = deformation.translate_density(
        deformation.translate_density(x, np.array([0.3, 0.5, 1.6])), np.array([0.7, -1.5, 0.4])
    )
    np.testing.assert_allclose(twice, np.roll(x, (1, -1, 2), (0, 1, 2)), atol=1e-13)


BOX = np.zeros((3, 3, 3), np.float32)
NO_TURN = np.eye(3, dtype=np.float32)


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: deformation.rotation_matrix(np.zeros(2)),
            r"^vector has the shape \(2,\): take \(\.\.\., 3\) for \(\.\.\., components\)$",
        ),
        (
            lambda: deformation.rotate_density(BOX[0], NO_TURN),
            r"^x has the shape \(3, 3\): take \(\.\.\., M, N, O\)",
        ),
        (
            lambda: deformation.rotate_density(BOX, NO_TURN[0]),
            r"^rotation has the shape \(3,\): take \(\.\.\., 3, 3\) for \(\.\.\., rows, columns\)$",
        ),
        (
            lambda: deformation.rotate_density(BOX, NO_TURN, boundary="wrap"),
            r"^boundary is 'wrap': take 'periodic' or 'reflect'$",
        ),
        (
            lambda: deformation.rotate_density(BOX[:1], NO_TURN, boundary="reflect"),
            r"^x has densities of 1 x 3 x 3 pixels: take at least 2 x 2 x 2 to reflect them$",
        ),
        (
            lambda: deformation.rotate_positions(np.zeros((4, 2)), NO_TURN),
            r"^positions has the shape \(4, 2\): take \(\.\.\., atoms, 3\) for \(\.\.\., atoms, comp",
        ),
        (
            lambda: deformation.translate_density(BOX, np.zeros(2)),
            r"^shift has the shape \(2,\): take \(\.\.\., 3\) for \(\.\.\., components\)$",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
