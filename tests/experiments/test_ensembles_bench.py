"""The bench of ensembles: its contestants train the same networks, on a small problem."""

import numpy as np
import optax
import pytest

from jaxtheory.experiments.benchmarks import ensembles as bench

SMALL = {"widths": (3, 4, 1), "batch": 5, "steps": 3}


@pytest.mark.beyond
def test_our_losses_are_those_of_plain_gradients_by_adam(monkeypatch):
    monkeypatch.setattr(bench, "NETWORKS", 2)
    (first, hidden), (last, outer) = ((kernel[1], bias[1]) for kernel, bias in bench.weights(SMALL["widths"]))
    x, y = (array[1].astype(float) for array in bench.examples(**SMALL))
    optimizer = optax.adam(bench.RATE)
    params = [first, hidden, last, outer]
    state = optimizer.init(params)
    for step in range(3):
        first, hidden, last, outer = (np.asarray(one, float) for one in params)
        inner = x[step] @ first + hidden
        missed = np.maximum(inner, 0) @ last + outer - y[step]
        loss, slope = (missed**2).mean() / 2, missed / len(missed)
        back = slope @ last.T * (inner > 0)
        gradient = [x[step].T @ back, back.sum(0), np.maximum(inner, 0).T @ slope, slope.sum(0)]
        moves, state = optimizer.update([np.float32(one) for one in gradient], state)
        params = optax.apply_updates(params, moves)
    found = bench.ours(**SMALL)()
    assert found.shape == (2,)
    assert found[1] == pytest.approx(loss, rel=1e-5)


def test_programs_are_those_of_the_cases():
    found = bench.programs()
    assert set(found) == {case.name for case in bench.CASES}
    run, (states, x, y) = found[bench.DEEP]
    assert x.shape == (64, 5, 256, 2)
    assert run.eval_shape(states, x, y)[1].shape == (64,)
