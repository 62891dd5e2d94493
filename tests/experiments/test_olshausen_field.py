"""The photographs of the experiment on learned atoms, and a run in miniature."""

import numpy as np
import pytest

from jaxtheory.experiments.sparse import olshausen_field
from jaxtheory.lab import Lab

TINY = olshausen_field.Config(
    photographs=("camera", "coins"), size=6, atoms=12, patches=500, batch=20, steps=(4, 3), rates=(0.3, 0.1),
    draws=2,
)  # fmt: skip


def test_photographs_are_whitened_without_their_border():
    [camera] = olshausen_field.whitened(("camera",))
    assert camera.shape == (512 - 16, 512 - 16)
    np.testing.assert_allclose([camera.mean(), camera.std()], [0, 1], atol=1e-4)
    # Whitened: an octave has about the power of the next one a frequency, before it had a quarter.
    power = np.abs(np.fft.fft2(camera)) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(496), np.fft.fftfreq(496)))
    low, high = (power[(f > edge) & (f < 2 * edge)].mean() for edge in (0.05, 0.1))
    assert 0.5 < low / high < 2


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = olshausen_field.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"mosaics", "frequency_and_orientation"}
    assert len(lab.notes) == 1
