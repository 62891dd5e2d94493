"""FISTA against NumPy, scikit-learn and its theorem; the kernel interpreted, and lowered for TPUs."""

from functools import partial

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu
from sklearn.decomposition import sparse_encode

from jaxtheory.experiments.benchmarks import fista as bench
from jaxtheory.kernels.fista import api, specs, tpu
from jaxtheory.lab.machines import doctor, programs
from jaxtheory.sparse import pursuit

CALL = "tpu_custom_call"


def by_numpy(gram, correlations, penalty, step_size, steps, nonnegative=False):
    """Beck and Teboulle's algorithm as it is printed, in double precision."""
    gram, correlations, penalty = (np.asarray(one, np.float64) for one in (gram, correlations, penalty))
    codes = point = np.zeros_like(correlations)
    t = 1.0
    for _ in range(steps):
        u = point - step_size * (point @ gram - correlations)
        before, codes = codes, np.sign(u) * np.maximum(np.abs(u) - step_size * penalty, 0)
        if nonnegative:
            codes = np.maximum(codes, 0)
        t, last = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        point = codes + (last - 1) / t * (codes - before)
    return codes


def random_problem(rng, atoms, features, *leading):
    """A dictionary and signals of unit atoms."""
    dictionary = rng.standard_normal((atoms, features))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    return dictionary, rng.standard_normal((*leading, features))


def prepared(dictionary, signals):
    """The Gram matrix, correlations and a step size that is allowed."""
    return dictionary @ dictionary.T, signals @ dictionary.T, 1 / np.linalg.norm(dictionary, 2) ** 2


def single(*arrays):
    return tuple(np.float32(one) for one in arrays)


def objective(dictionary, signals, codes, penalty):
    misfit = ((signals - codes @ dictionary) ** 2).sum(-1) / 2
    return misfit + (penalty * np.abs(codes)).sum(-1)


PENALTIES = {
    "one": lambda _: 0.3,
    "none": lambda _: 0.0,
    "by atom": lambda rng: rng.uniform(0.1, 0.5, 9),
    "by atom, with axes": lambda rng: rng.uniform(0.1, 0.5, (1, 1, 9)),
    "by signal": lambda rng: rng.uniform(0.1, 0.5, (2, 3, 1)),
    "by code": lambda rng: rng.uniform(0.1, 0.5, (3, 9)),
}


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_reference_takes_the_steps_of_beck_and_teboulle(penalty, nonnegative, rng, x64):
    gram, correlations, step_size = prepared(*random_problem(rng, 9, 6, 2, 3))
    penalty = PENALTIES[penalty](rng)
    expected = by_numpy(gram, correlations, penalty, step_size, 25, nonnegative)
    found = api.gram_fista(gram, correlations, penalty, step_size, steps=25, nonnegative=nonnegative)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_kernel_does_what_the_reference_does(penalty, nonnegative, rng):
    gram, correlations, step_size = prepared(*random_problem(rng, 9, 6, 2, 3))
    operands = single(gram, correlations, PENALTIES[penalty](rng), step_size)
    expected = by_numpy(*operands, 25, nonnegative)
    with pltpu.force_tpu_interpret_mode():
        found = api.gram_fista(*operands, steps=25, nonnegative=nonnegative, implementation="tpu")
    assert found.shape == (2, 3, 9)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    plain = api.gram_fista(*operands, steps=25, nonnegative=nonnegative, implementation="reference")
    np.testing.assert_allclose(plain, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("signals", "atoms"), [(1, 1), (300, 130), (8, 128)])
def test_padding_and_blocks_leave_no_trace(signals, atoms, rng):
    gram, correlations, step_size = prepared(*random_problem(rng, atoms, 40, signals))
    operands = single(gram, correlations, rng.uniform(0.1, 0.3, (signals, 1)), step_size)
    expected = by_numpy(*operands, 4)
    with pltpu.force_tpu_interpret_mode():
        found = api.gram_fista(*operands, steps=4, implementation="tpu")
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6)
    assert signals <= 256 or tpu.block_size(signals) < signals


