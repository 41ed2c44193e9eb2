"""Suggestions of what to annotate next: sentences, doubts, the choice, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from typer.testing import CliRunner, Result

import drugpolicy_ner
from drugpolicy_ner.cli import app
from drugpolicy_ner.corpus import Document, ReadOptions, read_documents
from drugpolicy_ner.errors import DataError
from drugpolicy_ner.reading import Record
from drugpolicy_ner.suggest import Seen, Suggestion, Tally, key_of, suggest
from drugpolicy_ner.uncertainty import doubts
from drugpolicy_ner.units import Unit, cut, sentences

TEXTS = (
    "The DEA seized 40 kilograms of fentanyl in Tucson. It rained in the afternoon and the shops closed early.",
    "Customs at Mombasa reported a new powder called brofentanil-X. The Kandela Brothers gang moved it by boat.",
    "In the U.S. Congress a bill by Sen. Doe would move xylazine to Schedule III under 21 U.S.C. 811. It passed.",
    "N-pyrrolidino metonitazene was found in nine of 31 samples. The ministry banned it on Monday without debate.",
    "Our cat sleeps on the warm stove all day long. Nobody in the house knows why she likes it there.",
)
PLAIN = "Our cat sleeps on the warm stove all day long."


def fail(error: DataError) -> None:
    raise error


def records(texts: Sequence[str]) -> list[Record]:
    return [Record(f"t{i}", text, f"{i}.txt") for i, text in enumerate(texts)]


def shown(suggestions: Sequence[Suggestion]) -> list[str]:
    return [suggestion.document.text for suggestion in suggestions]


@pytest.mark.parametrize(
    "parts",
    [
        ["The police came.", "They left."],
        ["He wrote to Sen. Doe about No. 12 and Sec. 5 of it.", "Nothing came."],
        ["It was sold in the U.S. by Acme Inc. of Ohio.", "Then it stopped."],
        ["They left the U.S.", "The rest stayed."],
        ["Smith et al. v. Doe was settled at 5 p.m. on Dec. 3 in town.", "Who paid?", "Nobody!"],
        ["“Yes.”", "He went.[4]", "She stayed."],
        ["HEADING\n\n", "A text under it."],
        ["Members:", "\n- one thing", "\n- another one", "\n(a) a third."],
        ["23. The Court rose.", "\n24. It sat again."],
        ["They found 2C-B.", "Then they found more."],
        ["The ministry…", "The end."],
    ],
)
def test_sentences(nlp: Language, parts: list[str]) -> None:
    text = parts[0] + "".join(part if part.startswith("\n") else f" {part}" for part in parts[1:])
    assert [span.text for span in sentences(nlp.make_doc(text))] == [part.strip() for part in parts]


def test_sentences_leave_entities_whole(nlp: Language) -> None:
    doc = nlp.make_doc("The Dr. Who Act. It passed.")
    doc.set_ents([doc.char_span(4, 19, label="LEGAL_INSTRUMENT", alignment_mode="expand")])
    assert [span.text for span in sentences(doc)] == ["The Dr. Who Act. It passed."]


@settings(deadline=None)
@given(text=st.text(alphabet="ab.A1 \n(-?“[", max_size=60))
def test_sentences_lose_only_white_space(nlp: Language, text: str) -> None:
    found = sentences(nlp.make_doc(text))
    assert "".join("".join(span.text for span in found).split()) == "".join(text.split())
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_unit_document(nlp: Language) -> None:
    doc = nlp.make_doc("One. Two.")
    assert [span.text for span in cut(doc, Unit.DOCUMENT)] == ["One. Two."]


def test_doubts(nlp: Language) -> None:
    doc = nlp(TEXTS[1])
    found = doubts(nlp, doc)
    assert found.shape == (len(doc),)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.max() > 0.2
    assert doubts(nlp, nlp(PLAIN)).max() < found.max()


def test_doubts_without_tensor(nlp: Language) -> None:
    doc = nlp(TEXTS[1])
    expected = doubts(nlp, doc)
    doc.tensor = doc.tensor[:0].copy()
    assert numpy.allclose(doubts(nlp, doc), expected, atol=1e-5)


def test_doubts_without_ner() -> None:
    blank = spacy.blank("en")
    assert not doubts(blank, blank("The DEA.")).any()
    assert len(doubts(blank, blank(""))) == 0


def test_suggest(nlp: Language) -> None:
    tally = Tally()
    found = suggest(nlp, records(TEXTS), fail, count=4, tally=tally)
    assert len(found) == 4
    assert (tally.documents, tally.units, tally.short) == (5, 10, 1)
    for suggestion in found:
        document = suggestion.document
        document.check()
        number, offset = int(document.meta["source"].removesuffix(".txt")), int(document.meta["offset"])
        assert TEXTS[number][offset : offset + len(document.text)] == document.text
        assert document.id == f"t{number}:{offset}"
    (unknown,) = (suggestion for suggestion in found if "brofentanil" in suggestion.document.text)
    assert "unknown name brofentanil" in unknown.document.meta["why"]
    assert not any("cat" in text or "DEA" in text for text in shown(found))
    assert any(span.label == "SUBSTANCE" for suggestion in found for span in suggestion.document.spans)


def test_suggest_documents(nlp: Language) -> None:
    found = suggest(nlp, records(TEXTS), fail, count=2, unit=Unit.DOCUMENT)
    assert set(shown(found)) < set(TEXTS)
    assert all(suggestion.document.id.startswith("t") and ":" not in suggestion.document.id for suggestion in found)
    assert TEXTS[4] not in shown(found)


def test_suggest_why(nlp: Language) -> None:
    (found,) = suggest(nlp, records(["Police found 4-fluoro-brorphine in a tested sample."]), fail, count=9)
    assert "unknown name 4-fluoro-brorphine" in found.document.meta["why"]
    assert int(found.document.meta["unknown"]) == 1


def test_suggest_action_class(nlp: Language) -> None:
    (found,) = suggest(nlp, records(["The DEA seized 40 kilograms of fentanyl."]), fail, count=1)
    assert "ENFORCE" in {span.action for span in found.document.spans if span.label == "POLICY_VERB"}


def test_suggest_same_texts_once(nlp: Language) -> None:
    texts = [
        "The DEA seized 40 kilograms of fentanyl in Tucson.",
        "The DEA seized 95 kilograms of Fentanyl in Tucson.",
        "The DEA seized 40 kilograms of fentanyl in Tucson yesterday.",
        PLAIN,
    ]
    assert len(suggest(nlp, records(texts), fail, count=9)) == 2


def test_suggest_seen(nlp: Language) -> None:
    tally = Tally()
    seen = Seen([Document("a", f"Before. {TEXTS[1]} Behind.")])
    found = suggest(nlp, records(TEXTS), fail, count=99, seen=seen, tally=tally)
    assert tally.seen == 2
    assert not any("brofentanil" in text or "Kandela" in text for text in shown(found))


def test_seen_needs_most_of_the_words() -> None:
    seen = Seen([Document("a", "one two three four five six seven eight nine ten")])
    assert key_of("Two three, four five six seven!") in seen
    assert key_of("six seven eight nine eleven twelve thirteen fourteen") not in seen
    assert key_of("three four") not in seen
    assert key_of("") not in Seen()


def test_suggest_long_document_in_pieces(nlp: Language) -> None:
    text = "\n\n".join(f"{PLAIN} {'x' * 2000}" for _ in range(30))
    found = suggest(nlp, records([text]), fail, count=9, unit=Unit.DOCUMENT)
    assert len(found) in (1, 2)  # the pieces are alike
    for suggestion in found:
        offset = int(suggestion.document.meta["offset"])
        assert text[offset:].startswith(suggestion.document.text)
        assert len(suggestion.document.text) <= 50_000


def test_suggest_leaves_out_tables(nlp: Language) -> None:
    tally = Tally()
    assert suggest(nlp, records(["fentanyl heroin " * 70]), fail, count=9, tally=tally) == []
    assert tally.long == 1


def test_suggest_ids_are_unique(nlp: Language) -> None:
    same = [Record("a", TEXTS[0], "x.csv", 2), Record("a", TEXTS[1], "x.csv", 3), Record("", TEXTS[2], "/y/z.jsonl", 7)]
    ids = [suggestion.document.id for suggestion in suggest(nlp, same, fail, count=9)]
    assert len(set(ids)) == len(ids)
    assert {"x.csv:2:a:0", "x.csv:3:a:0", "z.jsonl:7:0"} < set(ids)


def test_suggest_another_pipeline() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "DEA"}])  # type: ignore[attr-defined]
    found = suggest(nlp, records(TEXTS), fail, count=3)
    assert len(found) == 3
    assert {suggestion.score for suggestion in found} == {0.0}


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(len(TEXTS))), twice=st.integers(0, len(TEXTS) - 1), count=st.integers(1, 12))
def test_suggest_laws(nlp: Language, order: list[int], twice: int, count: int) -> None:
    inputs = [*records(TEXTS), Record("again", TEXTS[twice], "again.txt")]
    expected = suggest(nlp, inputs, fail, count=count)
    assert suggest(nlp, [inputs[-1], *(inputs[i] for i in order)], fail, count=count) == expected
    assert len(expected) <= count
    keys = [suggestion.key for suggestion in expected]
    assert len(set(keys)) == len(keys)
    assert len({suggestion.document.id for suggestion in expected}) == len(expected)


Run = Callable[..., Result]


@pytest.fixture
def run(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("drugpolicy_ner.cli.suggesting.load_pipeline", lambda model: nlp)

    def invoke(*args: str | Path, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["suggest", *map(str, args)], input=stdin, catch_exceptions=False)

    return invoke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for i, text in enumerate(TEXTS):
        (folder / f"{i}.txt").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("label-studio", "out.json"),
        ("doccano", "out.jsonl"),
        ("prodigy", "out.jsonl"),
        ("jsonl", "out.jsonl"),
        ("marked", "out.txt"),
        ("docbin", "out.spacy"),
        ("csv", "out.csv"),
        ("conll", "out.conll"),
        ("brat", "out"),
    ],
)
def test_command_formats(run: Run, folder: Path, tmp_path: Path, form: str, name: str) -> None:
    output = tmp_path / name
    result = run(folder, "--output", output, "--to", form, "--count", "3")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{name}: 3 sentences, chosen from 10 sentences of 5 documents (1 too short left out)\n" in result.stderr
    documents = list(read_documents(output, options=ReadOptions(proposals=True)))
    assert len(documents) == 3
    assert any(document.spans for document in documents)
    if form != "brat":
        assert all(document.meta["source"].startswith(str(folder)) for document in documents)


def test_command_json(run: Run, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    result = run(folder, "--output", output, "--to", "label-studio", "--count", "2", "--unit", "document", "--json")
    summary = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (summary["suggested"], summary["unit"], summary["format"]) == (2, "document", "label-studio")
    assert summary["read"] == {"documents": 5, "units": 5, "seen": 0, "short": 0, "long": 0}
    documents = list(read_documents(output, options=ReadOptions(proposals=True)))
    assert summary["words"] == sum(len(document.text.split()) for document in documents)


def test_command_writes_no_annotations(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run(folder, "--output", tmp_path / "a.json", "--to", "label-studio", "-n", "3").exit_code == 0
    assert run(folder, "--output", tmp_path / "a.jsonl", "--to", "prodigy", "-n", "3").exit_code == 0
    tasks = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    model = f"drugpolicy_ner-{drugpolicy_ner.__version__}"
    for task in tasks:
        assert "annotations" not in task
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == model
        assert 0 < prediction["score"] < 1
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not any("answer" in row for row in rows)
    assert {span["source"] for row in rows for span in row["spans"]} == {model}

    convert = ["data", "convert", str(tmp_path / "a.json"), str(tmp_path / "b.jsonl"), "--to", "jsonl"]
    result = CliRunner().invoke(app, convert)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"drugpolicy-ner: {tmp_path / 'a.json'}: holds no documents that can be taken: tasks with predictions that "
        f"nobody has accepted or corrected left out: 3 (first in {tasks[0]['data']['id']})\n"
    )
    assert not (tmp_path / "b.jsonl").exists()
    convert[2] = str(tmp_path / "a.jsonl")
    result = CliRunner().invoke(app, convert)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "documents without an answer taken as accepted: 3 (first in" in result.stderr


def test_command_is_deterministic(run: Run, folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    assert run(*files, "--output", tmp_path / "a.spacy", "--to", "jsonl").exit_code == 0
    assert run(*reversed(files), "--output", tmp_path / "b.spacy", "--to", "jsonl").exit_code == 0
    assert (tmp_path / "a.spacy").read_bytes() == (tmp_path / "b.spacy").read_bytes()


@pytest.mark.parametrize("form", ["jsonl", "label-studio"])
def test_command_seen(run: Run, folder: Path, tmp_path: Path, form: str) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.jsonl"
    assert run(folder, "--output", first, "--to", form, "--count", "4").exit_code == 0
    result = run(folder, "--output", second, "--to", "doccano", "--seen", first)
    assert result.exit_code == 0
    assert "4 annotated already" in result.stderr
    options = ReadOptions(proposals=True)
    texts = [{document.text for document in read_documents(path, options=options)} for path in (first, second)]
    assert texts[0].isdisjoint(texts[1])
    assert len(texts[1]) == 5


def test_command_nothing_left(run: Run, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert run(folder, "--output", output, "--to", "jsonl").exit_code == 0
    again = tmp_path / "again.jsonl"
    result = run(folder, "--output", again, "--to", "jsonl", "--seen", output)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "drugpolicy-ner: nothing to suggest: 10 sentences of 5 documents (9 annotated already, 1 too short left out)\n"
    )
    assert not again.exists()


def test_command_stdin(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    rows = "".join(json.dumps({"id": f"r{i}", "text": text}) + "\n" for i, text in enumerate(TEXTS))
    result = run("-", "--input-format", "jsonl", "--output", output, "--to", "jsonl", "-n", "1", stdin=rows.encode())
    assert result.exit_code == 0
    (document,) = read_documents(output)
    assert document.meta["source"] == "<standard input>"
    assert document.meta["line"] == str(int(document.id[1]) + 1)


def test_command_bad_input_goes_on(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.txt").write_bytes(b"caf\xe9")
    output = tmp_path / "out.jsonl"
    result = run(folder, "--output", output, "--to", "jsonl")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"drugpolicy-ner: {folder / 'bad.txt'}:1: not UTF-8: byte 0xe9; save the file as UTF-8\n" in result.stderr
    assert len(list(read_documents(output))) == 9


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--output", "{tmp}/out.jsonl"], "may be jsonl or doccano or prodigy: name it with --to"),
        (["--output", "{tmp}/no/out.spacy"], "there is no folder {tmp}/no: make it first"),
        (["--output", "{tmp}/texts", "--to", "brat"], "is there already: name a new folder or an empty one"),
        (["--output", "{tmp}/texts/0.txt", "--to", "marked"], "is an input too: write to another file"),
        (["--output", "{tmp}/o.spacy", "--lines", "--input-format", "csv"], "--lines is for plain text"),
        (["--output", "{tmp}/o.spacy", "--count", "0"], "greater than or equal to 1"),
        (["--output", "{tmp}/o.spacy", "--unit", "word"], "'word' is not one of 'sentence', 'document'"),
        ([], "Missing option '--output'"),
    ],
)
def test_command_wrong_use(run: Run, folder: Path, tmp_path: Path, args: list[str], message: str) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run(folder / "0.txt", *(arg.format(tmp=tmp_path) for arg in args))
    assert (result.exit_code, result.stdout) == (2, "")
    assert " ".join(message.format(tmp=tmp_path).split()) in " ".join(result.stderr.replace("│", " ").split())
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts"]


def test_command_missing_seen(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--output", tmp_path / "o.spacy", "--seen", tmp_path / "none.jsonl")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "none.jsonl: cannot be read: No such file or directory" in result.stderr


def test_command_missing_model(folder: Path, tmp_path: Path) -> None:
    args = ["suggest", str(folder), "--output", str(tmp_path / "o.spacy"), "--model", str(tmp_path / "none")]
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be loaded" in result.stderr


def test_command_help() -> None:
    assert CliRunner().invoke(app, ["suggest", "--help"]).exit_code == 0
