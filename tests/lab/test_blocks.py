"""Programs that see some images at a time."""

import numpy as np

from jaxtheory.lab.blocks import in_blocks, minibatches


def test_programs_in_blocks_see_each_image_once():
    seen = []

    def program(x, factors):
        seen.append(x)
        return x * factors[:, None]

    x, factors = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    np.testing.assert_array_equal(in_blocks(program, x, factors, each=4), x * factors[:, None])
    assert [one.shape for one in seen] == [(4, 2)] * 2


def test_each_epoch_goes_through_all_in_a_new_order(rng):
    order = minibatches(60, 20, 7, rng)
    assert order.shape == (7, 20)
    assert sorted(order[:3].ravel()) == sorted(order[3:6].ravel()) == list(range(60))
    assert np.any(order[:3] != order[3:6])


def test_what_whole_minibatches_do_not_hold_is_left_out(rng):
    order = minibatches(50, 20, 4, rng)
    assert len(set(order[:2].ravel())) == len(set(order[2:].ravel())) == 40
    assert all(sorted(one) == list(range(50)) for one in minibatches(50, 50, 6, rng))
