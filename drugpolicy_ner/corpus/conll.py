"""CoNLL: a token a line with its tag in the last column, IOB2 or BILOU (also BIOES), a blank line between sentences.

Columns are parted by tabs or spaces; the first holds the token, unless ``# global.columns = ...`` (as in CoNLL-U
Plus) names ``FORM``, ``NER`` and, for the action class, ``ACTION``. ``-DOCSTART-`` begins a document; without any,
each sentence is one. The text is rebuilt with a space between tokens and a line break between sentences, unless ``#
text = ...`` keeps it: under ``-DOCSTART-`` for the document, else for the sentence. ``# id = ...`` and ``# meta =
{...}`` keep those. A tag that cannot follow the one before it, such as ``I-X`` behind ``O``, is an error.

The writer begins each document with ``-DOCSTART-`` and these comments, the text as a JSON string, and ends a sentence
at a line break or behind a full stop. Tokens are those of the pipeline's tokenizer, cut where a span ends inside one.
What is read from a file without ``# text`` has other white space than the text that was annotated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..errors import DataError
from ..output import Output
from .document import Document, Span
from .source import Found, Notes, ReadOptions, as_meta, numbered, parse_json, read_lines
from .tokens import load_tokenizer, tags, words

TAG = re.compile(r"O|[BILUES]-(\S+)")
_COMMENT = re.compile(r"# ?([\w.]+) = ?(.*)")
_START = "-DOCSTART-"
_STOPS = frozenset(".!?")


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its tag.

    Args:
        form: Its text.
        tag: Its tag, as ``B-SUBSTANCE``.
        action: The action class of the span that it begins.
        line: Its line.
    """

    form: str
    tag: str
    action: str = ""
    line: int | None = None


@dataclass(slots=True)
class _Block:
    """The lines between two blank ones."""

    line: int
    start: bool = False
    comments: dict[str, str] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)


