"""The bench of linear regions: its peer finds the same cells as the package, on a small network."""

import pytest

from jaxtheory.experiments.benchmarks import regions as bench


def test_polygons_cut_one_by_one_are_as_many(monkeypatch):
    monkeypatch.setattr(bench, "WIDTHS", (2, 10, 10, 10, 1))
    (found,) = bench.ours(2)()
    assert found > 50
    assert bench.polygon_by_polygon(2)() == pytest.approx(found, abs=0)
