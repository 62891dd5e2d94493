"""The neocognitron against loops over its cells, against the cosines of its theory, and its errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.networks import neocognitron

PAPER = {"simple": (16, 8, 2), "complex": (10, 6, 1)}
FIRST = (-1, -2, None)
"""The first center of C-cells in a plane of S-cells; those of the last layer see the whole plane."""


def double(params):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def cut(planes, row, column, height, width):
    """A window of planes, zero beyond them."""
    window = np.zeros((height, width, planes.shape[2]))
    for i in range(height):
        for j in range(width):
            if 0 <= row + i < planes.shape[0] and 0 <= column + j < planes.shape[1]:
                window[i, j] = planes[row + i, column + j]
    return window


def by_hand(params, x):
    """All answers in double precision, cell by cell, by the formulas of the paper."""
    planes, found = np.asarray(x, float)[..., None], []
    for module, reach in enumerate((2, 1, 0)):
        a, b, c, d = (
            part[module] for part in (params.excitatory, params.inhibitory, params.surround, params.pooling)
        )
        r = params.selectivity[module]
        size = planes.shape[0] + 2 * reach - 4
        simple, norms = np.zeros((size, size, len(b))), np.zeros((size, size))
        for n in np.ndindex(size, size):
            window = cut(planes, n[0] - reach, n[1] - reach, 5, 5)
            norms[n] = np.sqrt((c[..., None] * window**2).sum())
            for k in range(len(b)):
                excited = 1 + (a[..., k] * window).sum()
                shunted = 1 + 2 * r / (1 + r) * b[k] * norms[n]
                simple[n][k] = r * max(excited / shunted - 1, 0)
        cells = 1 if module == 2 else size // 2 + 2
        answers = np.zeros((cells, cells, len(b)))
        for n in np.ndindex(cells, cells):
            start = [0, 0] if module == 2 else [FIRST[module] + 2 * one - 2 for one in n]
            gathered = (d[..., None] * cut(simple, *start, *d.shape)).sum((0, 1))
            passed = np.maximum((1 + gathered) / (1 + gathered.mean()) - 1, 0)
            answers[n] = passed / (params.saturation + passed)
        found.append((planes, simple, norms, answers))
        planes = answers
    return found


def after(params, found):
    """The weights after one presentation, S-column by S-column."""
    learned = []
    for module, (planes, simple, norms, _) in enumerate(found):
        reach, size = (2, 1, 0)[module], simple.shape[0]
        side = min(5, size)
        candidates = {}
        for row in range(size - side + 1):
            for column in range(size - side + 1):
                part = simple[row : row + side, column : column + side]
                i, j, k = np.unravel_index(part.argmax(), part.shape)
                if part[i, j, k] > candidates.get(k, (0,))[0]:
                    candidates[k] = (part[i, j, k], row + i, column + j)
        a, b = params.excitatory[module].copy(), params.inhibitory[module].copy()
        for k, (_, row, column) in candidates.items():
            q = params.reinforcement[module]
            window = cut(planes, row - reach, column - reach, 5, 5)
            a[..., k] += q * params.surround[module][..., None] * window
            b[k] += q / 2 * norms[row, column]
        learned.append((a, b))
    return learned


def images(number, size=12):
    """Gray images without equal windows, so that no two cells answer the same."""
    return np.random.default_rng(1).random((number, size, size)).astype(np.float32)


def test_answers_are_those_of_loops_over_cells():
    params = neocognitron.run(neocognitron.init((12, 12), planes=3), images(3))
    found = neocognitron.responses(params, images(4)[3])
    expected = by_hand(double(params), images(4)[3])
    for simple, answers, (_, by_s, _, by_c) in zip(found.simple, found.complex, expected):
        np.testing.assert_allclose(simple, by_s, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(answers, by_c, rtol=1e-3, atol=1e-5)


def test_learning_is_that_of_loops_over_columns():
    params = neocognitron.run(neocognitron.init((12, 12), planes=3), images(3))
    found = neocognitron.step(params, images(4)[3])
    expected = after(double(params), by_hand(double(params), images(4)[3]))
    for module, (a, b) in enumerate(expected):
        np.testing.assert_allclose(found.excitatory[module], a, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.inhibitory[module], b, rtol=1e-4, atol=1e-5)


def test_sizes_and_weights_are_those_of_the_paper():
    params = neocognitron.init()
    found = jax.eval_shape(neocognitron.responses, params, np.zeros((16, 16), np.float32))
    for name, sizes in PAPER.items():
        assert [maps.shape for maps in getattr(found, name)] == [(size, size, 24) for size in sizes]
    assert [weights.shape[:3] for weights in params.excitatory] == [(5, 5, 1), (5, 5, 24), (5, 5, 24)]
    assert [weights.shape for weights in params.pooling] == [(5, 5), (5, 5), (2, 2)]
    for weights, planes in zip(params.surround, (1, 24, 24)):
        assert planes * weights.sum() == pytest.approx(1)
        assert weights[2, 2] > weights[2, 1] > weights[2, 0] > weights[0, 0]
    assert params.selectivity.tolist() == [4, 1.5, 1.5]
    assert params.reinforcement.tolist() == [1, 16, 16]
    assert all(not weights.any() for weights in params.inhibitory)
    assert all((weights > 0).all() for weights in params.excitatory)


@pytest.mark.parametrize("r", [1.5, 4.0])
def test_a_trained_cell_answers_where_the_cosine_is_above_r_over_1_plus_r(r):
    params = double(neocognitron.init((12, 12), planes=1, selectivity=(r, r, r), start=1e-9))
    pattern, noise = images(1)[0, :5, :5], images(300)[:, 4:9, 4:9] ** 4
    mixed = np.linspace(0, 1, 300)[:, None, None]
    others = (1 - mixed) * pattern + mixed * noise
    c = params.surround[0]
    # One plane that has learned the pattern very often.
    params.excitatory[0][..., 0, 0] = 1e6 * c * pattern
    params.inhibitory[0][:] = 1e6 / 2 * np.sqrt((c * pattern**2).sum())
    shown = np.zeros((300, 12, 12))
    shown[:, 4:9, 4:9] = others
    answers = neocognitron.responses(params, shown).simple[0][:, 6, 6, 0]
    cosine = (c * others * pattern).sum((1, 2)) / np.sqrt(
        (c * others**2).sum((1, 2)) * (c * pattern**2).sum()
    )
    assert 10 < (cosine > r / (1 + r)).sum() < 290
    np.testing.assert_allclose(answers, np.maximum((1 + r) * cosine - r, 0), atol=1e-3)


@pytest.mark.beyond
def test_an_empty_image_teaches_nothing_and_has_a_gradient():
    params, nothing = neocognitron.init((12, 12), planes=3), jnp.zeros((12, 12))
    for one, other in zip(jax.tree.leaves(neocognitron.step(params, nothing)), jax.tree.leaves(params)):
        np.testing.assert_array_equal(one, other)
    assert not neocognitron.apply(params, nothing).any()
    assert np.isfinite(jax.grad(lambda x: neocognitron.apply(params, x).sum())(nothing)).all()


@pytest.mark.beyond
def test_rounding_does_not_choose_representatives():
    # A cross has many windows that are equal, or equal but for a reflection.
    cross = np.zeros((2, 12, 12), np.float32)
    cross[0, 5], cross[0, :, 5], cross[1, [2, 8]] = 1, 1, 1
    shown = np.concatenate([cross] * 10)
    single = neocognitron.run(neocognitron.init((12, 12), planes=3), shown)
    with jax.enable_x64(True):
        wide = neocognitron.run(double(neocognitron.init((12, 12), planes=3)), shown.astype(np.float64))
        for one, other in zip(single.excitatory, wide.excitatory):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.beyond
def test_networks_are_mapped_over():
    params, shown = neocognitron.init((12, 12), planes=3), images(6).reshape(2, 3, 12, 12)
    together = jax.vmap(neocognitron.run, (None, 0))(params, shown)
    for n in range(2):
        alone = neocognitron.run(params, shown[n])
        for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone)):
            np.testing.assert_allclose(one[n], other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shape": (14, 16)}, ValueError, r"shape is \(14, 16\): take multiples of 4 from 12 on"),
        ({"shape": (8, 8)}, ValueError, r"shape is \(8, 8\): take multiples of 4 from 12 on"),
        ({"planes": 0}, ValueError, "planes is 0: take a whole number at least 1"),
        ({"planes": 2.5}, TypeError, "planes is 2.5: take a whole number at least 1"),
        (
            {"selectivity": (1.0,)},
            ValueError,
            r"selectivity is \(1.0,\): take 3 numbers, one for each module",
        ),
        ({"reinforcement": 2.0}, TypeError, "reinforcement is 2.0: take 3 numbers, one for each module"),
        ({"reinforcement": (1, 0, 1)}, ValueError, "reinforcement holds 0: take positive numbers"),
        ({"saturation": 0.0}, ValueError, "saturation is 0.0: take a positive number"),
        ({"start": -1.0}, ValueError, "start is -1.0: take a positive number"),
        ({"surround": 1.5}, ValueError, "surround is 1.5: take a number from 0 to 1"),
        ({"pooling": 0.0}, ValueError, "pooling is 0.0: take a positive number"),
    ],
)
def test_errors_of_init(options, error, message, own_errors):
    with pytest.raises(error, match=message):
        neocognitron.init(**options)


def test_errors_of_images(own_errors):
    params = neocognitron.init((12, 12), planes=3)
    with pytest.raises(ValueError, match=r"x has the shape \(12, 16\): take \(\.\.\., 12, 12\) for"):
        neocognitron.apply(params, np.ones((12, 16)))
    with pytest.raises(ValueError, match=r"x has the shape \(2, 12, 12\): take \(H, W\) for \(H, W\)"):
        neocognitron.step(params, np.ones((2, 12, 12)))
    with pytest.raises(ValueError, match=r"x has the shape \(12, 12\): take \(n, H, W\) for \(n, H, W\)"):
        neocognitron.run(params, np.ones((12, 12)))
    with pytest.raises(TypeError, match=r"params is a dict: take parameters, from neocognitron\.init"):
        neocognitron.responses({}, np.ones((12, 12)))
