"""Tagging a stream of documents: in batches, in this process or in several, with memory that stays flat.

`Language.pipe` alone does not do: its string store and tokenizer cache grow with every new word, a batch of long
documents is held whole (about 2.5 KB a character while the network runs), one document that fails takes its batch
along, and with `n_process` a killed worker hangs it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from difflib import get_close_matches
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from typing import TYPE_CHECKING, Any, Final

from .errors import DataError, UsageError, WorkerError
from .labels import LABELS
from .reading import Record, Report

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

_BATCH_CHARACTERS: Final = 50_000
_PIECE_CHARACTERS: Final = 200_000
_VOCABULARY: Final = 200_000
_BREAKS: Final = ("\n\n", "\n", ". ", " ")


def load_pipeline(model: str | None = None, *, exclude: Sequence[str] = ()) -> Language:
    """Load the pipeline to tag with.

    Args:
        model: Name or folder of a spaCy pipeline; without it, the one that ships with this package.
        exclude: Names of components that are not loaded.

    Raises:
        UsageError: It cannot be loaded: there is none, it is damaged, or a package that it needs is missing.
    """
    import drugpolicy_ner

    name = "the shipped pipeline" if model is None else f"the pipeline {model!r}"
    try:
        if model is None:
            nlp: Language = drugpolicy_ner.load(exclude=exclude)
        else:
            import spacy

            nlp = spacy.load(model, exclude=exclude)
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{name} cannot be loaded: {reason}") from error
    except Exception as error:  # a damaged file can raise anything at all
        reason = f"it is damaged or of another version of drugpolicy-ner ({error!r})"
        raise UsageError(f"{name} cannot be loaded: {reason}") from error
    return nlp


def choose_labels(values: Iterable[str], nlp: Language | None = None) -> frozenset[str]:
    """Read a choice of labels.

    Args:
        values: Labels, each alone or several with commas between.
        nlp: A pipeline whose labels count beside those of the scheme.

    Raises:
        UsageError: An unknown label, with the nearest one there is.
    """
    known = sorted({*LABELS, *(label for names in (nlp.pipe_labels if nlp else {}).values() for label in names)})
    chosen = [label.strip() for value in values for label in value.split(",") if label.strip()]
    for label in chosen:
        if label not in known:
            near = get_close_matches(label.upper(), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
            raise UsageError(f"unknown label {label!r}: {hint}")
    if not chosen:
        raise UsageError("--labels names no label")
    return frozenset(chosen)


def tag_records(
    nlp: Language,
    records: Iterable[Record],
    report: Report,
    *,
    labels: frozenset[str] = frozenset(),
    batch_size: int = 64,
    n_process: int = 1,
) -> Generator[tuple[Record, Doc], None, None]:
    """Tag documents in order.

    Args:
        nlp: The pipeline.
        records: The documents.
        report: Takes each document that the pipeline fails on.
        labels: Keep entities of these labels; none means all.
        batch_size: Documents in a batch, at most; long ones make smaller batches, and very long ones are tagged in
            pieces.
        n_process: Processes to tag with.

    Yields:
        Each document with its Doc, which is good only until the next one is asked for.

    Raises:
        WorkerError: A worker process was killed.
    """
    chunks = _chunks(records, batch_size)
    finish: Callable[[Language, Sequence[Any]], list[Doc | str]]
    stream: Iterator[tuple[list[Record], Sequence[Any]]]
    if n_process == 1:
        finish, stream = _tag, ((chunk, [record.text for record in chunk]) for chunk in chunks)
    else:
        finish, stream = _restore, _in_workers(nlp, chunks, n_process)
    limit = _limit(nlp)
    for chunk, material in stream:
        with _zone(nlp, limit):
            for record, result in zip(chunk, finish(nlp, material), strict=True):
                if isinstance(result, str):
                    message = f"the pipeline failed on this document: {result}"
                    report(DataError(message, path=record.path, line=record.line, doc_id=record.id))
                    continue
                if labels:
                    result.set_ents([ent for ent in result.ents if ent.label_ in labels])
                yield record, result


def _chunks(records: Iterable[Record], batch_size: int) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    characters = 0
    for record in records:
        if chunk and (len(chunk) == batch_size or characters + len(record.text) > _BATCH_CHARACTERS):
            yield chunk
            chunk, characters = [], 0
        chunk.append(record)
        characters += len(record.text)
    if chunk:
        yield chunk


def _tag(nlp: Language, texts: Sequence[Any]) -> list[Doc | str]:
    """Return a Doc for each text, or what went wrong with it."""
    docs: list[Doc | str] = []
    if all(len(text) <= _PIECE_CHARACTERS for text in texts):
        with suppress(Exception):  # one document is to blame: tagging each alone shows which
            docs = list(nlp.pipe(texts, batch_size=len(texts)))
    return docs if len(docs) == len(texts) else [_tag_one(nlp, text) for text in texts]


def _tag_one(nlp: Language, text: str) -> Doc | str:
    from spacy.tokens import Doc

    try:
        docs = []
        for piece in _pieces(text):
            docs.append(nlp(piece))
            docs[-1].tensor = docs[-1].tensor[:0].copy()  # the largest part of a Doc, of no use from here on
        if len(docs) == 1:
            return docs[0]
        whole: Doc = Doc.from_docs(docs, ensure_whitespace=False)
        return whole
    except Exception as error:  # whatever a component raises concerns this document only
        return f"{type(error).__name__}: {error}"


def _pieces(text: str) -> Iterator[str]:
    """Cut a text that is too long to tag whole, at paragraphs where there are any."""
    start = 0
    while len(text) - start > _PIECE_CHARACTERS:
        low, high = start + _PIECE_CHARACTERS // 2, start + _PIECE_CHARACTERS
        cuts = ((text.rfind(mark, low, high), len(mark)) for mark in _BREAKS)
        stop = next((at + length for at, length in cuts if at >= 0), high)
        yield text[start:stop]
        start = stop
    yield text[start:]


def _restore(nlp: Language, results: Sequence[bytes | str]) -> list[Doc | str]:
    from spacy.tokens import Doc

    return [result if isinstance(result, str) else Doc(nlp.vocab).from_bytes(result) for result in results]


def _limit(nlp: Language) -> int:
    return len(nlp.vocab.strings) + _VOCABULARY


def _zone(nlp: Language, limit: int) -> AbstractContextManager[object]:
    """Let the vocabulary grow up to a limit, as words seen before are fast, and then forget each batch's new words."""
    return nlp.memory_zone() if len(nlp.vocab.strings) > limit else nullcontext()


