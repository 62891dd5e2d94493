"""The code that the documentation shows, run as it stands there."""

import re
from pathlib import Path

import jax
import numpy as np

from jaxtheory.harmonic import scattering2d

ROOT = Path(__file__).parents[1]


def blocks(name: str, language: str = "python") -> list[str]:
    """The code blocks of a page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_readmes_example_gives_gradients_of_filters_and_images():
    [code] = [block for block in blocks("README.md") if "filter_gradient" in block]
    assert len(code.strip().splitlines()) <= 7
    found = {}
    exec(code, found)
    assert found["filter_gradient"].wavelets.shape == found["bank"].wavelets.shape
    assert found["image_gradient"].shape == (16, 32, 32)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found["filter_gradient"]))


def test_the_page_on_kymatio_says_what_becomes_of_a_list_and_of_padded_images(rng):
    page = (ROOT / "docs/kymatio.md").read_text(encoding="utf-8")
    assert "zip(scattering2d.paths(bank), np.moveaxis(y, -3, 0))" in page
    bank = scattering2d.filter_bank((16, 16), J=2, L=3)
    x = np.float32(rng.standard_normal((16, 16)))
    y = scattering2d.scatter(bank, x)
    entries = list(zip(scattering2d.paths(bank), np.moveaxis(np.asarray(y), -3, 0)))
    assert len(entries) == y.shape[0]
    assert entries[-1][0].scales == (0, 1)
    assert entries[-1][1].shape == (4, 4)
    # Kymatio's pre_pad: reflection done by hand, then a bank that is periodic on the padded image.
    padded = np.pad(x, 4, mode="reflect")
    assert padded.shape == bank.grid
    periodic = scattering2d.filter_bank(padded.shape, J=2, L=3, padding="periodic")
    inside = scattering2d.scatter(periodic, padded)[..., 1:-1, 1:-1]
    np.testing.assert_allclose(inside, y, rtol=0, atol=1e-5 * np.abs(y).max())
