"""The pieces of the experiment on robust networks, its verdicts, and a run in miniature that is resumed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.puzzles import robustify as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    epochs=1, steps=1, epsilon=0.1, bounded_epochs=1, certified=0.02, ordinary_epochs=1, tested=100,
    attack_steps=2, restarts=1, sizes=(0.05,), attacks=(experiment.SQUARE,), queries=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def params():
    return experiment.network()[0](jax.random.key(0))[0]


@pytest.fixture(scope="module")
def batch():
    x = jax.random.uniform(jax.random.key(1), (10, 28, 28))
    return x, jnp.arange(10)


def loss_of(name, step, params, batch, total=100, **changes):
    objective = experiment.objective_of(name, experiment.Config(**changes), total)
    state = {"step": jnp.int32(step)}
    loss, (state, _) = objective(params, state, batch, jax.random.key(2))
    assert int(state["step"]) == step + 1
    return float(loss)


@pytest.mark.beyond
def test_losses_grow_from_that_of_digits(params, batch):
    plain = loss_of(experiment.ORDINARY, 0, params, batch)
    # At the start nothing is changed, and bounds of no width are the logits.
    assert loss_of(experiment.ATTACKED, 0, params, batch) == pytest.approx(plain, rel=1e-4)
    assert loss_of(experiment.BOUNDED, 0, params, batch) == pytest.approx(plain, rel=1e-4)
    attacked = [loss_of(experiment.ATTACKED, step, params, batch) for step in (15, 30, 100)]
    assert plain < attacked[0] < attacked[1]
    assert attacked[2] == pytest.approx(attacked[1], rel=1e-5)
    # In the end the bounds are those of the width that is trained for, beside the loss of digits.
    width = experiment.WIDER * 0.1
    margins = experiment.certify.margins(experiment.layers_of(params), *batch, width, bounds=(0, 1))
    worst = float(np.mean(experiment.training.cross_entropy(-margins, batch[1])))
    expected = experiment.LEAST * plain + (1 - experiment.LEAST) * worst
    assert loss_of(experiment.BOUNDED, 60, params, batch) == pytest.approx(expected, rel=1e-4)
    assert expected > attacked[1]


def truth(share, digits=200):
    """Truth values of so many digits, of which a share is true: the first."""
    return np.arange(digits) < round(share * digits)


def found(**others):
    """What comes out where all is as it should be, but for what is told otherwise."""
    shares = {"clean": 0.99, "stands": 0.93, "all": 0.86, "step": 0.95, "certified": 0.92, "against": 0.94}
    shares |= {"ordinary": 0.0, "attacked": 0.0} | others
    networks, attacks = list(experiment.NETWORKS), [experiment.PROJECTED, *experiment.LIST]

    def by(axis, names, *rows):
        return xr.DataArray(np.array([truth(one) for one in rows]), {axis: names}, (axis, "digit"))

    return experiment.Found(
        right=by("network", networks, 0.99, shares["clean"], 0.98),
        projected=by("network", networks, shares["ordinary"], shares["stands"], 0.1),
        listed=by("attack", attacks, shares["stands"], *[0.9] * 3, shares["all"]),
        certified=by("network", networks, 0, shares["attacked"], shares["certified"]),
        against=by("attack", attacks[:2], 0.95, shares["against"]),
        one_step=by("network", networks, 0.1, shares["step"], 0.5),
    )


@pytest.mark.parametrize(
    ("others", "places"),
    [
        ({}, []), ({"ordinary": 0.98}, [0]), ({"attacked": 0.97}, [1]), ({"against": 0.91}, [2]),
        ({"clean": 0.97}, [3]), ({"stands": 0.9}, [4]), ({"all": 0.83}, [5]), ({"step": 0.8}, [6]),
        ({"certified": 0.9}, [7]),
    ],
)  # fmt: skip
def test_verdicts(others, places):
    verdicts = [one.verdict for one in experiment.claims(found(**others), experiment.Config(), True)]
    assert [k for k, one in enumerate(verdicts) if one == Verdict.FAILS] == places
    assert verdicts.count(Verdict.HOLDS) == 8 - len(places)


def test_equal_networks_are_a_tie():
    claims = experiment.claims(found(ordinary=0.93, attacked=0.92), experiment.Config(), True)
    assert [one.verdict for one in claims[:2]] == [Verdict.TIE] * 2


def test_bars_are_for_all_digits_and_the_full_forms_attacks():
    for config, whole in ((experiment.Config(), False), (experiment.QUICK, True)):
        verdicts = [one.verdict for one in experiment.claims(found(), config, whole)]
        assert [one == Verdict.UNTESTED for one in verdicts] == [False] * 3 + [True] * 5


@pytest.mark.beyond
def test_attacks_stay_in_their_ball(params, batch):
    x, y = batch
    models = dict.fromkeys(experiment.NETWORKS, params)
    for attack in (experiment.PROJECTED, *experiment.LIST):
        arguments = (attack, models, experiment.ATTACKED, 0.1, TINY, x, y, jax.random.key(0))
        stood, changed = experiment.stands(*arguments)
        assert stood.shape == (10,)
        assert float(jnp.abs(changed - x).max()) <= 0.1 + 1e-6
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        assert not np.any(stood & ~experiment.is_right(params, x, y))


@pytest.mark.beyond
def test_a_run_in_miniature_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "SEGMENT", 5)
    lab = Lab(tmp_path)
    monkeypatch.setattr(lab, "load", lambda source: few(source.load()))
    claims = experiment.run(TINY, lab)
    assert [len(one.measurements) for one in claims] == [1] * 8
    assert claims[2].verdict == Verdict.HOLDS
    assert [one.verdict for one in claims[3:]] == [Verdict.UNTESTED] * 5
    assert {one["name"] for one in lab.figures} == {"attacks", "sizes", "digits"}
    assert len(lab.notes) == 5
    # What is stored is not computed again.
    monkeypatch.setattr(experiment.training, "run", refused)
    monkeypatch.setattr(experiment, "stands", refused)
    again = Lab(tmp_path)
    monkeypatch.setattr(again, "load", lambda source: few(source.load()))
    assert experiment.run(TINY, again) == claims


def refused(*_, **__):
    raise AssertionError("this is stored already")


def few(digits):
    """Five minibatches of digits."""
    return replace(digits, train_images=digits.train_images[:500], train_labels=digits.train_labels[:500])
