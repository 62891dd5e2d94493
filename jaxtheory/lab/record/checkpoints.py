"""Checkpoints of trainings, kept by orbax: whole or not at all, the two newest."""

import contextlib
import io
import logging
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory.lab.record import storage

KEPT = 2
"""Checkpoints that stay: one more than the newest, in case that one is damaged."""
STATE = "state"
"""What the state is called in its checkpoint: orbax takes no bare array."""


class Checkpoints:
    """The checkpoints of one training, in a folder."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        import orbax.checkpoint as ocp

        # Orbax tells of every step that it takes, and shows the trace of errors that are told of below.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder = folder.absolute()
        self._say = say
        self._stack = contextlib.ExitStack()
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
        with storage.failing_clearly(folder):
            place = self._stack.enter_context(_in_utf8(self._folder))
            self._manager = ocp.CheckpointManager(place, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()
        self._stack.close()

    def newest(self, template: Any) -> tuple[int, Any, list[Any], float]:
        """Return the segments done, the state then, and metrics and seconds until then.

        Args:
            template: The state at the start, which is returned if nothing whole is kept.

        Returns:
            Segments, state, metrics and seconds.
        """
        import jax
        import orbax.checkpoint as ocp

        shapes = {STATE: jax.tree.map(ocp.utils.to_shape_dtype_struct, template)}
        for done in sorted(self._manager.all_steps(), reverse=True):
            try:
                kept = self._manager.restore(
                    done,
                    args=ocp.args.Composite(
                        state=ocp.args.StandardRestore(shapes), history=ocp.args.StandardRestore()
                    ),
                )
                state = kept["state"][STATE]
                told = storage.unpack(
                    io.BytesIO(kept["history"]["packed"].tobytes()), {"checksum": _checksum(state)}
                )
                history, seconds = told["metrics"], float(told["seconds"])
            except Exception as error:  # a damaged checkpoint raises whatever its readers do
                reason = " ".join(str(error).split())
                place = self._folder / str(done)
                self._say(f"cannot use {place} ({reason:.80}): going on from what was kept before")
                with storage.failing_clearly(place):
                    shutil.rmtree(place)
                self._manager.reload()
                continue
            return done, state, history, seconds
        return 0, template, [], 0.0

    def save(self, done: int, state: Any, history: list[Any], seconds: float) -> None:
        """Keep the state after a number of segments, and metrics and seconds until then.

        Args:
            done: The number of segments.
            state: The state after them, a pytree of arrays.
            history: The metrics of each.
            seconds: The seconds that they took.

        Raises:
            OSError: If it cannot be written; `storage.failing_clearly` makes it one line.
            ValueError: If the state is not something that orbax stores.
        """
        import orbax.checkpoint as ocp

        # Packed as one array: without a template orbax makes other containers of tuples and lists.
        packed = io.BytesIO()
        told = {"metrics": history, "seconds": np.float64(seconds)}
        storage.pack(packed, told, {"checksum": _checksum(state)})
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave({STATE: state}),
            history=ocp.args.StandardSave({"packed": np.frombuffer(packed.getvalue(), np.uint8)}),
        )
        with storage.failing_clearly(self._folder):
            try:
                self._manager.save(done, args=arguments)
            except ValueError as error:
                # TensorStore, which writes the arrays, names what the system refuses only in its text.
                if not (found := re.search(r"os_error_code='(\d+)'", str(error))):
                    raise
                raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


@contextlib.contextmanager
def _in_utf8(folder: Path) -> Iterator[Path]:
    """A path to a folder that orbax can read: a link, where the folder's name is no UTF-8."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="jaxtheory-") as holder:
            link = Path(holder) / "checkpoint"
            link.symlink_to(folder, target_is_directory=True)
            yield link
    else:
        yield folder


def _checksum(state: Any) -> int:
    """Tells a state from one in which a stored bit has changed, which orbax does not notice."""
    import jax

    checksum = 0
    for leaf in jax.tree.leaves(state):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        checksum = zlib.crc32(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes(), checksum)
    return checksum
