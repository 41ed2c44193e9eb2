"""Reading, tagging and writing as plain functions, with a small pipeline that needs no weights."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.util import filter_spans

from drugpolicy_ner import tagging
from drugpolicy_ner.entity import COLOURS, INK, OTHER_COLOUR, Entity
from drugpolicy_ner.errors import DataError, OutputClosed, OutputError, UsageError, WorkerError
from drugpolicy_ner.labels import LABELS
from drugpolicy_ner.output import Output, open_output
from drugpolicy_ner.reading import InputFormat, Inputs, ReadOptions, Record
from drugpolicy_ner.tagging import choose_labels, tag_records
from drugpolicy_ner.webpage import describe
from drugpolicy_ner.writing import OutputFormat, choose_format, open_writer

SURFACES = {
    "DEA": ("INSTITUTION", "DP:dea", "ner"),
    "fentanyl": ("SUBSTANCE", "DP:fentanyl", "gazetteer"),
    "seized": ("POLICY_VERB", "ENFORCE", "ner"),
    "40 kg": ("QUANTITY", "", "form"),
}


def mark(doc: Doc) -> Doc:
    """Set what SURFACES names as entities; stands in for the shipped pipeline."""
    if "EXPLODE" in doc.text:
        raise RuntimeError("boom")
    found = []
    for surface, (label, kb_id, source) in SURFACES.items():
        at = doc.text.find(surface)
        while at >= 0:
            span = doc.char_span(at, at + len(surface), label=label, kb_id=kb_id)
            if span is not None:
                found.append(Span(doc, span.start, span.end, label, kb_id=kb_id, span_id=source))
            at = doc.text.find(surface, at + 1)
    doc.set_ents(filter_spans(found))
    return doc


@pytest.fixture(scope="module")
def nlp() -> Iterator[Language]:
    Language.component("tests_mark", func=mark)
    pipeline = spacy.blank("en")
    pipeline.add_pipe("tests_mark")
    return pipeline


class Problems(list[str]):
    def __call__(self, error: DataError) -> None:
        self.append(str(error))


def read(path: Path | str, problems: Problems | None = None, **options: object) -> list[Record]:
    report = Problems() if problems is None else problems
    return list(Inputs([str(path)], ReadOptions(**options), report))  # type: ignore[arg-type]


def written(nlp: Language, form: OutputFormat, *records: Record) -> bytes:
    stream = io.BytesIO()
    with open_writer(form, Output(stream, "test")) as writer:
        for record, doc in tag_records(nlp, records, Problems()):
            writer.write(record, doc)
    return stream.getvalue()


# reading


def test_read_text_is_one_document_kept_exactly(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffa\r\nb\u2028c\n".encode())
    assert read(file) == [Record(str(file), "a\r\nb\u2028c\n", str(file))]


def test_read_text_by_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffa\r\n\nb\u2028c\n".encode())
    assert [(r.id, r.text, r.line) for r in read(file, lines=True)] == [
        (f"{file}:1", "a", 1),
        (f"{file}:2", "", 2),
        (f"{file}:3", "b\u2028c", 3),
    ]


def test_read_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert [r.text for r in read(tmp_path / "a.txt")] == [""]


def test_read_jsonl(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [{"id": "x", "text": "a", "year": 2024, "tags": ["b"]}, {"text": ""}, {"id": 7, "text": "c"}]
    file.write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [(r.id, r.text, r.meta) for r in read(file)] == [
        ("x", "a", {"year": 2024, "tags": ["b"]}),
        (f"{file}:3", "", {}),
        ("7", "c", {}),
    ]


def test_read_jsonl_other_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"key": "k", "body": "b", "text": "t"}\n{"body": "b"}\n', encoding="utf-8")
    problems = Problems()
    (record,) = read(file, problems, text_column="body", id_column="key")
    assert (record.id, record.text, record.meta) == ("k", "b", {"text": "t"})
    assert problems == [f"{file}:2: field 'key' is missing: choose the id with --id-column"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "a"', "not JSON"),
        (b'["text"]', "a JSON object is expected"),
        (b'{"body": "a"}', "field 'text' is missing"),
        (b'{"text": 5}', "field 'text' is 5, not a string"),
        (b'{"text": "\xff"}', "not UTF-8: byte 0xff"),
        (b'{"text": "\\ud800"}', "half a surrogate pair"),
        (b"[" * 100_000, "JSON beyond what can be read"),
        (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "JSON beyond what can be read"),
    ],
)
def test_read_jsonl_goes_on_behind_a_bad_line(tmp_path: Path, line: bytes, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "one"}\n' + line + b'\n{"text": "two"}\n')
    problems = Problems()
    assert [r.text for r in read(file, problems)] == ["one", "two"]
    (problem,) = problems
    assert problem.startswith(f"{file}:2: ")
    assert message in problem


def test_read_csv(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    long = "x" * 200_000
    with file.open("w", encoding="utf-8-sig", newline="") as handle:
        csv.writer(handle).writerows([["id", "text", "year"], ["1", "a\nb", "2024"], [], ["2", long, ""]])
    before = csv.field_size_limit()
    assert [(r.id, r.text, r.line, r.meta) for r in read(file)] == [
        ("1", "a\nb", 2, {"year": "2024"}),
        ("2", long, 5, {"year": ""}),
    ]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"2,b,c", "3 fields under a header of 2"),
        (b"2", "1 fields under a header of 2"),
        (b"2,\xe9t\xe9", "not UTF-8: byte 0xe9"),
        (b'2,"b" x', "malformed CSV"),
    ],
)
def test_read_csv_goes_on_behind_a_bad_row(tmp_path: Path, row: bytes, message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"id,text\n1,one\n" + row + b"\n3,three\n")
    problems = Problems()
    assert [r.text for r in read(file, problems)] == ["one", "three"]
    (problem,) = problems
    assert problem.startswith(f"{file}:3: ")
    assert message in problem


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("", {}, "no header row"),
        ("id,body\n", {}, "no column 'text': choose one of 'id', 'body' with --text-column"),
        ("id,text\n", {"id_column": "key"}, "no column 'key'"),
        ("a,text,a\n", {}, "column 'a' stands twice"),
        ('id,text\n1,"open', {}, "malformed CSV"),
    ],
)
def test_read_csv_header(tmp_path: Path, header: str, options: dict[str, str], message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(header, encoding="utf-8")
    problems = Problems()
    assert read(file, problems, **options) == []
    assert len(problems) == 1
    assert message in problems[0]


def test_read_folder_sorted_and_recursive(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub/b.TXT", "sub/a.txt", "c.csv", "d.md", "out.jsonl"):
        (tmp_path / name).write_text("text\nx\n", encoding="utf-8")
    problems = Problems()
    records = list(Inputs([str(tmp_path)], ReadOptions(), problems, skip=tmp_path / "out.jsonl"))
    assert [r.path.removeprefix(f"{tmp_path}{os.sep}") for r in records] == [
        "c.csv",
        str(Path("sub", "a.txt")),
        str(Path("sub", "b.TXT")),
    ]
    assert not problems
    only = list(Inputs([str(tmp_path)], ReadOptions(input_format=InputFormat.CSV), problems))
    assert [r.text for r in only] == ["x"]


def test_read_reports_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.txt").write_bytes(b"fine\nna\xefve\n")
    (tmp_path / "good.txt").write_text("good", encoding="utf-8")
    (tmp_path / "a.md").write_text("# md", encoding="utf-8")
    paths = [str(tmp_path / name) for name in ("missing.txt", "empty", "bad.txt", "a.md", "good.txt")]
    problems = Problems()
    inputs = Inputs(paths, ReadOptions(), problems)
    assert [r.text for r in inputs] == ["good"]
    assert [p.removeprefix(f"{tmp_path}{os.sep}") for p in problems] == [
        "empty: no file with suffix .txt, .jsonl, .csv in this folder",
        "missing.txt: cannot be read: No such file or directory",
        "bad.txt:2: not UTF-8: byte 0xef; save the file as UTF-8",
        "a.md: is neither of .txt, .jsonl, .csv: say what it is with --input-format",
    ]
    assert [r.text for r in Inputs(paths[3:], ReadOptions(InputFormat.TXT), problems)] == ["# md", "good"]


def test_read_refuses_what_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drugpolicy_ner.reading.LONGEST", 10)
    problems = Problems()
    for name, content in {"a.txt": "x" * 50, "b.txt": "x" * 11, "c.jsonl": '{"text": "xxxxxxxxxxx"}'}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert read(tmp_path, problems) == []
    assert len(problems) == 3
    assert all("a document of more than 10 characters" in problem for problem in problems)


def test_inputs_know_how_far_they_are(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv", "c.txt"):
        (tmp_path / name).write_text("text\nx\n" if name == "b.csv" else '{"text": "a"}\n', encoding="utf-8")
    inputs = Inputs([str(tmp_path)], ReadOptions(), Problems())
    positions = [inputs.position for _ in inputs]
    assert positions == sorted(positions)
    assert positions[-1] == inputs.total == sum(f.stat().st_size for f in tmp_path.iterdir())
    assert Inputs(["-"], ReadOptions(), Problems()).total is None


@given(rows=st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text(), max_size=3)))
@settings(max_examples=50, deadline=None)
def test_read_jsonl_round_trips(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> None:
    file = tmp_path_factory.mktemp("rows") / "a.jsonl"
    rows = [{**row, "id": str(i), "text": f"text {i}"} for i, row in enumerate(rows)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert [{"id": r.id, "text": r.text, **r.meta} for r in read(file)] == rows


@given(raw=st.binary(max_size=200), form=st.sampled_from(InputFormat), lines=st.booleans())
@settings(max_examples=200, deadline=None)
def test_read_never_raises(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, form: InputFormat, lines: bool
) -> None:
    file = tmp_path_factory.mktemp("raw") / "a"
    file.write_bytes(raw)
    read(file, input_format=form, lines=lines)


# tagging


def records(*texts: str) -> list[Record]:
    return [Record(f"d{i}", text, "in.txt", i + 1) for i, text in enumerate(texts)]


def ents(doc: Doc) -> list[tuple[str, str, str, str]]:
    return [(ent.text, ent.label_, ent.kb_id_, ent.id_) for ent in doc.ents]


@pytest.mark.parametrize("n_process", [1, 2])
def test_tag_keeps_order_and_reports_what_fails(nlp: Language, n_process: int) -> None:
    texts = [f"The DEA seized 40 kg of fentanyl {i}." if i % 7 else f"EXPLODE {i}" for i in range(50)]
    problems = Problems()
    stream = tag_records(nlp, records(*texts, ""), problems, batch_size=4, n_process=n_process)
    found = [(record.id, doc.text, ents(doc)) for record, doc in stream]
    assert [id_ for id_, _, _ in found] == [f"d{i}" for i in range(51) if i % 7 or i == 50]
    assert all(
        doc_ents == [(text, *SURFACES[text]) for text in ("DEA", "seized", "40 kg", "fentanyl")]
        for *_, doc_ents in found[:-1]
    )
    assert found[-1] == ("d50", "", [])
    failed = [i for i in range(50) if i % 7 == 0]
    assert [problem.split(":")[1] for problem in problems] == [f"{i + 1} [d{i}]" for i in failed]
    assert all("the pipeline failed on this document: " in p and "boom" in p for p in problems)


def test_tag_empty_document(nlp: Language) -> None:
    assert [(r.id, ents(d)) for r, d in tag_records(nlp, records(""), Problems())] == [("d0", [])]


def test_tag_keeps_chosen_labels(nlp: Language) -> None:
    chosen = choose_labels(["SUBSTANCE,QUANTITY", "POLICY_VERB"])
    ((_, doc),) = tag_records(nlp, records("The DEA seized 40 kg of fentanyl"), Problems(), labels=chosen)
    assert ents(doc) == [(text, *SURFACES[text]) for text in ("seized", "40 kg", "fentanyl")]


def test_tag_long_document_in_pieces(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "_PIECE_CHARACTERS", 100)
    text = "The DEA  seized it.\n\nA  word. " * 60 + "x" * 300 + " fentanyl" + "\n" * 250
    ((_, doc),) = tag_records(nlp, records(text), Problems())
    assert doc.text == text
    assert [text[e.start_char : e.end_char] for e in doc.ents] == ["DEA", "seized"] * 60 + ["fentanyl"]
    assert {ent[1:] for ent in ents(doc)} == {SURFACES[text] for text in ("DEA", "seized", "fentanyl")}


@given(text=st.text(st.sampled_from("a .\n\u00e9"), max_size=300), size=st.integers(1, 40))
def test_pieces_make_the_whole(text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tagging, "_PIECE_CHARACTERS", size)
        pieces = list(tagging._pieces(text))
    assert "".join(pieces) == text
    assert all(len(piece) <= size for piece in pieces)


@pytest.mark.parametrize("n_process", [1, 2])
def test_tag_forgets_new_words(nlp: Language, monkeypatch: pytest.MonkeyPatch, n_process: int) -> None:
    monkeypatch.setattr(tagging, "_VOCABULARY", 500)
    start = len(nlp.vocab.strings)
    rng = random.Random(n_process)  # the pipeline is shared: words of one case are not new in the other
    source = (Record(str(i), " ".join(f"w{rng.random()}" for _ in range(50)) + " fentanyl") for i in range(400))
    for _, doc in tag_records(nlp, source, Problems(), batch_size=8, n_process=n_process):
        assert ents(doc) == [("fentanyl", *SURFACES["fentanyl"])]
    assert len(nlp.vocab.strings) < start + 500 + 8 * 200


def test_tag_reads_no_further_than_it_must(nlp: Language) -> None:
    asked = 0

    def source() -> Iterator[Record]:
        nonlocal asked
        while True:
            asked += 1
            yield Record("x", "fentanyl")

    stream = tag_records(nlp, source(), Problems(), batch_size=4)
    next(stream)
    stream.close()
    assert asked <= 5


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_tag_says_so_when_a_worker_is_killed(nlp: Language) -> None:
    import multiprocessing

    def source() -> Iterator[Record]:
        for i in range(1000):
            if i == 20:
                for process in multiprocessing.active_children():
                    with suppress(ProcessLookupError):
                        os.kill(process.pid or 0, signal.SIGKILL)
            yield Record(str(i), "fentanyl")

    with pytest.raises(WorkerError, match="ended with code -9"):
        list(tag_records(nlp, source(), Problems(), batch_size=2, n_process=2))
    assert not multiprocessing.active_children()


def test_choose_labels_suggests() -> None:
    with pytest.raises(UsageError, match="unknown label 'substances': did you mean SUBSTANCE"):
        choose_labels(["INSTITUTION,substances"])
    with pytest.raises(UsageError, match="use one of CONTROL_STATUS, CRIMINAL_ORG"):
        choose_labels(["zzz"])
    with pytest.raises(UsageError, match="names no label"):
        choose_labels([","])


def test_choose_labels_knows_those_of_another_pipeline() -> None:
    other = spacy.blank("en")
    other.add_pipe("entity_ruler").add_patterns([{"label": "GPE", "pattern": "Peru"}])  # type: ignore[attr-defined]
    assert choose_labels(["GPE, SUBSTANCE"], other) == {"GPE", "SUBSTANCE"}


def test_load_pipeline_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be loaded"):
        tagging.load_pipeline(str(tmp_path / "none"))


# writing

NASTY = Record(
    "<id>&\"'", 'DEA "seized" <script>alert(1)</script>\r\n40 kg, of\nfentanyl & \x00 é\u2028\n', meta={"a": "\ud800"}
)


def test_entity_takes_the_class_of_a_verb_for_its_action(nlp: Language) -> None:
    doc = nlp("DEA seized 40 kg")
    assert [Entity.of(ent) for ent in doc.ents] == [
        Entity(0, 3, "DEA", "INSTITUTION", "DP:dea", None, "ner"),
        Entity(4, 10, "seized", "POLICY_VERB", None, "ENFORCE", "ner"),
        Entity(11, 16, "40 kg", "QUANTITY", None, None, "form"),
    ]


def test_write_jsonl(nlp: Language) -> None:
    (line, end) = written(nlp, OutputFormat.JSONL, NASTY).split(b"\n")
    row = json.loads(line)
    assert end == b""
    assert (row["id"], row["text"], row["meta"]) == (NASTY.id, NASTY.text, {"a": "\ud800"})
    assert row["ents"][0] == {
        "start": 0,
        "end": 3,
        "text": "DEA",
        "label": "INSTITUTION",
        "concept": "DP:dea",
        "source": "ner",
    }
    assert row["ents"][1] == {
        "start": 5,
        "end": 11,
        "text": "seized",
        "label": "POLICY_VERB",
        "concept": None,
        "source": "ner",
        "action": "ENFORCE",
    }
    assert all(NASTY.text[e["start"] : e["end"]] == e["text"] for e in row["ents"])


def test_write_csv(nlp: Language) -> None:
    text = written(nlp, OutputFormat.CSV, NASTY, Record("=1+1\rx,", "fentanyl"), Record("none", "")).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [tuple(row.values()) for row in rows] == [
        (NASTY.id, "0", "3", "DEA", "INSTITUTION", "DP:dea", "", "ner"),
        (NASTY.id, "5", "11", "seized", "POLICY_VERB", "", "ENFORCE", "ner"),
        (NASTY.id, "40", "45", "40 kg", "QUANTITY", "", "", "form"),
        (NASTY.id, "50", "58", "fentanyl", "SUBSTANCE", "DP:fentanyl", "", "gazetteer"),
        ("=1+1\rx,", "0", "8", "fentanyl", "SUBSTANCE", "DP:fentanyl", "", "gazetteer"),
    ]
    assert written(nlp, OutputFormat.CSV) == b"id,start,end,text,label,concept,action,source\r\n"


def test_write_docbin(nlp: Language) -> None:
    data = written(nlp, OutputFormat.DOCBIN, NASTY, Record("b", ""), Record("c", "DEA fentanyl"))
    docs = list(DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab))
    assert [doc.text for doc in docs] == [NASTY.text, "", "DEA fentanyl"]
    assert [ents(doc) for doc in docs] == [
        [(text, *SURFACES[text]) for text in ("DEA", "seized", "40 kg", "fentanyl")],
        [],
        [(text, *SURFACES[text]) for text in ("DEA", "fentanyl")],
    ]
    assert all(not doc.user_data for doc in docs)
    assert list(DocBin().from_bytes(written(nlp, OutputFormat.DOCBIN)).get_docs(spacy.blank("en").vocab)) == []


class Page(HTMLParser):
    """Collects what a reader of the page gets."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.marks: list[dict[str, str | None]] = []
        self.paragraphs: list[str] = []
        self.headings: list[str] = []
        self.legend = ""
        self.feed(data.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "mark" and "nav" not in self.open:
            self.marks.append(dict(attrs))
        if tag == "p":
            self.paragraphs.append("")
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "p" in self.open:
            self.paragraphs[-1] += data
        elif "h2" in self.open:
            self.headings[-1] += data
        elif "nav" in self.open:
            self.legend += data


def test_write_html(nlp: Language) -> None:
    page = Page(written(nlp, OutputFormat.HTML, NASTY, Record("b", "seized seized")))
    assert page.headings == [NASTY.id, "b"]
    assert page.paragraphs == [NASTY.text.replace("\x00", "\ufffd"), "seized seized"]
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.open == []
    assert " ".join(page.legend.split()) == "SUBSTANCE 1 INSTITUTION 1 QUANTITY 1 POLICY_VERB 3"
    assert page.marks[0]["class"] == "INSTITUTION"
    assert (page.marks[2]["title"] or "").split("\n") == ["QUANTITY", "source: form"]


def test_write_html_label_of_another_pipeline() -> None:
    doc = spacy.blank("en")("Peru")
    doc.set_ents([Span(doc, 0, 1, '"><script>', kb_id="<b>")])
    stream = io.BytesIO()
    with open_writer(OutputFormat.HTML, Output(stream, "test")) as writer:
        writer.write(Record("a", "Peru"), doc)
    page = Page(stream.getvalue())
    assert "script" not in page.tags
    assert page.marks == [{"data-label": '"><script>', "title": '"><script>\n<b>'}]


def test_describe_names_concept_and_controls() -> None:
    lines = describe(Entity(0, 8, "fentanyl", "SUBSTANCE", "DP:fentanyl", None, "gazetteer")).split("\n")
    assert lines[0] == "SUBSTANCE"
    assert lines[1].startswith("fentanyl (DP:fentanyl)")
    assert any(part.startswith("US") for part in lines[2].split("; "))
    assert lines[-1] == "source: gazetteer"
    verb = describe(Entity(0, 6, "seized", "POLICY_VERB", None, "ENFORCE", "ner"))
    assert "ENFORCE: Act against the trade" in verb


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_colours_fit_the_labels_and_can_be_read() -> None:
    assert tuple(COLOURS) == LABELS
    assert len(set(COLOURS.values())) == len(LABELS)
    assert all((luminance(c) + 0.05) / (luminance(INK) + 0.05) >= 7 for c in (*COLOURS.values(), OTHER_COLOUR))


def test_write_text(nlp: Language) -> None:
    text = written(
        nlp, OutputFormat.TEXT, Record("a\x1b[31m", "The DEA seized\r\n\x1b]0;x\x07 [b] 40 kg [/b] :smile:")
    ).decode()
    assert "The [DEA INSTITUTION] [seized ENFORCE]\n\ufffd]0;x\ufffd [b] [40 kg QUANTITY] [/b] :smile:\n" in text
    assert "3 entities in 1 document" in text
    assert "\x1b" not in text
    assert "DEA (1)" in text


def test_write_text_counts_within_bounds(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drugpolicy_ner.writing._SURFACES", 1)
    assert "fentanyl (3)" in written(nlp, OutputFormat.TEXT, Record("a", "fentanyl fentanyl fentanyl")).decode()


@pytest.mark.parametrize(
    ("asked", "path", "terminal", "chosen"),
    [
        (None, None, True, "text"),
        (None, None, False, "jsonl"),
        (None, "a", True, "jsonl"),
        (None, "a.HTML", True, "html"),
        (None, "a.spacy", False, "docbin"),
        ("csv", "a.csv", False, "csv"),
        ("text", "a.txt", False, "text"),
    ],
)
def test_choose_format(asked: str | None, path: str | None, terminal: bool, chosen: str) -> None:
    form = choose_format(OutputFormat(asked) if asked else None, Path(path) if path else None, terminal=terminal)
    assert form.value == chosen


def test_choose_format_refuses_contradictions() -> None:
    with pytest.raises(UsageError, match=r"a\.html: its suffix means html, --format says csv"):
        choose_format(OutputFormat.CSV, Path("a.html"), terminal=False)
    with pytest.raises(UsageError, match="name a file with --output"):
        choose_format(OutputFormat.DOCBIN, None, terminal=False)


# output


def test_output_file_appears_whole(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o640)
    with open_output(file) as output:
        output.write("new")
        assert file.read_text(encoding="utf-8") == "old"
    assert file.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_output_file_disappears_on_failure(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(output: Output) -> None:
        output.write("half")
        raise error

    with pytest.raises(error), open_output(tmp_path / "out") as output:
        fail(output)
    assert list(tmp_path.iterdir()) == []


def test_output_goes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with open_output(tmp_path / "link") as output:
        output.write("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "is a folder: name a file"),
        (lambda folder: folder / "none" / "out", "there is no folder"),
        (lambda folder: folder / "locked" / "out", "cannot be written: Permission denied"),
    ],
)
def test_output_refuses(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    if "Permission" in message and getattr(os, "geteuid", int)() == 0:
        pytest.skip("root may write everywhere")
    with pytest.raises(OutputError, match=message), open_output(make(tmp_path)):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_says_when_the_disk_is_full() -> None:
    with (
        pytest.raises(OutputError, match="/dev/full: cannot be written: No space left"),
        open_output(Path("/dev/full")) as output,
    ):
        output.write("x" * 100_000)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_output_tells_a_closed_pipe_apart() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as stream, pytest.raises(OutputClosed):
        Output(stream, "pipe").write("x")
