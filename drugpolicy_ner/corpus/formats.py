"""The formats that annotated documents are read from and written in, and how to tell which one a file has."""

from __future__ import annotations

import codecs
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from ..errors import DataError, OutputError, UsageError
from ..output import Output, open_output
from ..paths import check_output, flaw
from . import bioc, brat, conll, docbin, doccano, huggingface, jsonl, label_studio, marked, prodigy, pubtator, table
from .document import Document
from .settle import settle
from .source import Found, Notes, ReadOptions

_HEAD: Final = 65_536


class Format(str, Enum):
    """A format of annotated documents; the module of its reader says what it holds."""

    MARKED = "marked"
    DOCBIN = "docbin"
    JSONL = "jsonl"
    DOCCANO = "doccano"
    PRODIGY = "prodigy"
    LABEL_STUDIO = "label-studio"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    CONLL = "conll"
    BILOU = "bilou"
    BRAT = "brat"
    BIOC_XML = "bioc-xml"
    BIOC_JSON = "bioc-json"
    PUBTATOR = "pubtator"
    HUGGINGFACE = "huggingface"


Read = Callable[[Path, ReadOptions, Notes], Iterator[Found]]
Write = Callable[[Iterable[Document], Output, Notes], None]
WriteFolder = Callable[[Iterable[Document], Path, Notes], None]
Propose = Callable[[Iterable[Document], Output, Notes, str], None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is to be known of a format.

    Args:
        about: One line for the help.
        suffixes: Suffixes of its files, the first for messages.
        read: Reads a file, or the folder where `folder` says so.
        write: Writes a file.
        write_folder: Writes a folder, in place of `write`.
        propose: Writes what a model proposes, where the format tells it from annotations.
    """

    about: str
    suffixes: tuple[str, ...]
    read: Read
    write: Write | None = None
    write_folder: WriteFolder | None = None
    propose: Propose | None = None


_CONLL_SUFFIXES: Final = (".conll", ".iob", ".iob2", ".bio", ".bilou", ".bioes", ".conllu", ".conllup")
_KINDS: Final[dict[Format, _Kind]] = {
    Format.MARKED: _Kind("marked text of this project", (".txt",), marked.read, marked.write),
    Format.DOCBIN: _Kind("spaCy DocBin", (".spacy",), docbin.read, docbin.write),
    Format.JSONL: _Kind("JSON Lines of this project", (".jsonl", ".ndjson"), jsonl.read, jsonl.write),
    Format.DOCCANO: _Kind("doccano JSON Lines", (".jsonl", ".json"), doccano.read, doccano.write),
    Format.PRODIGY: _Kind("Prodigy JSON Lines", (".jsonl",), prodigy.read, prodigy.write, propose=prodigy.propose),
    Format.LABEL_STUDIO: _Kind(
        "Label Studio JSON, JSON-MIN", (".json",), label_studio.read, label_studio.write, propose=label_studio.propose
    ),
    Format.CSV: _Kind("table of spans", (".csv",), table.read_csv, table.write_csv),
    Format.TSV: _Kind("table of spans", (".tsv",), table.read_tsv, table.write_tsv),
    Format.PARQUET: _Kind("table of spans", (".parquet",), table.read_parquet, table.write_parquet),
    Format.CONLL: _Kind("CoNLL, IOB2", _CONLL_SUFFIXES, conll.read_iob2, conll.write_iob2),
    Format.BILOU: _Kind("CoNLL, BILOU or BIOES", _CONLL_SUFFIXES, conll.read_bilou, conll.write_bilou),
    Format.BRAT: _Kind("brat standoff, a folder", (".ann",), brat.read, write_folder=brat.write_folder),
    Format.BIOC_XML: _Kind("BioC XML", (".xml",), bioc.read_xml, bioc.write_xml),
    Format.BIOC_JSON: _Kind("BioC JSON", (".json",), bioc.read_json, bioc.write_json),
    Format.PUBTATOR: _Kind("PubTator", (".pubtator",), pubtator.read, pubtator.write),
    Format.HUGGINGFACE: _Kind(
        "Hugging Face data set, a folder", (), huggingface.read, write_folder=huggingface.write_folder
    ),
}


def about(form: Format) -> str:
    """Return what a format is, in a few words."""
    return _KINDS[form].about


def read_documents(
    path: str | Path,
    format: Format | None = None,
    *,
    options: ReadOptions | None = None,
    notes: Notes | None = None,
    rename: Callable[[Document], Document] | None = None,
) -> Iterator[Document]:
    """Read annotated documents with labels of any scheme.

    Args:
        path: A file, or a folder: one of a format that is a folder, or one with files of one format.
        format: The format; without it, suffix and content decide.
        options: What to do with what a document cannot hold.
        notes: Takes what was left out or changed; without it, the log says so.
        rename: Changes labels before they are checked, as a `LabelMap` does.

    Yields:
        Documents with an id of their own, their spans in order and apart.

    Raises:
        DataError: With file, line and document, for whatever cannot be read.
        UsageError: The format is not clear, or a library that it needs is missing.
    """
    own = Notes() if notes is None else notes
    chosen = detect(path) if format is None else format
    taken = options or ReadOptions()
    seen: set[str] = set()
    for file in list_files(path, chosen):
        for found in read_found(file, chosen, taken, own):
            if rename is not None:
                found = replace(found, document=rename(found.document))
            document = settle(found, taken, own)
            if document.id in seen:
                message = "id used before: give each document an id of its own"
                raise DataError(message, path=found.path, line=found.line, doc_id=document.id)
            seen.add(document.id)
            yield document
    if not seen:
        why = f" that can be taken: {'; '.join(own)}" if own.counts else ""
        raise DataError(f"holds no documents{why}", path=path)
    if notes is None:
        own.log(path)


def read_found(file: Path, format: Format, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read documents with their places, before their spans are looked at: what `check` does, and `read_documents`.

    Args:
        file: One of `list_files`.
        format: Its format.
        options: What offsets count and the like.
        notes: Takes what was left out.

    Raises:
        DataError: With file, line and document, for what cannot be read; nothing comes after it.
        UsageError: A library that the format needs is missing.
    """
    try:
        yield from _KINDS[format].read(file, options, notes)
    except OSError as error:
        raise _unreadable(error.filename or file, error) from None


def _possible(path: str | Path) -> Path:
    if wrong := flaw(path):
        raise DataError(f"cannot be read: {wrong}", path=path)
    return Path(path)


def _unreadable(path: str | Path, error: OSError) -> DataError:
    return DataError(f"cannot be read: {error.strerror or error}", path=path)


def list_files(path: str | Path, format: Format) -> list[Path]:
    """Return the files to read: the path itself, or what a folder holds.

    Args:
        path: A file or folder.
        format: Its format.

    Raises:
        DataError: The folder holds no file of the format, or nothing can have this path.
    """
    path, kind = _possible(path), _KINDS[format]
    if not path.is_dir() or kind.write_folder is not None:
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in kind.suffixes and file.is_file())
    if not files:
        raise DataError(f"no {' or '.join('*' + suffix for suffix in kind.suffixes)} file in this folder", path=path)
    return files


