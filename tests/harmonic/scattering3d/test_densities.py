"""Densities of molecules, and what scattering makes of molecules that are moved."""

import numpy as np
import pytest

from jaxtheory.harmonic import deformation, scattering3d

CHARGES = np.array([6.0, 1.0, 8.0])
POSITIONS = np.array([[0.3, -0.2, 0.1], [1.9, 0.4, -1.2], [-1.4, 1.1, 2.0]])


def test_a_density_is_the_sum_of_its_atoms(x64):
    shape, width = (12, 11, 13), 1.2
    rho = scattering3d.density(CHARGES, POSITIONS, shape, width=width)
    pixels = np.stack(
        np.meshgrid(*(np.arange(size) - (size - 1) / 2 for size in shape), indexing="ij"), axis=-1
    )
    expected = sum(
        charge * np.exp(-((pixels - place) ** 2).sum(-1) / (2 * width**2)) / (2 * np.pi * width**2) ** 1.5
        for charge, place in zip(CHARGES, POSITIONS)
    )
    np.testing.assert_allclose(rho, expected, rtol=1e-12)


@pytest.mark.beyond
def test_charges_and_positions_have_leading_axes():
    several = scattering3d.density(
        np.stack([CHARGES, 2 * CHARGES])[:, None], np.stack([POSITIONS] * 3), (12, 12, 12)
    )
    one = scattering3d.density(CHARGES, POSITIONS, (12, 12, 12))
    assert several.shape == (2, 3, 12, 12, 12)
    np.testing.assert_allclose(several[1, 2], 2 * one, rtol=1e-6)


def test_molecules_that_are_turned_and_shifted_have_the_same_coefficients(rng):
    shape, width = (32, 32, 32), 1.3
    bank = scattering3d.filter_bank(shape, 1, 2, width)
    turns = deformation.rotation_matrix(rng.standard_normal((3, 3)))
    moved = deformation.rotate_positions(1.5 * POSITIONS, turns) + rng.uniform(-0.5, 0.5, (3, 1, 3))
    whole = 1.5 * POSITIONS + np.array([1.0, -2.0, 3.0])
    every = np.concatenate([1.5 * POSITIONS[None], whole[None], moved])
    rho = scattering3d.density(CHARGES, np.float32(every), shape, width=width)
    s = np.asarray(scattering3d.scatter(bank, rho, (0.5, 1.0, 2.0, 3.0)), float)
    change = abs(s[1:] / s[0] - 1).max(axis=1)
    assert (change[0] <= 1e-4).all()
    assert (change[1:, 0] <= 1e-2).all()
    assert (change[1:, 1:] <= 3e-3).all()
    # Another molecule has others.
    other = scattering3d.density(CHARGES, np.float32(1.3 * POSITIONS), shape, width=width)
    assert abs(np.asarray(scattering3d.scatter(bank, other)) / s[0, :, :3] - 1).max() > 0.05
