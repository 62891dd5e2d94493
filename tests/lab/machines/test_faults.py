"""What is missing or not used, on machines that are made up."""

from jaxtheory.lab.machines import faults


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(faults, "installed", lambda name: None if name in ("optax", "jinja2") else "99")
    one, other = faults.of_packages()
    assert (one["what"], one["harmless"]) == ("optax is not installed", False)
    assert other["what"] == "what experiments need is not installed: jinja2"
    assert other["harmless"]
    assert other["do"] == "pip install 'jaxtheory[experiments]'"


def add_tpu(bus):
    """A v5e on the PCI bus, as Linux shows it."""
    device = bus / "0000:00:04.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x1ae0\n")
    (device / "device").write_text("0x0063\n")


def test_accelerators_that_are_not_used_are_faults(bare, monkeypatch):
    assert faults.of_devices({"cpu"}) == []
    add_tpu(bare)
    assert faults.of_devices({"cpu", "tpu"}) == []
    monkeypatch.setattr(faults, "installed", lambda _: None)
    [fault] = faults.of_devices({"cpu"})
    assert fault["what"] == "there is a TPU, and libtpu is not installed: JAX computes on the CPU"
    assert fault["do"] == "pip install 'jaxtheory[tpu]'"
    monkeypatch.setattr(faults, "installed", lambda _: "1.0")
    [fault] = faults.of_devices({"cpu"})
    assert fault["what"] == "there is a TPU and its plugin, and JAX sees none"
    assert fault["do"].startswith("another process may hold it")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    [fault] = faults.of_devices({"cpu"})
    assert fault["what"] == "there is a TPU, and JAX_PLATFORMS is 'cpu', so that JAX does not look for it"
    assert fault["harmless"]
    monkeypatch.setattr(faults, "_has_gpu", lambda: True)
    assert [fault["what"][:14] for fault in faults.of_devices(set())] == [
        "there is a TPU", "there is a GPU",
    ]  # fmt: skip
