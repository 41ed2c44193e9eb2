"""Where results go: standard output, or a file that appears under its final name only when it is whole."""

from __future__ import annotations

import io
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import OutputClosed, OutputError
from .paths import check_output


class Output(io.TextIOBase):
    """A stream for text and bytes that says in this package's errors what went wrong.

    Args:
        stream: What to write to, in UTF-8 whatever the locale.
        name: Its name in messages.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, text: str) -> int:
        """Write text; half a surrogate pair, which UTF-8 cannot hold, becomes its escape, as in JSON."""
        self.write_bytes(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes."""
        with self.reporting():
            self._stream.write(data)

    def flush(self) -> None:
        """Hand on what is still held back."""
        if not self._stream.closed:
            with self.reporting():
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person reads this."""
        return self._stream.isatty()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Raise what the system says as an error of this package."""
        try:
            yield
        except BrokenPipeError:
            raise OutputClosed(f"{self._name} was closed") from None
        except OSError as error:
            raise OutputError(f"{self._name}: cannot be written: {error.strerror or error}") from error


@contextmanager
def open_output(path: Path | None) -> Iterator[Output]:
    """Open what to write to.

    Args:
        path: A file, or None for standard output. A regular file appears whole at the end or, after any failure,
            not at all; the one that was there before stays until then.

    Raises:
        OutputError: It cannot be written.
        OutputClosed: Its reader has gone.
    """
    if path is None:
        output = Output(sys.stdout.buffer, "standard output")
        yield output
        output.flush()
        return
    check_output(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder: name a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}: make it first")
    target = Path(os.path.realpath(path))
    in_place = target.exists() and not target.is_file()  # a device or a named pipe
    partial = target if in_place else target.with_name(f".drugpolicy-ner-{uuid.uuid4().hex[:12]}.tmp")
    try:
        stream = partial.open("wb" if in_place else "xb")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    output = Output(stream, str(path))
    try:
        yield output
        with output.reporting():
            stream.close()
            if not in_place:
                if target.exists():
                    shutil.copymode(target, partial)
                partial.replace(target)
    finally:
        with suppress(OSError):
            stream.close()
        if not in_place:
            partial.unlink(missing_ok=True)
