"""The lecture "On Mathematical Theories of Deep Learning", executed: experiments over a JAX toolkit.

The theories are packages of pure functions over pytrees, each imported by name:

- `jaxtheory.harmonic`: wavelets, scattering transforms, deformations;
- `jaxtheory.statistics`: classifiers and how their errors are estimated;
- `jaxtheory.networks`: trainable networks as pairs of pure functions;
- `jaxtheory.data`: arrays in, arrays out;
- `jaxtheory.lab`: what runs an experiment, and the command line;
- `jaxtheory.experiments`: one file per claim of the lecture.

Importing `jaxtheory` loads none of them.
"""

from importlib import metadata as _metadata

__version__ = _metadata.version("jaxtheory")
