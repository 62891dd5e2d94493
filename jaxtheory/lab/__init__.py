"""The lab: what runs an experiment, keeps what it finds and shows it; the command line.

An experiment needs these names only; everything else is loaded by what uses it:

- `Lab`, which an experiment's `run(config, lab)` receives, and `experiment`, which makes `lab` optional;
- `Claim`, `Need`, and the expectations `at_most`, `at_least`, `below`, `above`, `between`, `equal_to` and
  `published`;
- `Measured`, made by `mean` of a sweep's results, by `exact` for what is not random, and by `proportion`;
- `Range` for the fields of a configuration; `Training`, what `Lab.train` returns;
- the modules `jaxtheory.lab.plots`, and `jaxtheory.lab.blocks` for programs on many images.
"""

from jaxtheory.lab.record.claims import Claim, Claims, Need, Verdict
from jaxtheory.lab.record.expectations import (
    Expected,
    above,
    at_least,
    at_most,
    below,
    between,
    equal_to,
    published,
)
from jaxtheory.lab.record.laboratory import Lab, Training, experiment
from jaxtheory.lab.record.measured import Measured, exact, proportion
from jaxtheory.lab.record.ranges import Range, check_config
from jaxtheory.lab.record.sweeps import mean

__all__ = [
    "Claim",
    "Claims",
    "Expected",
    "Lab",
    "Measured",
    "Need",
    "Range",
    "Training",
    "Verdict",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "check_config",
    "equal_to",
    "exact",
    "experiment",
    "mean",
    "proportion",
    "published",
]
