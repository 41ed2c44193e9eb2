from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drugpolicy_ner.corpus import Document, Span, read_marked, read_marked_path, write_marked
from drugpolicy_ner.errors import DataError
from drugpolicy_ner.labels import ACTIONS, LABELS

HEAD = "=== a\ngenre: x\n\n"


@st.composite
def documents(draw, doc_id="a"):
    parts = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=7))
    spans, cursor = [], 0
    for part in parts:
        if draw(st.booleans()) and part and part == part.strip():
            label = draw(st.sampled_from(LABELS))
            action = draw(st.sampled_from(ACTIONS)) if label == "POLICY_VERB" else ""
            spans.append(Span(cursor, cursor + len(part), label, action))
        cursor += len(part)
    return Document(doc_id, "".join(parts), tuple(spans), {"genre": draw(st.sampled_from(["", "bill", "a: b"]))})


@given(documents(), documents("b"))
def test_marked_round_trip(tmp_path_factory, first, second):
    path = tmp_path_factory.mktemp("marked") / "x.txt"
    path.write_bytes(write_marked([first, second]).encode())
    assert list(read_marked(path)) == [first, second]


def test_marked_reads_marks_and_escapes(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(
        HEAD + r"{{DEA|INSTITUTION}} \{put\} {{crack down|POLICY_VERB:ENFORCE}}\n\\" + "\n\n", encoding="utf-8"
    )
    (doc,) = read_marked(path)
    assert doc.text == "DEA {put} crack down\n\\"
    assert doc.spans == (Span(0, 3, "INSTITUTION"), Span(10, 20, "POLICY_VERB", "ENFORCE"))
    assert doc.meta == {"genre": "x"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("hello\n" + HEAD, 1, "before the first"),
        ("===\ngenre: x\n\ntext", 1, "needs an id"),
        ("=== a\nGenre x\n\ntext", 2, "expected 'key: value'"),
        ("=== a\ngenre: x\ngenre: y\n\ntext", 3, "stands twice"),
        (HEAD + "one\n{{DEA|INSTITUTION", 5, "never closed"),
        (HEAD + "{{DEA {{x|SUBSTANCE}}|INSTITUTION}}", 4, "do not nest"),
        (HEAD + "a }} b", 4, "without"),
        (HEAD + "{{DEA}}", 4, "needs a label"),
        (HEAD + "{{DEA|AGENCY}}", 1, "unknown label 'AGENCY'"),
        (HEAD + "{{ban|POLICY_VERB}}", 1, "needs an action class"),
        (HEAD + "{{ban|POLICY_VERB:FORBID}}", 1, "needs an action class"),
        (HEAD + "{{DEA|INSTITUTION:CONTROL}}", 1, "takes no action class"),
        (HEAD + "{{ DEA|INSTITUTION}}", 1, "white space"),
        (HEAD + "{{|INSTITUTION}}", 1, "outside the text"),
        (HEAD + "text \\", 4, "backslash at the end"),
        (HEAD + "x\n" + HEAD + "y", 5, "id used before, in line 1"),
    ],
)
def test_marked_errors_name_file_and_line(tmp_path, text, line, message):
    path = tmp_path / "x.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        list(read_marked(path))
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_marked_bytes_that_are_not_utf8_name_their_line(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(HEAD.encode() + b"caf\xe9")
    with pytest.raises(DataError, match="0xe9") as caught:
        list(read_marked(path))
    assert caught.value.line == 4


def test_marked_folder_errors(tmp_path):
    with pytest.raises(DataError, match="this folder"):
        list(read_marked_path(tmp_path))
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(HEAD + "text", encoding="utf-8")
    with pytest.raises(DataError, match="id used before"):
        list(read_marked_path(tmp_path))


@pytest.mark.parametrize(("doc_id", "meta"), [("", {}), ("a", {"": "x"})])
def test_marked_writer_refuses_a_header_it_cannot_hold(doc_id, meta):
    with pytest.raises(DataError, match="header cannot hold"):
        write_marked([Document(doc_id, "text", (), meta)])


_ODD = st.text("=\\:{}| \t\r\n\x0b\x0c\x1c\x85\u2028\xa0\ufeffans", max_size=6)


@given(_ODD.filter(bool), st.dictionaries(_ODD.filter(bool), _ODD))
def test_marked_header_holds_any_id_and_field(tmp_path_factory, doc_id, meta):
    doc = Document(doc_id, "text", (), meta)
    path = tmp_path_factory.mktemp("marked") / "x.txt"
    path.write_bytes(write_marked([doc]).encode())
    assert list(read_marked(path)) == [doc]


def test_marked_byte_order_mark_and_carriage_returns_are_no_text(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xef\xbb\xbf=== a\r\ngenre: x\r\n\r\none\r\ntwo\r\n")
    assert list(read_marked(path)) == [Document("a", "one\ntwo", (), {"genre": "x"})]


@given(st.lists(st.tuples(st.text("=\\{}|: \t\r\n\x0b\x0c\x1c\x85\u2028\xa0\ufeffans", max_size=8), st.booleans())))
def test_marked_round_trip_of_what_the_format_uses_itself(tmp_path_factory, parts):
    spans, cursor = [], 0
    for part, wanted in parts:
        if wanted and part and part == part.strip():
            spans.append(Span(cursor, cursor + len(part), "SUBSTANCE"))
        cursor += len(part)
    doc = Document("a", "".join(part for part, _ in parts), tuple(spans))
    path = tmp_path_factory.mktemp("marked") / "x.txt"
    path.write_bytes(write_marked([doc]).encode())
    assert list(read_marked(path)) == [doc]


def test_document_overlap_is_refused():
    with pytest.raises(DataError, match="overlaps"):
        Document("a", "abc", (Span(0, 2, "SUBSTANCE"), Span(1, 3, "SUBSTANCE"))).check()


def test_labels_of_another_scheme_are_read_on_request(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("=== a\n\n{{Aspen House|SHELTER}} {{opened|POLICY_VERB}} in May.\n", encoding="utf-8")
    with pytest.raises(DataError, match="unknown label 'SHELTER'"):
        list(read_marked(path))
    (doc,) = read_marked(path, scheme=False)
    assert [(span.label, span.action) for span in doc.spans] == [("SHELTER", ""), ("POLICY_VERB", "")]
    assert write_marked([doc], scheme=False) == path.read_text(encoding="utf-8")
    path.write_text("=== a\n\n{{x|A B}}\n", encoding="utf-8")
    with pytest.raises(DataError, match="a label is one word"):
        list(read_marked(path, scheme=False))
