"""The pieces of the experiment on stochastic approximation against calculus, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.landscape import stochastic_approximation as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(decades=2, paths=4, draws=2, minibatches=2, batch=4)


def test_the_function_has_its_minimum_and_curvatures(x64):
    minimizer = jnp.array(experiment.MINIMIZER)
    gradient, hessian = jax.jit(
        lambda x: (jax.grad(experiment.function)(x), jax.hessian(experiment.function)(x))
    )(minimizer)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), experiment.EIGENVALUES, rtol=1e-7)
    slow = np.asarray(experiment.rotation()[:, 0])
    np.testing.assert_allclose(hessian @ slow, min(experiment.EIGENVALUES) * slow, rtol=1e-7)


def test_the_profile_is_strongly_convex_and_not_even(x64):
    second = jax.grad(jax.grad(experiment.profile))
    values = jax.jit(jax.vmap(second))(jnp.linspace(-30, 30, 601))
    assert 0.5 <= values.min() < values.max() < 1.14
    assert abs(jax.jit(jax.grad(second))(0.0)) > 0.2


def test_slopes_are_those_of_powers():
    t = experiment.times(4)
    assert t[0] == 1
    assert t[-1] == 10_000
    powers = np.array([-1.0, -0.25])
    curves = 3.0 * t ** powers[:, None]
    curves[:, t < 1000] = 7.0
    found = experiment.slopes(xr.DataArray(curves, {"t": t}, ("scheme", "t")))
    np.testing.assert_allclose(found, powers, rtol=1e-10)


@pytest.mark.beyond
def test_gradients_agree_and_minibatches_partition(rng):
    images, labels = np.float32(rng.uniform(0, 1, (12, 28, 28))), rng.integers(0, 10, 12)
    found = experiment.compare(images, labels, 4, rng)
    assert found.keys() == {*experiment.BARS, "minibatches"}
    assert max(found["forward mode"], found["complex step"], found["minibatches"]) < 1e-13
    assert 1e-13 < found["central differences"] < 1e-8


def test_verdicts():
    theory = np.array([of[1] for of in experiment.SCHEMES.values()])
    exponents = np.add.outer(theory, [-0.01, 0, 0.01])
    names = {"scheme": list(experiment.SCHEMES)}
    slope = xr.DataArray(exponents, names, ("scheme", "draw"))
    apart = xr.Dataset({name: ("draw", [1e-16, 2e-16, 1e-9]) for name in (*experiment.BARS, "minibatches")})
    verdicts = [claim.verdict for claim in experiment.claims(TINY, slope, apart)]
    holds, fails = Verdict.HOLDS, Verdict.FAILS
    assert verdicts == [holds, holds, holds, holds, fails, fails, holds, fails]
    verdicts = [claim.verdict for claim in experiment.claims(TINY, slope + 0.1, apart)]
    assert verdicts[:4] == [fails] * 4


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1] * 8
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert [claim.verdict for claim in claims[4:]] == [Verdict.HOLDS] * 4
    assert [figure["name"] for figure in lab.figures] == ["error_by_step"]
