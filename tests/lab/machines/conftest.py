"""A machine without accelerators."""

import pytest

from jaxtheory.lab.machines import faults


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without accelerators, whatever is here."""
    monkeypatch.setattr(faults, "PCI", tmp_path / "pci")
    monkeypatch.setattr(faults, "_has_gpu", lambda: False)
    monkeypatch.delenv("JAX_PLATFORMS")
    return tmp_path / "pci"