def write_documents(
    documents: Iterable[Document],
    path: str | Path,
    format: Format,
    *,
    notes: Notes | None = None,
    model: str | None = None,
) -> int:
    """Write annotated documents, whole or not at all.

    Args:
        documents: The documents; they are checked, with labels of any scheme.
        path: A file, which is replaced, or a folder for a format that is one, which must be new or empty.
        format: The format.
        notes: Takes what the format cannot hold; without it, the log says so.
        model: Name and version of the model that proposes the spans, where nobody has annotated them.

    Returns:
        How many documents were written.

    Raises:
        DataError: A document that the format cannot hold.
        OutputError: It cannot be written.
        UsageError: A library that the format needs is missing.
    """
    own = Notes() if notes is None else notes
    count = 0

    def checked() -> Iterator[Document]:
        nonlocal count
        seen: set[str] = set()
        for document in documents:
            document.check(scheme=False)
            if not document.id:
                raise DataError("a document without an id cannot be written: give it one")
            if document.id in seen:
                raise DataError("id used before: give each document an id of its own", doc_id=document.id)
            seen.add(document.id)
            count += 1
            yield document

    kind = _KINDS[format]
    if model is not None and kind.propose is not None:
        with open_output(Path(path)) as output:
            kind.propose(checked(), output, own, model)
    elif kind.write is not None:
        with open_output(Path(path)) as output:
            kind.write(checked(), output, own)
    elif kind.write_folder is not None:
        with new_folder(Path(path)) as folder:
            kind.write_folder(checked(), folder, own)
    if notes is None:
        own.log(path)
    return count


def format_of_name(path: str | Path) -> Format:
    """Tell the format to write by the suffix of a file.

    Args:
        path: The file.

    Raises:
        UsageError: Several formats have this suffix, or none.
    """
    suffix = Path(path).suffix.lower()
    forms = [form for form, kind in _KINDS.items() if suffix in kind.suffixes and kind.write is not None]
    if len(forms) == 1:
        return forms[0]
    what = f"may be {' or '.join(form.value for form in forms)}" if forms else "does not say its format"
    known = "" if forms else f" ({', '.join(form.value for form in Format)})"
    raise UsageError(f"{path}: {what}: name it with --to{known}")


