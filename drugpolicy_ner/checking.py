"""What `data check` finds out about files of marked text: every finding of the checks, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .corpus import Document, read_marked_path
from .corpus.check import Finding, check_alignment, check_openings, check_repetition, check_unmarked
from .errors import DataError
from .labels import LABELS

if TYPE_CHECKING:
    from spacy.tokens import Doc


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """The outcome of all checks.

    Args:
        findings: What to mend first, then what to look at.
        passages: Number of passages that could be read.
        words: Their words, as white space parts them.
        spans: Their spans by label, in the order of the scheme.
    """

    findings: tuple[Finding, ...]
    passages: int
    words: int
    spans: dict[str, int]

    @property
    def failed(self) -> bool:
        """Whether anything must be mended."""
        return any(finding.error for finding in self.findings)


def check_corpus(paths: Iterable[str], tokenizer: Callable[[str], Doc]) -> CorpusReport:
    """Run all checks over files and folders of marked text, taken as one corpus.

    Args:
        paths: Files, and folders of ``*.txt``.
        tokenizer: The tokenizer whose token edges spans must keep to.

    Returns:
        The report; a file that cannot be read is a finding in it, and the others are checked.
    """
    findings: list[Finding] = []
    documents: list[Document] = []
    owner: dict[str, str] = {}
    for file in _files(paths):
        try:
            passages = list(read_marked_path(file))
        except DataError as error:
            findings.append(Finding("format", error.doc_id or "", str(error), error=True))
            continue
        except OSError as error:
            findings.append(Finding("format", "", f"{file}: cannot be read: {error.strerror or error}", error=True))
            continue
        for document in passages:
            if document.id in owner:
                message = f"{file}: id used before, in {owner[document.id]}"
                findings.append(Finding("format", document.id, message, error=True))
            owner[document.id] = file
        documents += passages
    findings += [
        *check_alignment(documents, tokenizer),
        *check_repetition(documents),
        *check_unmarked(documents),
        *check_openings(documents),
    ]
    spans = Counter(span.label for document in documents for span in document.spans)
    return CorpusReport(
        findings=tuple(sorted(findings, key=lambda finding: not finding.error)),
        passages=len(documents),
        words=sum(len(document.text.split()) for document in documents),
        spans={label: spans[label] for label in LABELS},
    )


def _files(paths: Iterable[str]) -> Iterator[str]:
    seen: set[Path] = set()
    for path in paths:
        # a folder without such a file stands for itself, as reading it says what is missing
        inside = sorted(Path(path).rglob("*.txt")) if Path(path).is_dir() else []
        for file in inside or [Path(path)]:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield str(file)
