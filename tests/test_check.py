"""The checks one by one, and `data check` on files of several formats."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner, Result

from drugpolicy_ner.checking import KINDS
from drugpolicy_ner.cli import app
from drugpolicy_ner.corpus import Document, Span
from drugpolicy_ner.corpus.check import (
    align,
    check_actions,
    check_alignment,
    check_duplicates,
    check_empty,
    check_labels,
    check_leakage,
    check_openings,
    check_overlap,
    check_repetition,
    check_surfaces,
    check_unmarked,
)
from drugpolicy_ner.errors import AlignmentError
from drugpolicy_ner.tokenizer import build_tokenizer

TOKENIZER = build_tokenizer(spacy.blank("en"))
PHRASE = "the minister said that nobody had asked for it"
LONG = "For further details please contact the press office"


def test_check_align_sets_entities_with_their_action():
    doc = align(Document("a", "DEA banned it", (Span(4, 10, "POLICY_VERB", "CONTROL"),)), TOKENIZER)
    assert [(ent.text, ent.label_, ent.kb_id_) for ent in doc.ents] == [("banned", "POLICY_VERB", "CONTROL")]


def test_check_align_misaligned_span_is_an_error_with_id_and_text():
    document = Document("doc-7", "methamphetamine", (Span(0, 4, "SUBSTANCE"),))
    with pytest.raises(AlignmentError, match=r"doc-7.*'meth'.*methamphetamine"):
        align(document, TOKENIZER)
    (finding,) = check_alignment([document], TOKENIZER)
    assert (finding.doc_id, finding.error) == ("doc-7", True)


def test_check_alignment_finds_nothing_in_what_aligns():
    document = Document("a", "2C-B's maker", (Span(0, 4, "SUBSTANCE"),))
    assert list(check_alignment([document, Document("b", "")], TOKENIZER)) == []


def test_check_unmarked_leaves_out_common_words():
    text = "They ban it, a ban of 5 kg and 5 kg"
    spans = (Span(5, 8, "POLICY_VERB", "CONTROL"), Span(22, 26, "QUANTITY"))
    assert list(check_unmarked([Document("a", text, spans)])) == []
    assert {finding.kind for finding in check_unmarked([Document("a", text, spans)], ignore=())} == {"unmarked"}


def test_check_unmarked_lists_a_name_that_stands_unmarked_elsewhere():
    text = "DEA said so, and DEA agents left"
    (finding,) = check_unmarked([Document("a", text, (Span(0, 3, "INSTITUTION"),))])
    assert "'DEA'" in finding.message
    assert not finding.error
    assert not list(check_unmarked([Document("a", "DEA and DEAX", (Span(0, 3, "INSTITUTION"),))]))


def test_check_repetition_finds_shared_sequences_and_near_duplicates():
    four = [Document(str(i), f"{PHRASE} {f'word{i} ' * 30}") for i in range(4)]
    assert {finding.kind for finding in check_repetition(four)} == {"repeated"}
    assert not list(check_repetition(four[:3]))
    assert {finding.kind for finding in check_repetition([Document("a", PHRASE), Document("b", PHRASE)])} == {
        "near-duplicate"
    }


def test_check_repetition_allows_a_long_name_to_recur():
    name = "Advisory Council on the Misuse of Drugs and Alcohol"
    docs = [Document(str(i), f"{i} {name} {i}", (Span(2, 2 + len(name), "INSTITUTION"),)) for i in range(4)]
    assert not list(check_repetition(docs))


def test_check_openings_lists_an_opening_of_many():
    docs = [Document(str(i), f"The ministry said {i}") for i in range(5)]
    assert len(list(check_openings(docs))) == 1
    assert not list(check_openings(docs[:4]))


def marked(doc_id, text, *spans):
    """Return a document in which words are marked, each where it first stands."""
    return Document(
        doc_id, text, tuple(Span(text.index(word), text.index(word) + len(word), label) for word, label in spans)
    )


def test_check_alignment_names_every_span():
    document = Document("a", "methamphetamine, oxycodone", (Span(0, 4, "X"), Span(17, 20, "X")))
    assert [finding.message[:12] for finding in check_alignment([document], TOKENIZER)] == [
        "span 'meth' ",
        "span 'oxy' d",
    ]


def test_check_overlap_sees_through_a_short_span_in_a_long_one():
    spans = (Span(0, 20, "A"), Span(2, 4, "B"), Span(6, 8, "C"), Span(20, 22, "D"), Span(20, 22, "D"))
    document = Document("a", "abcdefghijklmnopqrstuvwxyz", spans)
    assert len(list(check_overlap(document))) == 2
    assert len(list(check_overlap(Document("a", "ab", (Span(0, 1, "A"), Span(0, 1, "B")))))) == 1


def test_check_repetition_names_what_recurs_once():
    documents = [Document(str(i), f"{PHRASE} again {f'word{i} ' * 40}") for i in range(5)]
    (finding,) = check_repetition(documents)
    assert finding.message == "'minister said that nobody had asked for it' and 2 more sequences stand in 5 passages"
    assert not finding.error


def test_check_repetition_finds_a_template_in_very_many_documents():
    documents = [Document(str(i), f"{PHRASE} on the {i}th") for i in range(120)]
    pairs = [finding for finding in check_repetition(documents) if finding.kind == "near-duplicate"]
    assert {finding.doc_id for finding in pairs} == {str(i) for i in range(119)}


def test_check_empty():
    blank, plain, full = Document("a", " \n"), Document("b", "text"), marked("c", "text", ("text", "X"))
    assert [(f.doc_id, f.error) for f in check_empty([blank, plain, full])] == [("a", True), ("b", False)]
    assert [(f.doc_id, f.error) for f in check_empty([plain])] == [("b", True)]
    assert list(check_empty([full])) == []


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("SUBSTANCES", "did you mean SUBSTANCE?"),
        ("institution", "did you mean INSTITUTION?"),
        ("VEHICLE", "use one of"),
    ],
)
def test_check_labels_of_the_scheme(label, hint):
    documents = [marked(str(i), "a car", ("car", label)) for i in range(3)]
    (finding,) = check_labels(documents, scheme=True)
    assert finding.error
    assert f"unknown label {label!r} on 'car' (3 spans in all): {hint}" in finding.message


def test_check_labels_of_any_scheme():
    frequent = [marked(str(i), "a car and a bus", ("car", "VEHICLE"), ("bus", "LINE")) for i in range(5)]
    (finding,) = check_labels([*frequent, marked("x", "a van", ("van", "Vehicel"))], scheme=False)
    assert (finding.doc_id, finding.error) == ("x", False)
    assert "'Vehicel' on 'van' (1 span in all) looks like VEHICLE (5)" in finding.message
    assert list(check_labels([*frequent[:4], marked("x", "a van", ("van", "VEHICLE_2"))], scheme=False)) == []
    (finding,) = check_labels([marked("x", "a van", ("van", "PRECURSORS"))], scheme=False)
    assert "looks like PRECURSOR" in finding.message


def test_check_actions():
    document = marked("a", "they banned and freed it", ("banned", "POLICY_VERB"), ("freed", "POLICY_VERB"))
    (finding,) = check_actions([document], scheme=True)
    assert finding.error
    assert "POLICY_VERB 'banned', 'freed' needs an action class of LEGISLATE" in finding.message
    (finding,) = check_actions([document], scheme=False)
    assert (finding.error, finding.message) == (False, "2 POLICY_VERB spans without an action class (a)")
    done = Document("a", "banned", (Span(0, 6, "POLICY_VERB", "CONTROL"),))
    assert list(check_actions([done], scheme=True)) == []


def test_check_duplicates():
    spans = (Span(4, 12, "X"),)
    documents = [
        Document("a", PHRASE),
        Document("b", PHRASE.upper() + "."),
        Document("c", PHRASE, spans),
        Document("d", "Thank you."),
        Document("e", "Thank you!"),
    ]
    found = [(finding.doc_id, finding.message, finding.error) for finding in check_duplicates(documents)]
    assert found == [
        ("b", "same text as a: remove one", True),
        ("c", "same text as a, with other spans: remove one", True),
        ("e", "same text as d: remove one", False),
    ]


def test_check_surfaces_under_several_labels():
    documents = [
        marked("a", "speed", ("speed", "X")),
        marked("b", "speed", ("speed", "X")),
        marked("c", "speed", ("speed", "Y")),
    ]
    (finding,) = check_surfaces(documents)
    assert (finding.kind, finding.doc_id) == ("labels", "c")
    assert finding.message == "'speed' has several labels: X 2 (a, b), Y 1 (c)"


def test_check_surfaces_marked_here_and_not_there():
    documents = [
        marked("a", "The Drug Squad left", ("Drug Squad", "INSTITUTION")),
        marked("b", "The Drug Squad left", ("Drug Squad", "INSTITUTION")),
        Document("c", "Then the Drug\nSquad came, the Drug Squad"),
        Document("d", "a Drug Squadron, a MegaDrug Squad"),
        marked("e", "The Drug Squad of Kent left", ("Drug Squad of Kent", "INSTITUTION")),
        marked("f", "No ban", ("ban", "POLICY_VERB")),
        Document("g", "a ban"),
    ]
    (finding,) = check_surfaces(documents)
    assert (finding.kind, finding.doc_id, finding.error) == ("surface", "c", False)
    assert finding.message.startswith("'Drug Squad' (INSTITUTION) is marked in 2 and unmarked in 1 documents (c): ")


def test_check_surfaces_takes_the_longest_name():
    documents = [
        marked("a", "cocaine base", ("cocaine base", "X")),
        marked("b", "cocaine", ("cocaine", "X")),
        Document("c", "cocaine base"),
    ]
    assert [finding.message.split(" (")[0] for finding in check_surfaces(documents)] == ["'cocaine base'"]


def test_check_leakage():
    others = [Document("a", f"{PHRASE} at all"), Document("b", f"{LONG} {' '.join(f'w{i}' for i in range(60))}")]
    documents = [
        Document("a", "something else altogether"),
        Document("k", f"{PHRASE.upper()} at all!"),
        Document("l", f"so {PHRASE} at last"),
        Document("m", f"{LONG} {' '.join(f'v{i}' for i in range(60))}"),
        Document("m2", f"{LONG} {' '.join(f'u{i}' for i in range(60))}"),
        Document("n", "something else altogether was said there that day"),
    ]
    found = {finding.doc_id: (finding.error, finding.message) for finding in check_leakage(documents, others)}
    assert found["a"] == (False, "its id is that of a document in the other data")
    assert found["k"] == (True, "same text as a of the other data")
    assert found["l"][0]
    assert "near-duplicate of a of the other data: shares 3 sequences" in found["l"][1]
    assert found["m"] == (
        False,
        "shares 1 sequence with the other data, as 'for further details please contact the press office' in b "
        "(and 1 more document here)",
    )
    assert found.keys() == {"a", "k", "l", "m"}


# the command


def check(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", "check", *map(str, args)], catch_exceptions=False)


def row(doc_id: str, text: str, *spans: tuple[int, int, str]) -> str:
    return json.dumps({"id": doc_id, "text": text, "label": [list(span) for span in spans]}) + "\n"


def test_check_goes_on_behind_a_document_that_cannot_be_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text(
        row("a", "DEA agents", (0, 3, "INSTITUTION"), (0, 10, "INSTITUTION"))
        + row("b", "DEA agents", (0, 3, "INSTITUTE"))
        + row("c", "Customs", (0, 4, "INSTITUTION"))
        + row("c", "Customs and more", (0, 7, "INSTITUTION"))
        + row("e", "", (0, 0, "X Y")),
        encoding="utf-8",
    )
    result = check("rows.jsonl")
    assert (result.exit_code, result.stderr) == (1, "")
    assert [line for line in result.stdout.splitlines() if line.startswith("error")] == [
        "error format: rows.jsonl:2 [b]: unknown label 'INSTITUTE' on 'DEA' (1 span in all): did you mean INSTITUTION? "
        "--no-scheme lets labels of your own through",
        "error format: rows.jsonl:4 [c]: id used before, in rows.jsonl",
        "error format: rows.jsonl:5 [e]: label 'X Y' is not one word without : | { }: "
        "rename it with data convert --map 'X Y=NEW'",
        "error overlap: a: spans 'DEA' (INSTITUTION) and 'DEA agents' (INSTITUTION) overlap: remove one (rows.jsonl:1)",
        "error alignment: c: span 'Cust' does not end at token edges (tokens: ['Customs']): move the span, or teach "
        "the tokenizer (rows.jsonl:3)",
        "error duplicate: b: same text as a, with other spans: remove one (rows.jsonl:2)",
    ]
    assert "4 passages, 8 words, 4 spans" in result.stdout


def test_check_of_a_broken_line_says_that_it_went_no_further(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row("a", "DEA", (0, 3, "INSTITUTION")) + '{"text": "x', encoding="utf-8")
    result = check(path)
    assert result.exit_code == 1
    assert f"error format: {path}:2: not JSON: " in result.stdout
    assert "what follows in this file was not checked" in result.stdout
    assert "1 passages" in result.stdout


def test_check_takes_overlaps_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row("a", "DEA agents", (0, 3, "X"), (0, 10, "X")), encoding="utf-8")
    assert check(path, "--no-scheme").exit_code == 1
    result = check(path, "--no-scheme", "--overlaps", "longest")
    assert result.exit_code == 0
    assert "review reading: overlapping spans left out for a longer one: 1 (first in a)" in result.stdout


def test_check_scheme_or_labels_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row("a", "a red van", (2, 9, "VEHICLE")), encoding="utf-8")
    assert check(path).exit_code == 1
    result = check(path, "--no-scheme")
    assert (result.exit_code, result.stdout) == (0, "1 passages, 3 words, 1 spans\n      1 VEHICLE\n")


def test_check_against_another_split(tmp_path: Path) -> None:
    train, dev = tmp_path / "train.jsonl", tmp_path / "dev.jsonl"
    train.write_text(row("a", f"Then {PHRASE}.", (0, 4, "X")), encoding="utf-8")
    dev.write_text(row("b", f"then {PHRASE}", (0, 4, "X")), encoding="utf-8")
    assert check(train, "--no-scheme").exit_code == 0
    result = check(train, "--no-scheme", "--against", dev)
    assert result.exit_code == 1
    assert f"error leak: a: same text as b of the other data ({train}:1)" in result.stdout
    result = check(train, "--no-scheme", "--against", tmp_path / "none")
    assert result.exit_code == 1
    assert "none: cannot be read: No such file or directory" in result.stdout


def test_check_with_the_tokens_of_a_model(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path / "model")
    path = tmp_path / "rows.jsonl"
    path.write_text(row("a", "It was 2C-B.", (7, 11, "SUBSTANCE")), encoding="utf-8")
    assert check(path).exit_code == 0
    result = check(path, "--model", tmp_path / "model")
    assert result.exit_code == 1
    assert "error alignment: a: span '2C-B'" in result.stdout
    result = check(path, "--model", tmp_path / "none")
    assert result.exit_code == 2
    assert "cannot be loaded" in result.stderr


def test_check_json_is_golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(
        "=== a\n\n{{DEA|INSTITUTION}} seized {{speed|SUBSTANCE}}, said the DEA.\n\n"
        "=== b\n\n{{speed|DRUG}} and the {{drug|SUBSTANCE}}gist.\n\n"
        "=== c\n\nNo {{speed|DRUG_CLASS}}.\n\n=== d\n\nThe DEA left.\n",
        encoding="utf-8",
    )
    result = check("a.txt", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    golden = (root / "tests/golden/check.json").read_text(encoding="utf-8")
    assert json.loads(result.stdout) == json.loads(golden)


class _Page(HTMLParser):
    """Takes a page apart, and fails where tags do not pair."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_check_page_is_whole_and_escaped(tmp_path: Path) -> None:
    path, page = tmp_path / "rows.jsonl", tmp_path / "check.html"
    text = "<script>alert(1)</script>"
    path.write_text(row("<b>", text, (0, 7, "SUBSTANCE"), (0, 8, "<i>")) + row("c", ""), encoding="utf-8")
    result = check(path, "--html", page)
    assert result.exit_code == 1
    shown = _Page(page.read_text(encoding="utf-8"))
    assert not shown.tags & {"script", "i", "img", "link", "a"}
    assert "<script" in "".join(shown.words)
    assert "<b>" in "".join(shown.words)
    assert KINDS["overlap"] + ": 1" in "".join(shown.words)
    assert not any(name.startswith("on") or name in ("src", "href") for name, _ in shown.attributes)


