import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from jaxtheory.lab import Lab
from jaxtheory.lab.progress import Display, Silent
from jaxtheory.lab.record.pictures import FIGURE_LIMIT


@pytest.fixture
def lab(tmp_path):
    """A lab that shows nothing."""
    return Lab(tmp_path, display=Display(Silent()))


def test_figures_are_pictures_below_the_limit_and_closed(lab, tmp_path):
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot([1, 2])
    lab.figure("Error by size", figure, "A caption.")
    assert not plt.fignum_exists(figure.number)
    noisy, axes = plt.subplots(figsize=(7, 7))
    axes.imshow(np.random.default_rng(0).random((600, 600, 3)))
    lab.figure("noise", noisy)
    assert [(one["name"], one["caption"]) for one in lab.figures] == [
        ("Error by size", "A caption."), ("noise", ""),
    ]  # fmt: skip
    for one in lab.figures:
        assert (tmp_path / one["file"]).stat().st_size <= FIGURE_LIMIT
        with Image.open(tmp_path / one["file"]) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300
    lab.figure("noise", Figure(), "Calmer.")
    assert [one["caption"] for one in lab.figures] == ["A caption.", "Calmer."]


def test_figures_too_large_say_what_to_do(lab, tmp_path, monkeypatch, own_errors):
    for size in ((400, 4), (4, 34), (1e9, 1e9)):
        with pytest.raises(
            ValueError, match=r"figure 'big' is [\d,]+ x [\d,]+ pixels at 120 dots an inch: make its"
        ):
            lab.figure("big", Figure(figsize=size))
    with pytest.raises(TypeError, match="figure 'axes' is a Axes: give a matplotlib Figure"):
        lab.figure("axes", Figure().subplots())
    monkeypatch.setattr("jaxtheory.lab.record.pictures.FIGURE_LIMIT", 1000)
    figure = Figure()
    figure.subplots().plot([1, 2])
    with pytest.raises(
        ValueError, match=r"figure 'many' takes \d+ kB even at 60 dots an inch, more than 1 kB: make"
    ):
        lab.figure("many", figure)
    assert not (tmp_path / "figures").exists()