def _in_workers(
    nlp: Language, chunks: Iterable[list[Record]], n_process: int
) -> Iterator[tuple[list[Record], list[bytes | str]]]:
    """Hand chunks to workers in turn; each holds one at a time, so that neither side can block the other."""
    with _workers(nlp, n_process) as workers:
        free = deque(workers)
        busy: deque[tuple[_Worker, list[Record]]] = deque()
        for chunk in chunks:
            finished = None
            if not free:
                worker, done = busy.popleft()
                finished = done, worker.receive()
                free.append(worker)
            worker = free.popleft()
            worker.send([record.text for record in chunk])
            busy.append((worker, chunk))
            if finished:
                yield finished
        for worker, chunk in busy:
            yield chunk, worker.receive()


class _Worker:
    def __init__(self, nlp: Language) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self.process: BaseProcess = multiprocessing.Process(target=_work, args=(nlp, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, texts: list[str]) -> None:
        try:
            self._pipe.send(texts)
        except OSError:
            raise self._death() from None

    def receive(self) -> list[bytes | str]:
        # a sibling may hold the other end of the pipe open, so its end alone does not show a death
        if self._pipe not in wait([self._pipe, self.process.sentinel]):
            raise self._death()
        try:
            results: list[bytes | str] = self._pipe.recv()
        except (EOFError, OSError):
            raise self._death() from None
        return results

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self._pipe.close()

    def _death(self) -> WorkerError:
        self.process.join(1)
        return WorkerError(
            f"a worker process ended with code {self.process.exitcode}, for lack of memory perhaps: "
            "try a smaller --n-process or --batch-size"
        )


@contextmanager
def _workers(nlp: Language, count: int) -> Iterator[list[_Worker]]:
    workers: list[_Worker] = []
    try:
        for _ in range(count):
            workers.append(_Worker(nlp))
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def _work(nlp: Language, pipe: Connection) -> None:
    """Tag what comes through the pipe until the parent stops this process or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent deals with it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    limit = _limit(nlp)
    with suppress(EOFError, OSError):  # the parent is gone
        while parent is None or pipe in wait([pipe, parent.sentinel]):
            texts = pipe.recv()
            with _zone(nlp, limit):
                results = _tag(nlp, texts)
                pipe.send([r if isinstance(r, str) else r.to_bytes(exclude=["tensor"]) for r in results])
