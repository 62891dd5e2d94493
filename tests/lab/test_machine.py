"""The machine in words, on this one and on some that are made up."""

import os
import re
from types import SimpleNamespace

import jax

from jaxtheory.lab import machine


def test_this_machine_in_words():
    cores = len(os.sched_getaffinity(0))
    assert machine.cores() == cores
    assert re.fullmatch(rf"{cores}-core [\w-]+, \d+ GiB", machine.in_words())


def test_accelerators_stand_before_the_processor(monkeypatch):
    tpu = SimpleNamespace(platform="tpu", device_kind="TPU v5 lite")
    monkeypatch.setattr(jax, "devices", lambda: [tpu] * 4)
    assert machine.in_words().startswith("4 x TPU v5 lite, ")


def test_a_system_that_says_less(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.delattr(os, "getloadavg")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores() == 1
    assert machine.memory() is None
    assert re.fullmatch(r"1-core [\w-]+", machine.in_words())
    assert machine.facts()["load"] is None


def test_facts_of_a_measurement():
    facts = machine.facts()
    assert facts["cores"] == machine.cores()
    assert facts["processor"]
    assert facts["versions"]["jax"] == jax.__version__
    assert set(facts) == {"processor", "cores", "system", "load", "versions"}
