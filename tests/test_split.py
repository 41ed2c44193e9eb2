"""Laws of splitting, and `data split` on files of several formats."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from drugpolicy_ner.cli import app
from drugpolicy_ner.corpus import Document, Format, Span, read_documents, write_documents
from drugpolicy_ner.corpus.similarity import bare
from drugpolicy_ner.corpus.split import Split, split_documents
from drugpolicy_ner.errors import DataError, UsageError

PHRASE = "the minister said that nobody had asked for it"
LABELS = ("A", "B", "C")


def document(doc_id: str, text: str, labels: str = "", **meta: str) -> Document:
    """Return a document whose first words, of a letter each, carry labels."""
    spans = tuple(Span(2 * i, 2 * i + 1, label) for i, label in enumerate(labels))
    return Document(doc_id, f"x y z {text}", spans, meta)


def many(count: int) -> list[Document]:
    """Return documents of which all have A, a third has B, and two have C."""
    return [
        document(f"d{i}", f"abc{i}", "A" + "B" * (i % 3 == 0) + "C" * (i in (4, 9)), source=f"s{i // 4}")
        for i in range(count)
    ]


_documents = st.lists(
    st.builds(
        lambda key, text, labels, source: (key, text, labels, source),
        st.integers(0, 99),
        st.sampled_from(["one", "two", PHRASE, f"{PHRASE} now"]) | st.text("abÉé.", max_size=6),
        st.text("ABC", max_size=3),
        st.sampled_from(["", "x", "y"]),
    ),
    min_size=3,
    max_size=30,
    unique_by=lambda row: row[0],
).map(
    lambda rows: [
        document(f"d{key}", text, labels, **({"source": source} if source else {}))
        for key, text, labels, source in rows
    ]
)


def parts_of(split: Split) -> dict[str, str]:
    return {document.id: part for part, documents in split.parts.items() for document in documents}


def try_split(documents: list[Document], **options: object) -> Split:
    try:
        return split_documents(documents, **options)  # type: ignore[arg-type]
    except DataError:
        assume(False)
        raise


@given(_documents, st.data(), st.integers(0, 3), st.sampled_from([(0.1, 0.1), (0.45, 0.45), (0.3, 0.0)]))
def test_split_laws(documents: list[Document], data: st.DataObject, seed: int, shares: tuple[float, float]) -> None:
    dev, test = shares
    split = try_split(documents, dev=dev, test=test, seed=seed)
    shuffled = data.draw(st.permutations(documents))
    assert split_documents(shuffled, dev=dev, test=test, seed=seed) == split
    placed = parts_of(split)
    assert placed.keys() == {document.id for document in documents}
    assert sum(map(len, split.parts.values())) == len(documents)
    assert all(split.parts[part] for part in split.parts)
    assert set(split.parts) == {"train", "dev", *(["test"] if test else [])}
    groups = {each.id: "phrase" if PHRASE in each.text else bare(each.text) for each in documents}
    sides = defaultdict(set)
    for each in documents:
        sides[groups[each.id]].add(placed[each.id])
    assert all(len(parts) == 1 for parts in sides.values())
    train = split.counts()["train"]
    for label in LABELS:
        holders = {groups[each.id] for each in documents for span in each.spans if span.label == label}
        assert len(holders) < 2 or train[label], label


@given(_documents)
def test_split_keeps_a_source_on_one_side(documents: list[Document]) -> None:
    assume(any(each.meta for each in documents))
    split = try_split(documents, by="source")
    placed = parts_of(split)
    for source in ("x", "y"):
        assert len({placed[each.id] for each in documents if each.meta.get("source") == source}) <= 1
    assert split.keyless == sum(not each.meta for each in documents)


def test_split_shares_labels_out() -> None:
    split = split_documents(many(100))
    assert {part: len(documents) for part, documents in split.parts.items()} == {"train": 80, "dev": 10, "test": 10}
    counts = split.counts()
    assert [counts[part]["A"] for part in counts] == [80, 10, 10]
    assert all(3 <= counts[part]["B"] <= 4 for part in ("dev", "test"))
    assert counts["train"]["C"] >= 1


def test_split_of_another_seed_is_another() -> None:
    first, second = (split_documents(many(100), seed=seed) for seed in (0, 1))
    assert first.parts["dev"] != second.parts["dev"]


def test_split_joins_by_source_and_text() -> None:
    documents = [*many(40), document("e", "abc0", source="other"), document("f", "something of its own")]
    split = split_documents(documents, by="source")
    placed = parts_of(split)
    assert {placed[f"d{i}"] for i in range(4)} == {placed["e"]}
    assert (split.groups, split.joined, split.keyless) == (11, 41, 1)


def test_split_gives_train_each_label_whatever_the_shares() -> None:
    documents = [document(f"d{i}", f"text {i}", "R" * (i in (2, 5))) for i in range(20)]
    for seed in range(20):
        split = split_documents(documents, dev=0.48, test=0.48, seed=seed)
        assert split.counts()["train"]["R"] >= 1


@pytest.mark.parametrize(("count", "dev", "test", "sizes"), [(3, 0.1, 0.1, [1, 1, 1]), (5, 0.2, 0.0, [4, 1])])
def test_split_of_few_fills_every_part(count: int, dev: float, test: float, sizes: list[int]) -> None:
    split = split_documents(many(count), dev=dev, test=test)
    assert [len(documents) for documents in split.parts.values()] == sizes


def test_split_refuses_what_leaves_a_part_empty() -> None:
    with pytest.raises(DataError, match=r"2 documents in 2 groups that stay together cannot fill train, dev, test"):
        split_documents(many(2))
    same = [document(f"d{i}", f"{PHRASE} {PHRASE}") for i in range(9)]
    with pytest.raises(DataError, match="9 documents in 1 group that"):
        split_documents(same, test=0)
    pairs = [document("a", "one", "AB"), document("b", "two", "BC"), document("c", "three", "CA")]
    with pytest.raises(DataError, match="cannot be filled without taking from train all there is of a label"):
        split_documents(pairs)
    assert len(split_documents(pairs, test=0).parts["dev"]) == 1


@pytest.mark.parametrize(("dev", "test"), [(0.0, 0.0), (0.5, 0.5), (-0.1, 0.3), (1.0, 0.0), (float("nan"), 0.1)])
def test_split_refuses_shares(dev: float, test: float) -> None:
    with pytest.raises(UsageError, match="leave nothing to split"):
        split_documents(many(9), dev=dev, test=test)


# the command


def split(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", "split", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_documents(many(30), path, Format.JSONL)
    return path


def test_split_writes_files_and_prints_counts(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = split(rows, out)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["train", "dev", "test"]
    assert lines[2] == ["documents", "24", "80.0%", "3", "10.0%", "3", "10.0%"]
    assert [line[0] for line in lines[3:]] == ["A", "B", "C"]
    assert sorted(path.name for path in out.iterdir()) == ["dev.jsonl", "test.jsonl", "train.jsonl"]
    back = [each for part in ("train", "dev", "test") for each in read_documents(out / f"{part}.jsonl")]
    assert sorted(back, key=lambda each: each.id) == sorted(many(30), key=lambda each: each.id)


def test_split_json_is_golden(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = split("rows.jsonl", "out", "--by", "source", "--test", "0", "--dev", "0.25", "--json", "--to", "conll")
    assert result.exit_code == 0
    assert result.stderr == "drugpolicy-ner: documents kept together with others: 30\n"
    golden = (root / "tests/golden/split.json").read_text(encoding="utf-8")
    assert json.loads(result.stdout) == json.loads(golden)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev.conll", "train.conll"]


def test_split_is_the_same_in_bytes_whatever_the_order(rows: Path, tmp_path: Path) -> None:
    lines = rows.read_text(encoding="utf-8").splitlines(keepends=True)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(reversed(lines)), encoding="utf-8")
    assert split(rows, tmp_path / "a").exit_code == 0
    assert split(other, tmp_path / "b").exit_code == 0
    for part in ("train", "dev", "test"):
        assert (tmp_path / f"a/{part}.jsonl").read_bytes() == (tmp_path / f"b/{part}.jsonl").read_bytes()


def test_split_of_a_folder_format(rows: Path, tmp_path: Path) -> None:
    result = split(rows, tmp_path / "out", "--to", "brat")
    assert result.exit_code == 0
    assert "fields of meta left out: brat has none: 30" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev", "test", "train"]
    assert len(list(read_documents(tmp_path / "out/train"))) == 24
    again = split(tmp_path / "out/train", tmp_path / "again", "--seed", "7")
    assert again.exit_code == 0
    assert len(list(read_documents(tmp_path / "again/train"))) == 20


def test_split_says_who_has_no_source(rows: Path, tmp_path: Path) -> None:
    with rows.open("a", encoding="utf-8") as handle:
        handle.write('{"id": "z", "text": "no source", "ents": []}\n')
    result = split(rows, tmp_path / "out", "--by", "source")
    assert result.exit_code == 0
    assert "documents without 'source', each taken for a source of its own: 1\n" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--by", "author"], 2, "--by author: no document has this field of meta: fields are source"),
        (["--dev", "0.6", "--test", "0.5"], 2, "dev 0.6 and test 0.5 leave nothing to split"),
        (["--dev", "much"], 2, "Usage"),
        (["--from", "pubtator"], 1, "rows.jsonl:1"),
    ],
)
def test_split_wrong_use_leaves_nothing(rows: Path, tmp_path: Path, args: list[str], code: int, message: str) -> None:
    result = split(rows, tmp_path / "out", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_split_too_few(rows: Path, tmp_path: Path) -> None:
    write_documents(many(2), rows, Format.JSONL)
    result = split(rows, tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "drugpolicy-ner: 2 documents in 2 groups that stay together cannot fill train, dev,"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_split_output_that_cannot_be(rows: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "keep").touch()
    for target, message in [
        (full, "is there already"),
        (tmp_path / "no/such", "there is no folder"),
        (rows, "is there"),
    ]:
        result = split(rows, target)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
    assert [path.name for path in full.iterdir()] == ["keep"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_split_output_without_permission(rows: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    result = split(rows, locked / "out")
    assert result.exit_code == 2
    assert "cannot be written: Permission denied" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), ('{"text": "Straße", "ents": []}'.encode("latin-1"), "rows.jsonl:1: not UTF-8")],
)
def test_split_bad_input(rows: Path, tmp_path: Path, content: bytes, message: str) -> None:
    rows.write_bytes(content)
    result = split(rows, tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


def test_split_that_fails_in_writing_leaves_nothing(rows: Path, tmp_path: Path) -> None:
    odd = [Document(f"d{i}", f"text\r{i}", (), {}) for i in range(9)]
    write_documents(odd, rows, Format.JSONL)
    result = split(rows, tmp_path / "out", "--to", "pubtator")
    assert result.exit_code == 1
    assert result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
