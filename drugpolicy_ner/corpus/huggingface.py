"""Data sets of Hugging Face, through `datasets`.

Read are folders that `save_to_disk` wrote, folders and files of Parquet, JSON or CSV, and names on the hub
(``owner/name``). Rows hold either ``text`` with ``spans`` (objects of ``start``, ``end``, ``label``, in characters),
or ``tokens`` with ``ner_tags``, as IOB2 or BILOU tags or as numbers with names in the features; the text is then the
tokens with a space between. Where a row has both, the spans are taken. Splits are read one after another and named in
the meta field ``split`` where there are several. Other columns become meta.

Written is a folder for `load_from_disk` with ``id``, ``text``, ``spans``, ``tokens``, ``ner_tags`` (names of IOB2
tags) and ``meta`` (a JSON object). All documents are held until the end, since the names of the tags stand before
them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import DataError, UsageError
from .conll import Token, place_tokens, tagged_spans
from .document import Document, Span
from .jsonl import rest
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, Row, as_id, brief, numbered, parse_json, split_label
from .tokens import load_tokenizer, tags, words

SAVED = ("dataset_dict.json", "dataset_info.json", "state.json")
"""Files by which a folder that `save_to_disk` wrote is known."""
_LOADERS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv"}
_TAGS = ("ner_tags", "tags", "labels")


def _datasets() -> ModuleType:
    try:
        import datasets
    except ImportError:
        raise UsageError("Hugging Face data sets need datasets: pip install 'drugpolicy-ner[train]'") from None
    module: ModuleType = datasets
    return module


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a data set.

    Args:
        path: A folder, a file, or a name on the hub.
        options: What offsets count and where the text stands.
        notes: Takes what is left out.

    Raises:
        DataError: A row that is not of this shape.
        UsageError: `datasets` is missing, or cannot load this.
    """
    with tempfile.TemporaryDirectory(prefix="drugpolicy-ner-") as cache:
        splits = _load(path, cache)
        several = len(splits) > 1
        for name, rows in splits.items():
            kinds = _tag_names(rows)
            for number, fields in enumerate(rows, 1):
                row = Row(fields, path, None)
                row.doc_id = as_id(fields.get("id")) or (f"{name}:{number}" if several else numbered(path, number))
                yield _document(row, kinds, {"split": name} if several else {}, options, notes)


def _load(path: Path, cache: str) -> Mapping[str, Any]:
    datasets = _datasets()
    datasets.disable_progress_bars()
    try:
        if any((path / name).exists() for name in SAVED):
            loaded = datasets.load_from_disk(str(path))
        elif path.is_file():
            if path.suffix.lower() not in _LOADERS:
                raise UsageError(f"{path}: no file of {', '.join(_LOADERS)}: name a file or folder of those")
            loaded = datasets.load_dataset(_LOADERS[path.suffix.lower()], data_files=str(path), cache_dir=cache)
        elif path.exists():
            loaded = datasets.load_dataset(str(path), cache_dir=cache)
        else:
            loaded = datasets.load_dataset(str(path))
    except UsageError:
        raise
    except Exception as error:  # the loaders, pyarrow and the hub each raise their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: datasets cannot load this: {reason}") from None
    if isinstance(loaded, datasets.DatasetDict):
        return dict(loaded)
    return {"all": loaded}


def _tag_names(rows: Any) -> dict[str, Sequence[str]]:
    """Return the names of numbered tags, by column."""
    names = {}
    for column, feature in rows.features.items():
        inner = getattr(feature, "feature", feature)
        if hasattr(inner, "names"):
            names[column] = inner.names
    return names


