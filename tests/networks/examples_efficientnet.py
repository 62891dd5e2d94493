"""Rows of the table of examples: networks of ImageNet."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "networks.efficientnet.pretrained": "reads a file",
    "networks.torch_weights.read": "reads a file",
}