def suffix_of(format: Format) -> str:
    """Return the suffix that a file of a format gets; a format that is a folder has none."""
    kind = _KINDS[format]
    return "" if kind.write is None else kind.suffixes[0]


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill that gets its final name when it is whole.

    Args:
        path: The final name: new, or an empty folder.

    Raises:
        OutputError: Something stands there, or it cannot be written.
    """
    check_output(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise OutputError(f"{path}: is there already: name a new folder or an empty one")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}: make it first")
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".drugpolicy-ner-", dir=path.parent))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        folder = scratch / "new"
        folder.mkdir()
        try:
            yield folder
            folder.replace(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def detect(path: str | Path) -> Format:
    """Tell the format of a file or folder by suffix and content.

    Args:
        path: The file or folder.

    Raises:
        UsageError: It may be several or none.
        DataError: It is empty or cannot be read.
    """
    path = _possible(path)
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _of_folder(folder: Path) -> Format:
    if any((folder / name).exists() for name in huggingface.SAVED):
        return Format.HUGGINGFACE
    suffixes = {suffix for kind in _KINDS.values() for suffix in kind.suffixes}
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
    if not files:
        raise DataError("no file of annotations in this folder", path=folder)
    if any(file.suffix == ".ann" for file in files):
        return Format.BRAT
    owner: dict[Format, Path] = {}
    for file in files:
        owner.setdefault(_of_file(file), file)
    if len(owner) > 1:
        found = ", ".join(f"{form.value} ({file.name})" for form, file in owner.items())
        raise UsageError(f"{folder}: holds files of several formats: {found}: choose one with --from")
    return next(iter(owner))


def _of_file(path: Path) -> Format:
    suffix = path.suffix.lower()
    if suffix == ".ann" or (suffix == ".txt" and path.with_suffix(".ann").exists()):
        return Format.BRAT
    with path.open("rb") as handle:
        raw = handle.read(_HEAD)
    if not raw.strip():
        raise DataError("the file is empty", path=path)
    if suffix == ".spacy":
        return Format.DOCBIN
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("not UTF-8 but UTF-16; save the file as UTF-8", path=path, line=1)
    if raw.startswith(b"PAR1"):
        return Format.HUGGINGFACE if {"tokens", "spans"} & set(table.parquet_columns(path)) else Format.PARQUET
    if len(raw) == _HEAD:
        raw = raw[: raw.rfind(b"\n") + 1] or raw  # whole lines
    form = _of_text(raw.decode("utf-8-sig", "replace").lstrip(), suffix)
    if form is None:
        known = ", ".join(form.value for form in Format)
        raise UsageError(f"{path}: its format is not clear: name it with --from ({known})")
    return form


def _of_text(head: str, suffix: str) -> Format | None:
    """Tell a format by how a file begins."""
    first, *others = head.split("\n")
    first = first.removesuffix("\r")
    if first.startswith("==="):
        return Format.MARKED
    if first.startswith("<"):
        return Format.BIOC_XML if "<collection" in head or "BioC" in head else None
    if first.startswith("["):
        return _of_array(head)
    if first.startswith("{"):
        return _of_object(head)
    passage = pubtator.PASSAGE.fullmatch(first)
    if passage and passage[2] == "t":
        return Format.PUBTATOR
    if suffix in (".csv", ".tsv") and "text" in first and "label" in first:
        return Format.TSV if "\t" in first else Format.CSV
    return _of_tokens([first, *others], suffix)


def _of_tokens(lines: list[str], suffix: str) -> Format | None:
    """Tell IOB2 from BILOU, where all lines are a token and a tag."""
    rows = [line.split() for line in lines if line.strip() and not line.startswith(("# ", "-DOCSTART-"))]
    named = next((line.upper().split()[3:] for line in lines if line.startswith("# global.columns = ")), [])
    at = named.index("NER") if "NER" in named else -1
    tags = [row[at] for row in rows if len(row) > max(at, 1)]
    if suffix not in _CONLL_SUFFIXES and not (tags and len(tags) == len(rows) and all(map(conll.TAG.fullmatch, tags))):
        return None
    return Format.BILOU if any(tag[:2] in ("L-", "U-", "E-", "S-") for tag in tags) else Format.CONLL


def _of_array(head: str) -> Format | None:
    names = _names(head)
    if "passages" in names:
        return Format.BIOC_JSON
    tasks = {"annotations", "completions", "predictions", "annotator", "lead_time"}
    return Format.LABEL_STUDIO if names & tasks else None


def _of_object(head: str) -> Format | None:
    try:
        first = json.JSONDecoder().raw_decode(head)[0]
        names = set(first)
    except ValueError:
        names = _names(head)  # a long or a broken line: its reader will say
    if "ents" in names:
        return Format.JSONL
    if "documents" in names or "passages" in names:
        return Format.BIOC_JSON
    if "tokens" in names and names & {"ner_tags", "tags"}:
        return Format.HUGGINGFACE
    if "spans" in names or "_input_hash" in names:
        return Format.PRODIGY
    return Format.DOCCANO if any(name in names for name in doccano.FIELDS) else None


def _names(head: str) -> set[str]:
    return set(re.findall(r'"(\w+)"\s*:', head))