def test_no_signals_have_no_codes():
    assert api.gram_fista(
        np.eye(3, dtype=np.float32), np.ones((0, 3), np.float32), 0.1, 1.0, steps=2
    ).shape == (
        0,
        3,
    )


def test_vmap_is_the_leading_axis(rng):
    gram, correlations, step_size = prepared(*random_problem(rng, 9, 6, 3, 4))
    gram, correlations, step_size = single(gram, correlations, step_size)
    expected = by_numpy(gram, correlations, 0.2, step_size, 10)
    solve = partial(api.gram_fista, steps=10)
    with pltpu.force_tpu_interpret_mode():
        mapped = jax.vmap(lambda c: solve(gram, c, 0.2, step_size, implementation="tpu"))(correlations)
    np.testing.assert_allclose(mapped, expected, rtol=0, atol=2e-6)
    mapped = jax.vmap(solve, (None, 0, None, None))(gram, correlations, 0.2, step_size)
    np.testing.assert_allclose(mapped, expected, rtol=0, atol=2e-6)
    one_each = jnp.stack([gram, 2 * gram, gram])
    mapped = jax.vmap(solve, (0, 0, None, None))(one_each, correlations, 0.2, step_size / 2)
    np.testing.assert_allclose(
        mapped[1], by_numpy(2 * gram, correlations[1], 0.2, step_size / 2, 10), rtol=0, atol=2e-6
    )


def test_a_signal_with_nan_leaves_the_others_alone(rng):
    gram, correlations, step_size = single(*prepared(*random_problem(rng, 9, 6, 4)))
    spoilt = correlations.copy()
    spoilt[2, 5] = np.nan
    with pltpu.force_tpu_interpret_mode():
        for implementation in ("tpu", "reference"):
            solve = partial(api.gram_fista, steps=5, implementation=implementation)
            whole = solve(gram, correlations, 0.2, step_size)
            found = np.asarray(solve(gram, spoilt, 0.2, step_size))
            assert np.isnan(found[2]).all()
            np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(whole, 2, 0))


@pytest.mark.parametrize("nonnegative", [False, True])
def test_many_steps_reach_the_minimum_of_scikit_learn(nonnegative, rng, x64):
    dictionary, signals = random_problem(rng, 12, 8, 5)
    gram, correlations, step_size = prepared(dictionary, signals)
    expected = sparse_encode(
        signals, dictionary, algorithm="lasso_cd", alpha=0.3, max_iter=100_000, positive=nonnegative
    )
    found = api.gram_fista(gram, correlations, 0.3, step_size, steps=3000, nonnegative=nonnegative)
    least = objective(dictionary, signals, expected, 0.3)
    reached = objective(dictionary, signals, np.asarray(found), 0.3)
    np.testing.assert_allclose(reached, least, rtol=1e-6)
    # Scikit-learn stops at a gap; nobody is below the minimum by more than that.
    assert (reached <= least + 1e-9).all()


def test_the_objective_falls_as_the_theorem_promises(rng, x64):
    dictionary, signals = random_problem(rng, 12, 8, 5)
    gram, correlations, step_size = prepared(dictionary, signals)
    best = pursuit.lasso(dictionary, signals, 0.3, tolerance=1e-13).codes
    least = objective(dictionary, signals, np.asarray(best), 0.3)
    for steps in (1, 3, 10, 30, 100):
        codes = np.asarray(api.gram_fista(gram, correlations, 0.3, step_size, steps=steps))
        bound = 2 * np.square(best).sum(-1) / (step_size * (steps + 1) ** 2)
        assert (objective(dictionary, signals, codes, 0.3) - least <= bound).all()


