"""The errors that this package raises on purpose, each saying what, where and what to do."""

from __future__ import annotations

from pathlib import Path


class DrugPolicyError(Exception):
    """Base of every error that this package raises on purpose."""


class DataError(DrugPolicyError):
    """Input that cannot be read as what it should be.

    Args:
        message: What is wrong and what to do about it.
        path: The file, where there is one.
        line: Line number in that file, from 1.
        doc_id: Id of the document, where it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        doc_id: str | None = None,
    ) -> None:
        self.message = message
        self.path = None if path is None else str(path)
        self.line = line
        self.doc_id = doc_id
        where = ":".join(str(part) for part in (self.path, line) if part is not None)
        if doc_id is not None:
            where = f"{where} [{doc_id}]" if where else f"[{doc_id}]"
        super().__init__(f"{where}: {message}" if where else message)

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments do not survive the default pickling, and n_process pickles errors
        return (_data_error, (self.message, self.path, self.line, self.doc_id))


def _data_error(message: str, path: str | None, line: int | None, doc_id: str | None) -> DataError:
    return DataError(message, path=path, line=line, doc_id=doc_id)


class ConceptError(DataError):
    """A row of the knowledge base that breaks its format."""


class AlignmentError(DataError):
    """An annotated span whose edges are not token edges, so that training would drop it."""


class UsageError(DrugPolicyError):
    """A request that contradicts itself or names what does not exist."""


class OutputError(DrugPolicyError):
    """Output that cannot be written."""


class OutputClosed(DrugPolicyError):
    """Whoever read the output reads no more, as `head` does: no fault, but the end of the work."""


class WorkerError(DrugPolicyError):
    """A worker process that ended before its work."""
