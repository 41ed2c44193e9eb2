"""Annotated documents: reading, writing, checking and turning them into spaCy's format."""

from __future__ import annotations

from .document import Document, Span
from .formats import Format, read_documents, write_documents
from .marked import read_marked, read_marked_path, write_marked
from .source import Notes, ReadOptions

__all__ = [
    "Document",
    "Format",
    "Notes",
    "ReadOptions",
    "Span",
    "read_documents",
    "read_marked",
    "read_marked_path",
    "write_documents",
    "write_marked",
]
