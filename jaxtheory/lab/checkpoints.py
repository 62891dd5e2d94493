"""Checkpoints of trainings, kept by orbax: whole or not at all, the two newest."""

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory.lab import storage

KEPT = 2
"""Checkpoints that stay: one more than the newest, in case that one is damaged."""


class Checkpoints:
    """The checkpoints of one training, in a folder."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax tells of every step that it takes
        self._folder = folder.absolute()
        self._say = say
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
        with storage.failing_clearly(folder):
            self._manager = ocp.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def newest(self, template: Any) -> tuple[int, Any, list[Any]]:
        """Segments done, the state then and the metrics until then; the template if nothing whole is kept."""
        import jax
        import orbax.checkpoint as ocp

        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        for done in sorted(self._manager.all_steps(), reverse=True):
            try:
                kept = self._manager.restore(
                    done,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(shapes), history=ocp.args.StandardRestore()
                    ),
                )
                history = storage.unpack(io.BytesIO(kept["history"]["packed"].tobytes()))
            except Exception as error:  # a damaged checkpoint raises whatever its readers do
                place = self._folder / str(done)
                self._say(f"{place} is damaged ({error!s:.80}): going on from the checkpoint before")
                self._manager.delete(done)
                continue
            return done, kept["state"], history
        return 0, template, []

    def save(self, done: int, state: Any, history: list[Any]) -> None:
        """Keeps the state after so many segments, and the metrics until then."""
        import orbax.checkpoint as ocp

        # Packed as one array: without a template orbax makes other containers of tuples and lists.
        packed = io.BytesIO()
        storage.pack(packed, history)
        with storage.failing_clearly(self._folder):
            self._manager.save(
                done,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    history=ocp.args.StandardSave({"packed": np.frombuffer(packed.getvalue(), np.uint8)}),
                ),
            )