def _document(
    row: Row, names: Mapping[str, Sequence[str]], meta: Mapping[str, str], options: ReadOptions, notes: Notes
) -> Found:
    fields = row.fields
    tag_column = next((name for name in _TAGS if isinstance(fields.get(name), list)), None)
    known = {"id", options.text_field, "spans", "tokens", "ner_tags", *([tag_column] if tag_column else [])}
    for name in sorted(set(fields) - known):
        if isinstance(fields[name], list) and len(fields[name]) == len(fields.get("tokens") or ()) > 0:
            notes.add(f"column {name!r} of tokens left out", row.doc_id or "")
            known.add(name)
    if "spans" in fields:
        text = row.text(options.text_field)
        mentions = []
        for item in row.items("spans"):
            span = row.inner(item, "a span")
            label, action = split_label(span.text("label"))
            action = action or str(span.fields.get("action") or "")
            mentions.append(Mention(Span(span.number("start"), span.number("end"), label, action)))
        spans = locate(text, mentions, row, [options.offsets or Offsets.CHARACTERS])
    elif "tokens" in fields and tag_column is not None:
        text, spans = _tagged(row, tag_column, names.get(tag_column))
    else:
        columns = ", ".join(map(repr, fields))
        raise row.fail(f"neither {options.text_field!r} with 'spans' nor 'tokens' with 'ner_tags' (columns: {columns})")
    own = {name: value for name, value in fields.items() if value is not None}
    if isinstance(own.get("meta"), str):
        own["meta"] = parse_json(own["meta"], row.path)
    document = Document(row.doc_id or "", text, spans, dict(meta) | rest(own, known, row))
    return Found(document, row.path)


def _tagged(row: Row, column: str, names: Sequence[str] | None) -> tuple[str, tuple[Span, ...]]:
    forms, values = row.items("tokens"), row.items(column)
    if len(forms) != len(values):
        raise row.fail(f"{len(forms)} tokens, but {len(values)} tags")
    tokens = []
    for form, value in zip(forms, values, strict=True):
        if not isinstance(value, str):
            if names is None:
                raise row.fail(f"{column!r} holds numbers without names: give it the type ClassLabel")
            if not 0 <= value < len(names):
                raise row.fail(f"{column!r} holds {value}, but there are {len(names)} names of tags")
        if not isinstance(form, str) or not form.strip():
            raise row.fail(f"token {brief(form)} is none")
        tokens.append(Token(form, value if isinstance(value, str) else str(names[value] if names else "")))
    fail = partial(DataError, path=row.path, doc_id=row.doc_id)
    text, places = place_tokens(tokens, None, fail)
    closed = any(token.tag[:2] in ("L-", "U-", "E-", "S-") for token in tokens)
    return text, tuple(tagged_spans(tokens, places, fail, closed=closed))


def write_folder(documents: Iterable[Document], folder: Path, notes: Notes) -> None:
    """Write a folder for `load_from_disk`.

    Args:
        documents: The documents.
        folder: An empty folder.
        notes: Takes how many tokens were cut.

    Raises:
        UsageError: `datasets` is missing.
    """
    datasets = _datasets()
    datasets.disable_progress_bars()
    tokenize = load_tokenizer()
    rows = []
    labels = set()
    for document in documents:
        tokens = words(document, tokenize, notes)
        labels |= {span.label for span in document.spans}
        rows.append(
            {
                "id": document.id,
                "text": document.text,
                "spans": [
                    {"start": span.start, "end": span.end, "label": span.label, "action": span.action}
                    for span in document.spans
                ],
                "tokens": [document.text[start:end] for start, end in tokens],
                "ner_tags": [tag for tag, _ in tags(document, tokens)],
                "meta": json.dumps(document.meta, ensure_ascii=False),
            }
        )
    string, whole = datasets.Value("string"), datasets.Value("int64")
    kinds = datasets.ClassLabel(names=["O", *(f"{part}-{label}" for label in sorted(labels) for part in "BI")])
    many = getattr(datasets, "List", datasets.Sequence)  # `datasets` 4 renamed it; Sequence turns objects inside out
    span = {"start": whole, "end": whole, "label": string, "action": string}
    spans = many(span) if hasattr(datasets, "List") else [span]
    features = datasets.Features(
        {"id": string, "text": string, "spans": spans, "tokens": many(string), "ner_tags": many(kinds), "meta": string}
    )
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(folder))