@pytest.mark.beyond
def test_the_steps_are_differentiable_by_the_reference(rng, x64):
    dictionary, signals = random_problem(rng, 7, 9, 3)
    weights = rng.standard_normal((3, 7))

    def unrolled(dictionary, signals, penalty):
        gram, correlations = dictionary @ dictionary.T, signals @ dictionary.T
        codes = api.gram_fista(gram, correlations, penalty, 1 / 8, steps=3000, implementation="reference")
        return jnp.sum(weights * codes)

    def implicit(dictionary, signals, penalty):
        return jnp.sum(weights * pursuit.lasso(dictionary, signals, penalty, tolerance=1e-14).codes)

    arguments = (jnp.asarray(dictionary), jnp.asarray(signals), jnp.asarray(0.3))
    found = jax.grad(unrolled, (0, 1, 2))(*arguments)
    # At the minimum, the derivative of the steps is that of the minimizer.
    for one, other in zip(found, jax.grad(implicit, (0, 1, 2))(*arguments)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize("implementation", [None, "tpu"])
@pytest.mark.parametrize("transform", [jax.grad, jax.jacfwd])
def test_the_kernel_declines_a_derivative(implementation, transform, rng):
    gram, correlations, step_size = single(*prepared(*random_problem(rng, 9, 6)))

    def total(c):
        return api.gram_fista(gram, c, 0.2, step_size, steps=3, implementation=implementation).sum()

    with pytest.raises(TypeError, match="no derivative of its own: take implementation='reference'"):
        transform(total)(jnp.asarray(correlations))


@pytest.mark.parametrize("name", specs.programs())
def test_lowered_for_a_tpu_it_is_one_kernel(name):
    function, arguments = specs.programs()[name]
    traced = jax.jit(function).trace(*arguments)
    text = traced.lower(lowering_platforms=("tpu",)).as_text()
    assert text.count(f"@{CALL}") == 1
    assert "stablehlo.while" not in text
    plain = traced.lower(lowering_platforms=("cpu",)).as_text()
    assert CALL not in plain
    assert "stablehlo.while" in plain


@pytest.mark.parametrize(("atoms", "double"), [(1025, False), (8, True)])
def test_what_the_kernel_does_not_take_goes_to_the_reference(atoms, double):
    with jax.enable_x64(double):
        dtype = np.float64 if double else np.float32
        operands = [jax.ShapeDtypeStruct(shape, dtype) for shape in ((atoms, atoms), (4, atoms), (), ())]
        solve = partial(api.gram_fista, steps=3)
        text = jax.jit(solve).trace(*operands).lower(lowering_platforms=("tpu",)).as_text()
        assert CALL not in text
        assert "stablehlo.while" in text
        with pytest.raises(
            NotImplementedError, match=rf"up to 1024 atoms, found {dtype.__name__} and {atoms}"
        ):
            jax.eval_shape(partial(solve, implementation="tpu"), *operands)


def test_half_precision_accumulates_in_single(rng):
    gram, correlations, step_size = prepared(*random_problem(rng, 9, 6, 2))
    gram, correlations = (jnp.asarray(one, jnp.bfloat16) for one in (gram, correlations))
    found = api.gram_fista(gram, correlations, 0.2, step_size, steps=10)
    expected = by_numpy(np.float64(gram), np.float64(correlations), 0.2, step_size, 10)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float64(found), expected, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"gram": np.eye(4, 3, dtype=np.float32)},
            r"gram has the shape \(4, 3\): take \(3, 3\) for \(atoms, atoms\)",
        ),
        ({"gram": np.eye(4, dtype=np.float32)}, r"gram has the shape \(4, 4\): take \(3, 3\)"),
        (
            {"penalty": np.ones(2, np.float32)},
            r"penalty has the shape \(2,\), which does not broadcast to that of the codes \(2, 3\)",
        ),
        (
            {"penalty": np.ones((5, 2, 3), np.float32)},
            r"penalty has the shape \(5, 2, 3\), which does not broadcast",
        ),
        ({"penalty": -0.5}, "penalty is -0.5: take a number of 0 or more"),
        ({"step_size": np.ones(2, np.float32)}, r"step_size has the shape \(2,\): take one number"),
        ({"step_size": 0.0}, "step_size is 0.0: take a positive number"),
        ({"step_size": float("nan")}, "step_size is nan: take a positive number"),
        ({"steps": 0}, "steps is 0: take a whole number at least 1"),
        ({"implementation": "gpu"}, "implementation is 'gpu': take 'tpu' or 'reference'"),
    ],
)
def test_bad_input_is_refused(change, message, own_errors):
    arguments = {
        "gram": np.eye(3, dtype=np.float32),
        "correlations": np.ones((2, 3), np.float32),
        "penalty": 0.1,
        "step_size": 1.0,
        "steps": 2,
    }
    with pytest.raises(ValueError, match=message):
        api.gram_fista(**arguments | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gram": np.eye(3, dtype=complex)}, "gram is complex"),
        ({"correlations": np.ones((2, 3), complex)}, "correlations is complex"),
        ({"penalty": 1j}, "penalty is complex"),
        ({"penalty": "a"}, r"penalty is 'a' \(str\): take an array of numbers"),
        ({"steps": 8.0}, "steps is 8.0: take a whole number at least 1"),
    ],
)
def test_wrong_kinds_are_refused(change, message, own_errors):
    arguments = {
        "gram": np.eye(3, dtype=np.float32),
        "correlations": np.ones((2, 3), np.float32),
        "penalty": 0.1,
        "step_size": 1.0,
        "steps": 2,
    }
    with pytest.raises(TypeError, match=message):
        api.gram_fista(**arguments | change)