def read_iob2(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a file with IOB2 tags.

    Args:
        path: The file.
        options: Not needed here.
        notes: Takes what is left out.

    Raises:
        DataError: With the line, for a tag that is none or cannot stand there, or tokens that the text does not hold.
    """
    yield from _read(path, notes, closed=False)


def read_bilou(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a file with BILOU or BIOES tags; arguments and errors as `read_iob2`."""
    yield from _read(path, notes, closed=True)


def _read(path: Path, notes: Notes, *, closed: bool) -> Iterator[Found]:
    gathered: list[_Block] = []
    number = 0
    for block in _blocks(path, notes):
        if gathered and (block.start or not gathered[0].start):
            number += 1
            yield _document(gathered, path, number, closed, notes)
            gathered = []
        gathered.append(block)
    if gathered:
        yield _document(gathered, path, number + 1, closed, notes)


def _blocks(path: Path, notes: Notes) -> Iterator[_Block]:
    columns: list[str] = []
    block: _Block | None = None
    for number, line in read_lines(path):
        if not line.strip():
            if block is not None and (block.start or block.tokens):
                yield block
                block = None
            continue
        comment = _COMMENT.fullmatch(line)
        if comment and comment[1] == "global.columns":
            columns = comment[2].upper().split()
            continue
        parts = line.split("\t") if "\t" in line else line.split()
        if block is not None and parts[0] == _START:
            if block.start or block.tokens:
                yield block
            block = None
        block = block or _Block(number)
        if comment and "\t" not in line:
            block.comments[comment[1]] = comment[2]
        elif line.startswith("#") and not TAG.fullmatch(parts[-1]):
            notes.add("comments left out", f"{path.name}:{number}")
        elif parts[0] == _START:
            block.start = True
        else:
            block.tokens.append(_token(parts, columns, path, number, notes))
    if block is not None and (block.start or block.tokens):
        yield block


def _token(parts: Sequence[str], columns: Sequence[str], path: Path, line: int, notes: Notes) -> Token:
    if columns and len(parts) != len(columns):
        raise DataError(f"{len(parts)} columns, where {len(columns)} are announced", path=path, line=line)
    if len(parts) < 2:
        raise DataError(f"token {parts[0]!r} without a tag: a line is a token and its tag", path=path, line=line)
    at = {name: i for i, name in enumerate(columns)}
    used = {at.get("FORM", 0), at.get("NER", len(parts) - 1), at.get("ACTION", -1)}
    other = sum(value not in ("_", "") for i, value in enumerate(parts) if i not in used)
    notes.add("values in columns beside token and tag left out", f"{path.name}:{line}", other)
    form, tag = parts[at.get("FORM", 0)], parts[at.get("NER", len(parts) - 1)]
    action = parts[at["ACTION"]] if "ACTION" in at else "_"
    if not TAG.fullmatch(tag):
        raise DataError(
            f"{tag!r} is no tag of IOB2 or BILOU: O, or a letter, a hyphen and a label", path=path, line=line
        )
    if not form.strip():
        raise DataError("a token of white space: remove the line", path=path, line=line)
    return Token(form, tag, "" if action == "_" else action, line)


def _document(blocks: Sequence[_Block], path: Path, number: int, closed: bool, notes: Notes) -> Found:
    head, sentences = blocks[0], [block for block in blocks if block.tokens]
    doc_id = head.comments.get("id") or head.comments.get("sent_id") or numbered(path, number)
    if doc_id.startswith('"'):
        doc_id = str(parse_json(doc_id, path, head.line))
    meta = parse_json(head.comments.get("meta", "{}"), path, head.line)
    if not isinstance(meta, dict):
        raise DataError("'# meta' is no JSON object", path=path, line=head.line, doc_id=doc_id)
    fail = partial(DataError, path=path, doc_id=doc_id)
    for block in blocks:
        known = {"text"} if block is not head else {"text", "meta", "id" if "id" in head.comments else "sent_id"}
        notes.add("comments left out", doc_id, len(set(block.comments) - known))
    if head.start and "text" in head.comments:
        text, places = _place([token for block in sentences for token in block.tokens], head, fail)
    else:
        text, places = "", []
        for block in sentences:
            text += "\n" if text else ""
            piece, found = _place(block.tokens, block, fail)
            places += [(start + len(text), end + len(text)) for start, end in found]
            text += piece
    spans: list[Span] = []
    at = 0
    for block in sentences:
        spans += tagged_spans(block.tokens, places[at : at + len(block.tokens)], fail, closed=closed)
        at += len(block.tokens)
    return Found(Document(doc_id, text, tuple(spans), as_meta(meta)), path, head.line)


def _place(tokens: Sequence[Token], block: _Block, fail: partial[DataError]) -> tuple[str, list[tuple[int, int]]]:
    return place_tokens(tokens, block.comments.get("text"), partial(fail, line=block.line))


def place_tokens(
    tokens: Sequence[Token], text: str | None, fail: partial[DataError]
) -> tuple[str, list[tuple[int, int]]]:
    """Return a text and where tokens stand in it.

    Args:
        tokens: The tokens.
        text: The text, perhaps as a JSON string; without it, the tokens with a space between.
        fail: Makes an error of a message.

    Raises:
        DataError: The tokens are not those of the text.
    """
    given = " ".join(token.form for token in tokens) if text is None else text
    missing: Token | None = None
    for text in (_unquoted(given), given):
        places, cursor = [], 0
        for token in tokens:
            start = cursor
            while start < len(text) and text[start].isspace():
                start += 1
            if not text.startswith(token.form, start):
                missing = token
                break
            cursor = start + len(token.form)
            places.append((start, cursor))
        else:
            if not text[cursor:].strip():
                return text, places
            missing = None
    if missing is None:
        raise fail("the text of '# text' goes on behind the last token")
    raise fail(f"token {missing.form!r} is not what comes next in '# text'", line=missing.line)


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text) if text.startswith('"') else text
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def tagged_spans(
    tokens: Sequence[Token], places: Sequence[tuple[int, int]], fail: partial[DataError], *, closed: bool
) -> Iterator[Span]:
    """Yield the spans of a sentence.

    Args:
        tokens: Its tokens.
        places: Where they stand in the text.
        fail: Makes an error of a message and a line.
        closed: Whether the last tag of a span is marked, as in BILOU (L, U) and BIOES (E, S).

    Raises:
        DataError: A tag that cannot stand where it does.
    """
    opened: Span | None = None
    for token, (start, end) in zip(tokens, places, strict=True):
        kind, _, label = token.tag.partition("-")
        if kind in "LUES" and not closed:
            raise fail(f"tag {token.tag!r} is none of IOB2: read the file with --from bilou", line=token.line)
        if kind in "ILE":
            if opened is None or opened.label != label:
                where = "begins a span" if opened is None else f"stands in a span of {opened.label}"
                raise fail(f"tag {token.tag!r} {where}: the first tag of a span is B-{label}", line=token.line)
            opened = replace(opened, end=end)
        elif opened is not None:
            if closed:
                message = f"tag {token.tag!r} inside a span of {opened.label}, which L- or E- must end"
                raise fail(message, line=token.line)
            yield opened
            opened = None
        if kind in "BUS":
            opened = Span(start, end, label, token.action)
        if kind in "LUES" and opened is not None:
            yield opened
            opened = None
    if opened is not None:
        if closed:
            raise fail(f"a span of {opened.label} has no last tag (L- or E-)", line=tokens[-1].line)
        yield opened


def write_iob2(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write documents with IOB2 tags.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes how many tokens were cut.
    """
    _write(documents, output, notes, bilou=False)


def write_bilou(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write documents with BILOU tags; arguments as `write_iob2`."""
    _write(documents, output, notes, bilou=True)


def _write(documents: Iterable[Document], output: Output, notes: Notes, *, bilou: bool) -> None:
    tokenize = load_tokenizer()
    output.write("# global.columns = FORM ACTION NER\n")
    for document in documents:
        tokens = words(document, tokenize, notes)
        tagged = list(tags(document, tokens))
        text = json.dumps(document.text, ensure_ascii=False)
        doc_id = json.dumps(document.id, ensure_ascii=False)
        meta = json.dumps(document.meta, ensure_ascii=False)
        output.write(f"{_START}\t_\tO\n# id = {doc_id}\n# meta = {meta}\n# text = {text}\n\n")
        for i, ((start, end), (tag, action)) in enumerate(zip(tokens, tagged, strict=True)):
            following = tagged[i + 1][0] if i + 1 < len(tokens) else "O"
            goes_on = following.startswith("I-")
            shown = tag
            if bilou and tag != "O" and not goes_on:
                shown = ("U" if tag.startswith("B") else "L") + tag[1:]
            form = document.text[start:end]
            output.write(f"{form}\t{action or '_'}\t{shown}\n")
            gap = document.text[end : tokens[i + 1][0]] if i + 1 < len(tokens) else ""
            if i + 1 == len(tokens) or (not goes_on and ("\n" in gap or (form in _STOPS and gap))):
                output.write("\n")