def test_check_page_of_nothing_to_say(tmp_path: Path) -> None:
    path, page = tmp_path / "rows.jsonl", tmp_path / "check.html"
    path.write_text(row("a", "DEA", (0, 3, "INSTITUTION")), encoding="utf-8")
    assert check(path, "--html", page).exit_code == 0
    assert "Nothing was found" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "args", [["--html", "no/such/folder.html"], ["--html", "."], ["--from", "nonsense"], ["--html", "rows.jsonl"]]
)
def test_check_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text(row("a", "DEA", (0, 3, "INSTITUTION")), encoding="utf-8")
    result = check("rows.jsonl", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"", "a.txt: the file is empty"),
        ("a.json", b"[]", "a.json: holds no documents"),
        ("a.jsonl", '{"text": "Straße", "label": []}'.encode("latin-1"), "a.jsonl:1: not UTF-8"),
        ("a.jsonl", b'{"text": "abc", "label": [[0, 9, "X"]]}', "a.jsonl:1 [a:1]: span 0-9"),
    ],
)
def test_check_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    result = check(name, *(["--from", "label-studio"] if name == "a.json" else []))
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith(f"error format: {expected}")


def test_check_format_not_clear(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no annotation here\n", encoding="utf-8")
    result = check(tmp_path / "a.txt")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "its format is not clear: name it with --from" in result.stderr
