"""The lecture "On Mathematical Theories of Deep Learning", executed: experiments over a JAX toolkit.

The theories are packages of pure functions over pytrees, each imported by name:

- `jaxtheory.harmonic`: wavelets, scattering transforms, deformations;
- `jaxtheory.sparse`: pursuits, dictionaries, convolutional and multilayer sparse coding, unrolled networks;
- `jaxtheory.approximation`: exact ReLU networks, linear regions, rates of approximation;
- `jaxtheory.landscape`: curvature, spectra, paths and critical points of a loss;
- `jaxtheory.statistics`: why networks that can fit anything generalize, classifiers and their errors;
- `jaxtheory.inspection`: attacks, certificates, what units and codes hold;
- `jaxtheory.networks`: trainable networks as pairs of pure functions;
- `jaxtheory.data`: arrays in, arrays out;
- `jaxtheory.lab`: what runs an experiment, and the command line;
- `jaxtheory.experiments`: one file per claim of the lecture.

Importing `jaxtheory` loads none of them.
"""

from importlib import metadata as _metadata

__version__ = _metadata.version("jaxtheory")
