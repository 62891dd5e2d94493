"""Networks as pairs of pure functions, from the perceptron to residual networks, and their training.

`functional` turns a `flax.nnx` module into `init` and `apply`, `load` reads the weights that torchvision
publishes, and `training` trains any pair. Importing this package loads no flax.

- `perceptron`: Rosenblatt's rule with its bound, and separating hyperplanes or proofs that there is none;
- `predicates`: the order of predicates of figures, by linear programming;
- `rationals`: linear systems and inequalities in exact fractions;
- `neocognitron`: Fukushima's network, which learns without a teacher;
- `mlp`, `cnn`, `locally_connected`: small networks, the last one without shared weights;
- `lenet`, `alexnet`, `vgg`, `resnet`, `efficientnet`: networks of the literature;
- `layers`, `convolution`: what these are made of, in the form that each platform computes fastest;
- `bridge`, `published`, `safetensors`, `torch_weights`: where `functional` and `load` are defined, and files.
"""

from jaxtheory.networks.bridge import functional
from jaxtheory.networks.published import load

__all__ = ["functional", "load"]
