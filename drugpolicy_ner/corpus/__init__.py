"""Annotated documents: reading, writing, checking and turning them into spaCy's format."""

from __future__ import annotations

from .document import Document, Span
from .marked import read_marked, read_marked_path, write_marked

__all__ = ["Document", "Span", "read_marked", "read_marked_path", "write_marked"]
