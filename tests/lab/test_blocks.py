"""Programs that see some images at a time."""

import numpy as np

from jaxtheory.lab.blocks import in_blocks


def test_programs_in_blocks_see_each_image_once():
    seen = []

    def program(x, factors):
        seen.append(x)
        return x * factors[:, None]

    x, factors = np.arange(12.0).reshape(6, 2), np.arange(6.0)
    np.testing.assert_array_equal(in_blocks(program, x, factors, each=4), x * factors[:, None])
    assert [one.shape for one in seen] == [(4, 2)] * 2
