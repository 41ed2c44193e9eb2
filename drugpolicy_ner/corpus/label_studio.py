"""Exports of Label Studio: JSON and JSON-MIN.

Read are the regions of ``Labels`` over a ``Text``. A choice made for a region (``perRegion``) is its action class
where it is one. Of several annotations of a task the ground truth is taken, else the one changed last; cancelled
ones, predictions and tasks that nobody annotated are left out: what a model predicts is no annotation until someone
has accepted or corrected it. All of that is counted. Newer versions count offsets
in characters, older ones in UTF-16 code units (Label Studio issue 1347): what fits the surfaces in the file is taken.

Written is the JSON that Label Studio imports, for a project whose configuration has a ``Text`` named ``text``,
``Labels`` named ``label`` and, for the action class, ``Choices`` named ``action`` with ``perRegion``. Label Studio
numbers tasks itself: id and meta stand in the task's data, from where they are read again. What a model proposes is
written as predictions, which Label Studio shows to annotators and does not count as done.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..labels import ACTIONS
from ..output import Output
from .document import Document, Span
from .jsonl import rest
from .settle import Mention, locate
from .source import Found, Notes, Offsets, ReadOptions, Row, as_id, brief, numbered, parse_json, read_text, split_label

_PREDICTED = "tasks with predictions that nobody has accepted or corrected left out"
_SEVERAL = "tasks of several annotations, of which {} was taken"
_TASK = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read an export, which is one JSON array and so read whole.

    Args:
        path: The file.
        options: What offsets count and where the text stands.
        notes: Takes what is left out.

    Raises:
        DataError: Something in it is not of this shape.
    """
    tasks = parse_json(read_text(path), path)
    if not isinstance(tasks, list):
        raise DataError("a JSON array of tasks is expected: export as JSON or JSON-MIN", path=path)
    rows = [Row({}, path, None).inner(task, f"task {i}") for i, task in enumerate(tasks, 1)]
    full = [row for row in rows if row.fields.keys() & {"annotations", "completions", "predictions"}]
    if full and len(full) < len(rows):
        raise DataError("some tasks have 'annotations' or 'predictions' and some have not: export again", path=path)
    yield from _full(rows, options, notes) if full else _min(rows, options, notes)


def _full(rows: Sequence[Row], options: ReadOptions, notes: Notes) -> Iterator[Found]:
    for i, row in enumerate(rows, 1):
        data = row.inner(row.fields.get("data"), "field 'data'")
        doc_id = as_id(data.fields.get("id")) or as_id(row.fields.get("id")) or numbered(row.path, i)
        row.doc_id = data.doc_id = doc_id
        name = "annotations" if "annotations" in row.fields else "completions"  # as it was called up to 0.9
        given = [row.inner(item, "an annotation") for item in row.items(name)]
        done = [annotation for annotation in given if not annotation.fields.get("was_cancelled")]
        notes.add("cancelled annotations left out", doc_id, len(given) - len(done))
        predictions = row.items("predictions")
        if options.proposals and not done:
            done = [row.inner(item, "a prediction") for item in predictions]
        notes.add("drafts left out", doc_id, len(row.items("drafts")))
        notes.add("fields of a task's own meta left out", doc_id, len(row.fields.get("meta") or ()))
        if not done:
            notes.add(_PREDICTED if predictions else "tasks without an annotation left out", doc_id)
            continue
        notes.add("predictions left out", doc_id, len(predictions))
        chosen = _choose(done, doc_id, notes)
        field = _text_field(data, options)
        text = data.text(field)
        spans = _spans(chosen.items("result"), text, row, options, notes)
        yield Found(Document(doc_id, text, spans, rest(dict(data.fields), {"id", field}, data)), row.path)


def _choose(done: Sequence[Row], doc_id: str, notes: Notes) -> Row:
    if len(done) == 1:
        return done[0]
    truth = [annotation for annotation in done if annotation.fields.get("ground_truth")]
    notes.add(_SEVERAL.format("the ground truth" if truth else "the last"), doc_id)
    return max(truth or done, key=lambda a: str(a.fields.get("updated_at") or a.fields.get("created_at") or ""))


def _text_field(data: Row, options: ReadOptions) -> str:
    if options.text_field in data.fields:
        return options.text_field
    strings = [name for name, value in data.fields.items() if isinstance(value, str) and name != "id"]
    if len(strings) != 1:
        names = ", ".join(map(repr, data.fields)) or "none"
        raise data.fail(
            f"no field {options.text_field!r} (fields: {names}): choose the text with data convert --text-field"
        )
    return strings[0]


def _spans(results: Sequence[Any], text: str, row: Row, options: ReadOptions, notes: Notes) -> tuple[Span, ...]:
    doc_id = row.doc_id or ""
    regions: dict[str, list[Row]] = defaultdict(list)
    for i, item in enumerate(results):
        result = row.inner(item, "a result")
        kind = str(result.fields.get("type", "labels"))
        notes.add("notes on regions left out", doc_id, int(bool(result.fields.get("meta"))))
        if kind in ("labels", "hypertextlabels", "choices"):
            regions[str(result.fields.get("id", f"#{i}"))].append(result)
        else:
            notes.add("relations left out" if kind == "relation" else f"results of type {kind!r} left out", doc_id)
    mentions = []
    for parts in regions.values():
        labels: list[str] = []
        choices: list[str] = []
        place: Row | None = None
        for part in parts:
            value = part.inner(part.fields.get("value"), "field 'value'")
            found = [*value.items("labels"), *value.items("hypertextlabels")]
            labels += map(str, found)
            choices += map(str, value.items("choices"))
            place = value if found else place
        mention = _mention(place, labels, choices, doc_id, notes)
        if mention is not None:
            mentions.append(mention)
    return _located(mentions, text, row, options)