def test_integers_are_computed_as_floats():
    found = api.gram_fista(np.eye(3, dtype=int), np.array([301, 7, -5]), 0.5, 1.0, steps=1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([300.5, 6.5, -4.5]))


def test_the_doctor_finds_the_kernel_and_its_numbers():
    [kernel] = [one for one in programs.kernels() if one.name == "fista"]
    assert all(isinstance(check, programs.Check) for check in kernel.checks().values())
    assert set(kernel.programs()) == set(specs.programs())
    [row] = doctor.kernel_on(kernel, jax.devices("cpu")[0])
    assert (row["runs"], row.get("error")) == ("interpreted", None)
    assert row["difference"] < 1e-5


def kernel_call(function, operands):
    """The call of the kernel in a program as it is traced."""

    def equations(jaxpr):
        for one in jaxpr.eqns:
            yield one
            if one.primitive.name != "pallas_call":
                for inner in jax.extend.core.jaxprs_in_params(one.params):
                    yield from equations(inner)

    traced = jax.make_jaxpr(function)(*operands)
    [call] = [one for one in equations(traced.jaxpr) if one.primitive.name == "pallas_call"]
    return call.params


@pytest.mark.parametrize("name", specs.programs())
def test_the_bytes_that_the_kernel_declares_are_those_of_its_blocks(name):
    function, arguments = specs.programs()[name]
    call = kernel_call(partial(function, implementation="tpu"), arguments)
    mapping = call["grid_mapping"]
    blocks = [[getattr(n, "block_size", n) for n in one.block_shape] for one in mapping.block_mappings]
    expected = 4 * int(np.prod(mapping.grid)) * int(sum(np.prod(one) for one in blocks))
    signals, atoms = arguments[1].shape
    penalties = arguments[2].shape[0] if arguments[2].shape else 1
    assert tpu.bytes_moved(signals, atoms, penalties=penalties) == expected
    assert call["cost_estimate"].bytes_accessed == expected


@pytest.mark.parametrize("name", specs.SHAPES)
def test_the_kernel_moves_a_tenth_of_the_loop(name):
    shape = specs.SHAPES[name]
    assert bench.kernel_bytes(shape) <= bench.loop_bytes(shape, specs.STEPS) / 10
    # What it is compared with is no more than what the compiler counts.
    solve = partial(api.gram_fista, steps=specs.STEPS, implementation="reference")
    counted = jax.jit(solve).lower(*specs.operands(shape)).compile().cost_analysis()["bytes accessed"]
    # It counts the loop's body once, and around it a few arrays as large as the codes.
    around = 4 * 4 * shape.signals * shape.atoms
    assert bench.loop_bytes(shape, 1) <= counted - around
