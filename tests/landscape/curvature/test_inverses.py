"""Damped inverses against NumPy's solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from tests.landscape.curvature import models


def definite(rng, size=8):
    factor = rng.standard_normal((size, size))
    return factor @ factor.T


def test_solutions_for_one_and_several_right_hand_sides(x64, rng):
    matrix, targets = definite(rng), rng.standard_normal((3, 8))
    inverse = curvature.damped_inverse(curvature.Matrix(jnp.asarray(matrix)), 0.5)
    damped = matrix + 0.5 * np.eye(8)
    expected = np.linalg.solve(damped, targets.T).T
    models.close(inverse.matvec(targets), expected)
    models.close(inverse.matvec(targets[0]), expected[0])
    result = inverse.solve(targets)
    assert result.converged.all()
    assert result.residual.shape == (3,)
    assert (result.residual <= 1e-12 * np.linalg.norm(targets, axis=1)).all()
    np.testing.assert_allclose(
        result.residual, np.linalg.norm(targets - result.solution @ damped, axis=1), rtol=0, atol=1e-13
    )
    one = inverse.solve(targets[0])
    assert one.residual.shape == one.steps.shape == ()
    zero = inverse.solve(np.zeros(8))
    assert int(zero.steps) == 0
    assert bool(zero.converged)
    models.close(zero.solution, np.zeros(8), 1)


def test_a_tolerance_and_a_largest_number_of_steps(rng):
    matrix, target = np.float32(np.diag(np.geomspace(1e-3, 1, 30))), np.float32(rng.standard_normal(30))
    operator = curvature.Matrix(jnp.asarray(matrix))
    rough = curvature.damped_inverse(operator, 1e-3, tolerance=1e-2).solve(target)
    fine = curvature.damped_inverse(operator, 1e-3).solve(target)
    assert rough.residual <= 1.01e-2 * np.linalg.norm(target)
    assert fine.residual < 1e-3 * rough.residual
    assert rough.steps < fine.steps
    assert rough.converged
    assert fine.converged
    short = curvature.damped_inverse(operator, 1e-3, max_steps=3).solve(target)
    assert int(short.steps) == 3
    assert not short.converged
    assert np.isfinite(short.solution).all()


def test_what_is_not_positive_definite_is_not_a_number(rng):
    operator = curvature.Matrix(jnp.diag(jnp.array([1.0, -1.0])))
    targets = np.float32([[0, 1], [1, 0]])
    result = curvature.damped_inverse(operator, 0.5).solve(targets)
    assert np.isnan(result.solution[0]).all()
    assert result.converged.tolist() == [False, True]
    np.testing.assert_allclose(result.solution[1], [1 / 1.5, 0], rtol=1e-6)


def test_the_derivative_is_that_of_the_solution(x64, rng):
    matrix, target = definite(rng), rng.standard_normal(8)

    def energy(damping):
        return target @ curvature.damped_inverse(curvature.Matrix(jnp.asarray(matrix)), damping).matvec(
            target
        )

    solution = np.linalg.solve(matrix + 0.7 * np.eye(8), target)
    # The derivative of b' (A + λ)^-1 b is minus the squared length of the solution.
    assert jax.grad(energy)(0.7) == pytest.approx(-solution @ solution, rel=1e-9)


@pytest.mark.beyond
def test_newton_steps_of_a_network(x64, rng):
    params, data = models.params(rng), models.data(rng)
    operator = curvature.gauss_newton(models.outputs, models.loss_of_outputs, params, models.cut(data, 6))
    slope = jax.grad(models.loss)(params, data)
    found = curvature.damped_inverse(operator, 1e-2).matvec(slope)
    matrix = np.asarray(operator.dense()) + 1e-2 * np.eye(operator.dimension)
    expected = np.linalg.solve(matrix, models.flat(slope)[0])
    models.close(models.flat(found)[0], expected, 1e-8)


def test_bad_input(own_errors):
    operator = curvature.Matrix(jnp.eye(2))
    with pytest.raises(TypeError, match="operator is a list: take one of the operators of curvature"):
        curvature.damped_inverse([1], 1.0)
    with pytest.raises(ValueError, match=r"damping is -1.0: take a number of 0 or more"):
        curvature.damped_inverse(operator, -1.0)
    with pytest.raises(ValueError, match=r"damping has the shape \(2,\): take one number"):
        curvature.damped_inverse(operator, np.ones(2))
    with pytest.raises(ValueError, match=r"tolerance is -1.0: take a number of 0 or more"):
        curvature.damped_inverse(operator, 1.0, tolerance=-1.0)
    with pytest.raises(ValueError, match="max_steps is 0: take a whole number at least 1"):
        curvature.damped_inverse(operator, 1.0, max_steps=0)
