"""Component drugpolicy_tagger: the whole pipeline as one component of somebody else's.

It reads the text of a document and writes a span group; the host's tokens, entities and other annotations stay as they
were. The text is tagged with the pipeline's own tokenizer and vocabulary, so that the host's cannot change the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy.language import Language
from spacy.util import load_model_from_config, load_model_from_path
from srsly import msgpack_dumps, msgpack_loads

from .candidates import GROUP

if TYPE_CHECKING:
    from spacy.tokens import Doc


@Language.factory("drugpolicy_tagger", default_config={"spans_key": GROUP}, assigns=["doc.spans"])
def create_tagger(nlp: Language, name: str, spans_key: str) -> Tagger:
    """Create the component with the pipeline that ships with this package."""
    return Tagger(spans_key)


class Tagger:
    """Writes the entities of a drug-policy pipeline to a span group.

    Args:
        spans_key: The span group to write.
        nlp: The pipeline to run; by default the shipped one, loaded when it is first needed.
    """

    def __init__(self, spans_key: str = GROUP, nlp: Language | None = None) -> None:
        self.spans_key = spans_key
        self._nlp = nlp

    @property
    def nlp(self) -> Language:
        """The pipeline inside."""
        if self._nlp is None:
            from . import load

            self._nlp = load()
        return self._nlp

    def __call__(self, doc: Doc) -> Doc:
        """Tag one document."""
        return self._copy(self.nlp(doc.text), doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag documents in batches."""
        pairs = self.nlp.pipe(((doc.text, doc) for doc in stream), as_tuples=True, batch_size=batch_size)
        for tagged, doc in pairs:
            yield self._copy(tagged, doc)

    def _copy(self, tagged: Doc, doc: Doc) -> Doc:
        """Set the span group; a span that ends inside a token of the host grows to the token's edge."""
        spans = (
            doc.char_span(
                ent.start_char,
                ent.end_char,
                label=ent.label_,
                kb_id=ent.kb_id_,
                span_id=ent.id_,
                alignment_mode="expand",
            )
            for ent in tagged.ents
        )
        doc.spans[self.spans_key] = [span for span in spans if span is not None]
        return doc

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the pipeline inside."""
        data: bytes = msgpack_dumps({"config": self.nlp.config.to_str(), "nlp": self.nlp.to_bytes()})
        return data

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Tagger:
        """Load the pipeline inside."""
        state: Any = msgpack_loads(data)
        config = self.nlp.config.from_str(state["config"])
        self._nlp = load_model_from_config(config, auto_fill=False).from_bytes(state["nlp"])
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save the pipeline inside as a folder."""
        self.nlp.to_disk(path)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Tagger:
        """Load the pipeline inside from a folder."""
        self._nlp = load_model_from_path(Path(path))
        return self