def _mention(place: Row | None, labels: list[str], choices: list[str], doc_id: str, notes: Notes) -> Mention | None:
    actions = [choice for choice in choices if choice in ACTIONS and place is not None]
    notes.add("choices that are no action class of a region left out", doc_id, len(choices) - len(actions))
    if place is None:
        notes.add("regions without a label left out", doc_id, int(not choices))
        return None
    if len(set(labels)) > 1 or len(set(actions)) > 1:
        raise place.fail(f"a region has several labels or action classes: {', '.join(labels + actions)}: keep one")
    if not isinstance(place.fields.get("start"), int):
        raise place.fail(
            f"a region begins at {brief(place.fields.get('start'))}: only plain Text has offsets, not HTML"
        )
    label, action = split_label(labels[0])
    surface = place.fields.get("text")
    span = Span(place.number("start"), place.number("end"), label, action or "".join(actions[:1]))
    return Mention(span, surface if isinstance(surface, str) else None)


def _located(mentions: Sequence[Mention], text: str, row: Row, options: ReadOptions) -> tuple[Span, ...]:
    units = [options.offsets] if options.offsets else [Offsets.CHARACTERS, Offsets.UTF16]
    return locate(text, mentions, row, units)


def _min(rows: Sequence[Row], options: ReadOptions, notes: Notes) -> Iterator[Found]:
    tasks: dict[str, list[Row]] = defaultdict(list)
    for i, row in enumerate(rows, 1):
        row.doc_id = as_id(row.fields.get("id")) or numbered(row.path, i)
        tasks[row.doc_id].append(row)
    for doc_id, done in tasks.items():
        row = _choose(done, doc_id, notes)
        fields = row.fields
        tagged = {name for name, value in fields.items() if _has(value, "labels")}
        chosen = {name for name, value in fields.items() if _has(value, "choices") and name not in tagged}
        known = {"id", *_TASK, *tagged, *chosen, *([] if tagged else ["label"])}
        field = _text_field(Row({k: v for k, v in fields.items() if k not in known}, row.path, None, doc_id), options)
        text = row.text(field)
        regions: dict[tuple[Any, Any], list[Row]] = defaultdict(list)
        for name in sorted(tagged | chosen):
            for item in row.items(name):
                region = row.inner(item, "a region")
                regions[region.fields.get("start"), region.fields.get("end")].append(region)
        mentions = []
        for parts in regions.values():
            choices = [str(choice) for part in parts for choice in part.items("choices")]
            places = [part for part in parts if part.items("labels")]
            for place in places or (None,):
                labels = [] if place is None else [str(label) for label in place.items("labels")]
                mention = _mention(place, labels, choices, doc_id, notes)
                if mention is not None:
                    mentions.append(mention)
        spans = _located(mentions, text, row, options)
        yield Found(Document(doc_id, text, spans, rest(dict(fields), known | {field}, row)), row.path)


def _has(value: object, name: str) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and name in item for item in value)


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write an array of annotated tasks.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
    """

    def annotated(document: Document) -> dict[str, Any]:
        annotation = {"result": _results(document), "was_cancelled": False, "ground_truth": False}
        return {"annotations": [annotation], "predictions": []}

    _write(documents, output, annotated)


def propose(documents: Iterable[Document], output: Output, notes: Notes, model: str) -> None:
    """Write an array of tasks to be annotated.

    Args:
        documents: The documents with what the model finds. How sure it is, from 0 to 1, is taken from the field
            ``certainty`` of meta, where there is one: Label Studio can show the least certain tasks first.
        output: The stream.
        notes: Takes nothing: the format holds all that a document has.
        model: Its name and version.
    """

    def predicted(document: Document) -> dict[str, Any]:
        certainty = document.meta.get("certainty")
        score = {} if certainty is None else {"score": float(certainty)}
        return {"predictions": [{"model_version": model, **score, "result": _results(document)}]}

    _write(documents, output, predicted)


def _write(documents: Iterable[Document], output: Output, marks: Callable[[Document], dict[str, Any]]) -> None:
    output.write("[")
    for number, document in enumerate(documents, 1):
        data = {"id": document.id, "text": document.text, "meta": document.meta}
        task = {"id": number, "data": data, **marks(document)}
        output.write(("" if number == 1 else ",") + "\n" + json.dumps(task, ensure_ascii=False))
    output.write("\n]\n")


def _results(document: Document) -> list[dict[str, Any]]:
    results = []
    for i, span in enumerate(document.spans, 1):
        place = {"start": span.start, "end": span.end, "text": document.text[span.start : span.end]}
        region = {"id": f"r{i}", "to_name": "text"}
        results.append(region | {"from_name": "label", "type": "labels", "value": place | {"labels": [span.label]}})
        if span.action:
            value = place | {"choices": [span.action]}
            results.append(region | {"from_name": "action", "type": "choices", "value": value})
    return results
