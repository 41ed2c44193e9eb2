"""spaCy's DocBin (``.spacy``).

Spans are the entities of a Doc, the action class their ``kb_id``, as in training. Id and meta stand in the Doc's
``user_data`` under ``drugpolicy_ner``; a file without them, as `spacy convert` writes it, gets ids by position. Text
and offsets are exact, in characters. A span that does not end at a token's edge has its token cut, which is counted.
Span groups and text
categories are left out and counted; tags, parses and lemmas are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import DataError
from ..output import Output
from .document import Document, Span
from .source import Found, Notes, ReadOptions, numbered
from .tokens import cut_tokens, load_tokenizer

_KEY = "drugpolicy_ner"


def read(path: Path, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """Read a DocBin.

    Args:
        path: The file.
        options: Not needed here.
        notes: Takes what is left out.

    Raises:
        DataError: The file is none.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    data = path.read_bytes()
    vocab = Vocab()
    try:
        docs = DocBin().from_bytes(data).get_docs(vocab)
    except Exception as error:  # zlib, msgpack and numpy each raise their own
        raise _broken(path, error) from None
    number = 0
    while True:
        number += 1
        try:
            doc = next(docs, None)
        except Exception as error:  # as above
            raise _broken(path, error) from None
        if doc is None:
            return
        own = doc.user_data.get(_KEY, {})
        doc_id = own.get("id") or numbered(path, number)
        known = len(doc) == 0 or doc.has_annotation("ENT_IOB")
        notes.add("documents whose entities are not annotated, taken for documents without any", doc_id, int(not known))
        spans = []
        for ent in doc.ents:
            action = ent.kb_id_ if ent.label_ == "POLICY_VERB" else ""
            notes.add("concept ids left out", doc_id, int(bool(ent.kb_id_) and not action))
            spans.append(Span(ent.start_char, ent.end_char, ent.label_, action))
        notes.add("text categories left out", doc_id, len(doc.cats))
        notes.add("spans in span groups left out: only entities are read", doc_id, sum(map(len, doc.spans.values())))
        yield Found(Document(doc_id, doc.text, tuple(spans), dict(own.get("meta", {}))), path)


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"not a DocBin ({type(error).__name__}): write it again with doc_bin.to_disk", path=path)


def write(documents: Iterable[Document], output: Output, notes: Notes) -> None:
    """Write documents; they are held until the end, as a DocBin is one compressed whole.

    Args:
        documents: The documents.
        output: The stream.
        notes: Takes how many tokens were cut.
    """
    from spacy.tokens import Doc, DocBin
    from spacy.tokens import Span as DocSpan
    from spacy.vocab import Vocab

    tokenize = load_tokenizer()
    vocab = Vocab()
    bin_ = DocBin(attrs=["ENT_IOB", "ENT_TYPE", "ENT_KB_ID"], store_user_data=True)
    for document in documents:
        tokens = cut_tokens(document, tokenize, notes)
        following = [start for start, _ in tokens[1:]] + [len(document.text)]
        doc = Doc(
            vocab,
            words=[document.text[start:end] for start, end in tokens],
            spaces=[end < start for (_, end), start in zip(tokens, following, strict=False)],
            user_data={_KEY: {"id": document.id, "meta": document.meta}},
        )
        first = {start: i for i, (start, _) in enumerate(tokens)}
        last = {end: i + 1 for i, (_, end) in enumerate(tokens)}
        ents = [DocSpan(doc, first[s.start], last[s.end], s.label, kb_id=s.action) for s in document.spans]
        doc.set_ents(ents)
        bin_.add(doc)
    output.write_bytes(bin_.to_bytes())
