"""`data convert`: options, maps, and what it says of input and output that do not do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drugpolicy_ner.cli import app
from drugpolicy_ner.corpus import Format, read_documents

FILES = Path(__file__).parent / "data" / "formats"
ROW = {"id": "d", "text": "Customs found tramadol.", "label": [[0, 7, "AGENCY"], [14, 22, "CHEMICAL"]]}

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and pipes")


def convert(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", "convert", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return path


def test_convert_says_what_it_did(tmp_path: Path) -> None:
    out = tmp_path / "out.spacy"
    result = convert(FILES / "label-studio.json", FILES / "tag.jsonl", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "drugpolicy-ner: predictions left out: 1 (first in 41)",
        "drugpolicy-ner: tasks of several annotations, of which the ground truth was taken: 1 (first in 41)",
        "drugpolicy-ner: cancelled annotations left out: 1 (first in 42)",
        "drugpolicy-ner: tasks without an annotation left out: 1 (first in 44)",
        "drugpolicy-ner: field 'concept' of entities left out: 2 (first in news/a.txt)",
        "drugpolicy-ner: field 'source' of entities left out: 3 (first in news/a.txt)",
        f"drugpolicy-ner: {out}: 4 documents",
    ]
    assert [document.id for document in read_documents(out)] == ["41", "42", "43", "news/a.txt"]


def test_convert_json_report(rows: Path, tmp_path: Path) -> None:
    rows.write_text(json.dumps(ROW | {"meta": {"genre": "news"}}), encoding="utf-8")
    result = convert(rows, tmp_path / "out", "--to", "brat", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "output": str(tmp_path / "out"),
        "documents": 1,
        "notes": {"fields of meta left out: brat has none": 1},
    }
    assert result.stderr == "drugpolicy-ner: fields of meta left out: brat has none: 1 (first in d)\n"
    assert (tmp_path / "out" / "d.ann").read_text(encoding="utf-8") == (
        "T1\tAGENCY 0 7\tCustoms\nT2\tCHEMICAL 14 22\ttramadol\n"
    )


def test_convert_says_where_tokens_were_cut(rows: Path, tmp_path: Path) -> None:
    rows.write_text(json.dumps({"text": "methadonelike", "label": [[0, 9, "X"]]}), encoding="utf-8")
    result = convert(rows, tmp_path / "out.conll", "--to", "bilou")
    assert "tokens cut at the edge of a span" in result.stderr
    assert "methadone\t_\tU-X\nlike\t_\tO\n" in (tmp_path / "out.conll").read_text(encoding="utf-8")


@pytest.mark.parametrize("as_file", ["no", "lines", "json"])
def test_convert_maps_labels(rows: Path, tmp_path: Path, as_file: str) -> None:
    maps = ["--map", "CHEMICAL=SUBSTANCE", "--map", "AGENCY="]
    if as_file == "lines":
        (tmp_path / "map.txt").write_text("# ours\nCHEMICAL = SUBSTANCE\nAGENCY=\n", encoding="utf-8")
        maps = ["--map", str(tmp_path / "map.txt")]
    if as_file == "json":
        (tmp_path / "map.json").write_text('{"CHEMICAL": "SUBSTANCE", "AGENCY": null}', encoding="utf-8")
        maps = ["--map", str(tmp_path / "map.json")]
    result = convert(rows, tmp_path / "out.txt", *maps, "--scheme")
    assert result.exit_code == 0
    assert "spans of AGENCY left out, as the map says: 1" in result.stderr
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "=== d\n\nCustoms found {{tramadol|SUBSTANCE}}.\n"


def test_convert_maps_to_an_action_class(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert convert(rows, out, "--map", "AGENCY=POLICY_VERB:ENFORCE").exit_code == 0
    assert "{{Customs|POLICY_VERB:ENFORCE}}" in out.read_text(encoding="utf-8")


def test_convert_maps_what_would_not_do_unmapped(rows: Path, tmp_path: Path) -> None:
    spans = [[0, 7, "Public body"], [8, 22, "Event"], [14, 22, "CHEMICAL"]]
    rows.write_text(json.dumps(ROW | {"label": spans}), encoding="utf-8")
    result = convert(rows, tmp_path / "out.txt")
    assert result.exit_code == 1
    assert "rename it with data convert --map 'Public body=NEW'" in result.stderr
    result = convert(rows, tmp_path / "out.txt", "--map", "Public body=AGENCY", "--map", "Event=")
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == (
        "=== d\n\n{{Customs|AGENCY}} found {{tramadol|CHEMICAL}}.\n"
    )


def test_convert_two_projects_with_the_same_ids(rows: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(ROW | {"text": "Customs lost tramadol."}), encoding="utf-8")
    result = convert(rows, other, tmp_path / "out.spacy")
    assert "ids used in two inputs, so the name of the file put before them: 1 (first in d)" in result.stderr
    assert [document.id for document in read_documents(tmp_path / "out.spacy")] == ["d", "other:d"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--map", "CHEMICAL=SUBSTANC", "--scheme"], "the scheme has no label SUBSTANC: did you mean SUBSTANCE?"),
        (["--map", "CHEMICAL=A B"], "a label is one word"),
        (["--map", "CHEMICAL=POLICY_VERB:FORBID"], "action classes are LEGISLATE"),
        (["--map", "CHEMICALS=SUBSTANCE"], "no span has the label CHEMICALS: did you mean CHEMICAL?"),
        (["--map", "X=SUBSTANCE"], "no span has the label X: labels here are AGENCY, CHEMICAL"),
        (["--map", "CHEMICAL"], "is neither OLD=NEW nor a file"),
        (["--map", "=SUBSTANCE"], "name the label before the ="),
        (["--map", "AGENCY=A", "--map", "AGENCY=B"], "AGENCY is mapped to A and to B"),
    ],
)
def test_convert_refuses_a_map(rows: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = convert(rows, tmp_path / "out.txt", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [rows]


def test_convert_doubts_a_label_that_is_almost_of_the_scheme(rows: Path, tmp_path: Path) -> None:
    result = convert(rows, tmp_path / "out.txt", "--map", "CHEMICAL=SUBSTANCES")
    assert result.exit_code == 0
    assert "new label SUBSTANCES in --map CHEMICAL=SUBSTANCES is not in the scheme (did you mean SUBSTANCE?)" in (
        result.stderr
    )


def bad(tmp_path: Path, content: bytes, name: str = "in.jsonl") -> Path:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


GOOD_LINE = json.dumps(ROW).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("in.jsonl", GOOD_LINE + b'{"text": "caf\xe9"}\n', 1, "in.jsonl:2: not UTF-8: byte 0xe9; save the file as"),
        ("in.csv", "id,text,start,end,label\n".encode("utf-16"), 1, "in.csv:1: not UTF-8 but UTF-16"),
        ("in.jsonl", GOOD_LINE + GOOD_LINE[:40], 1, "in.jsonl:2: not JSON: "),
        ("in.jsonl", GOOD_LINE + b"[]\n", 1, "in.jsonl:2: a JSON object is expected, not '[]'"),
        ("in.jsonl", GOOD_LINE * 2, 1, "in.jsonl:2 [d]: id used before"),
        ("in.jsonl", b'{"text": "abc", "label": [[0, 9, "X"]]}', 1, "[in:1]: span 0-9 (X) lies outside the text of 3"),
        ("in.jsonl", b'{"text": "abc", "label": [[2, 1, "X"]]}', 1, "span 2-1 (X) lies outside the text of 3"),
        ("in.jsonl", b'{"text": "abc", "label": [[0, 1, "A B"]]}', 1, "label 'A B' is not one word without"),
        ("in.jsonl", b'{"text": "abc", "label": [[0, 1]]}', 1, "[0, 1] is not [start, end, label]"),
        ("in.jsonl", b'{"text": "abc", "label": "X"}', 1, "field 'label' is \"X\", not a list"),
        ("in.jsonl", b'{"text": 3, "label": []}', 1, "field 'text' is 3, not a string"),
        ("in.jsonl", b'{"body": "a", "label": []}', 1, "field 'text' is missing (fields: body, label)"),
        ("in.jsonl", b'{"text": "a\\ud83d", "label": []}', 1, "half a surrogate pair (U+D83D at character 2)"),
        ("in.jsonl", b'{"text": "abc"}', 2, "in.jsonl: its format is not clear: name it with --from (marked, "),
        ("in.jsonl", b"", 1, "in.jsonl: the file is empty"),
        ("in.txt", b"Plain text.\n", 2, "its format is not clear"),
        (
            "in.json",
            b'[{"id": 1, "data": {"text": "abc"}, "annotations": [',
            1,
            "in.json:1: not JSON: it ends too early",
        ),
        (
            "in.json",
            b'[{"id": 1, "data": {"text": "abc"}, "annotations": [{"result": [{"type": "labels", "id": "a", "value": '
            b'{"start": 0, "end": 2, "text": "bc", "labels": ["X"]}}]}]}]',
            1,
            'in.json [1]: span 0-2 (X) is "ab", but should be "bc": is this the text that was annotated?',
        ),
        (
            "in.json",
            b'[{"id": 1, "data": {"text": "abc"}, "annotations": []}]',
            1,
            "holds no documents that can be taken: tasks without an annotation left out: 1",
        ),
        (
            "in.csv",
            b"id,text,label\n1,abc,X\n",
            1,
            "in.csv:2: no column 'start', 'end' (columns: 'id', 'text', 'label')",
        ),
        ("in.csv", b"id,text,start,end,label\n1,abc,0\n", 1, "in.csv:2: 3 fields under a header of 5"),
        ("in.csv", b"id,text,start,end,label\n1,abc,a,2,X\n", 1, "column 'start' is 'a', not a whole number"),
        ("in.csv", b"id,text,start,end,label\n1,abc,0,1,X\n1,abd,1,2,X\n", 1, "in.csv:3 [1]: the text is another"),
        ("in.csv", b"id,start,end,text,label,concept,action,source\nd,0,3,abc,X,,,ner\n", 1, "tag with --format jsonl"),
        ("in.csv", b"id,text,start,end,label\n1,caf\xe9,0,1,X\n", 1, "in.csv:2: not UTF-8"),
        ("in.parquet", b"PAR1 and no more", 1, "in.parquet: not Parquet: "),
        ("in.spacy", b"nothing of the kind", 1, "in.spacy: not a DocBin"),
        ("in.conll", b"a\tB-X\nb\tO\nc\tI-X\n", 1, "in.conll:3 [in:1]: tag 'I-X' begins a span"),
        ("in.conll", b"a\tB-X\nb\tI-Y\n", 1, "in.conll:2 [in:1]: tag 'I-Y' stands in a span of X"),
        ("in.conll", b"a\tB-X\nb\tO\nc\tU-X\n", 1, "in.conll:2 [in:1]: tag 'O' inside a span of X"),
        ("in.conll", b"a\tO\nb\n", 1, "in.conll:2: token 'b' without a tag"),
        ("in.conll", b"a\tO\nb\tNOUN\n", 1, "in.conll:2: 'NOUN' is no tag of IOB2 or BILOU"),
        (
            "in.conll",
            b"# text = a c\na\tO\nb\tO\n",
            1,
            "in.conll:3 [in:1]: token 'b' is not what comes next in '# text'",
        ),
        ("in.xml", b"<collection><document><id>1</id>", 1, "in.xml:1: not XML: no element found"),
        ("in.pubtator", b"1|t|abc\n1\t0\t9\tabc\tX\n", 1, "in.pubtator:1 [1]: span 0-9 (X) lies outside the text of 3"),
        ("in.pubtator", b"1|t|abc\n2\t0\t3\tabc\tX\n", 1, "in.pubtator:2 [1]: expected a line of document '1'"),
        ("brat/a.ann", b"T1\tX 0 3\tabc\n", 1, "a.txt: cannot be read: No such file"),
    ],
)
def test_convert_bad_input(tmp_path: Path, name: str, content: bytes, code: int, message: str) -> None:
    result = convert(bad(tmp_path, content, name), tmp_path / "out.tsv")
    assert message in result.stderr
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (code, "", 1)
    assert not (tmp_path / "out.tsv").exists()


def test_convert_missing_and_empty_places(rows: Path, tmp_path: Path) -> None:
    result = convert(tmp_path / "none.jsonl", tmp_path / "out.tsv")
    assert (result.exit_code, "none.jsonl: cannot be read: No such file" in result.stderr) == (1, True)
    (tmp_path / "empty").mkdir()
    result = convert(tmp_path / "empty", tmp_path / "out.tsv")
    assert (result.exit_code, "no file of annotations in this folder" in result.stderr) == (1, True)
    result = convert(tmp_path / "empty", tmp_path / "out.tsv", "--from", "csv")
    assert (result.exit_code, "no *.csv file in this folder" in result.stderr) == (1, True)
    result = convert(rows)
    assert (result.exit_code, "name what to read and then what to write" in result.stderr) == (2, True)


def test_convert_label_outside_the_scheme(rows: Path, tmp_path: Path) -> None:
    result = convert(rows, tmp_path / "out.tsv", "--scheme", "--map", "AGENCY=INSTITUTION")
    assert result.exit_code == 1
    assert result.stderr.startswith("drugpolicy-ner: [d]: label 'CHEMICAL' is not in the scheme: rename it with --map")
    assert not (tmp_path / "out.tsv").exists()


def test_convert_output_that_cannot_be_written(rows: Path, tmp_path: Path) -> None:
    for out, options, message in [
        (tmp_path / "none" / "out.spacy", [], "there is no folder"),
        (tmp_path / "none" / "out", ["--to", "brat"], "there is no folder"),
        (tmp_path, ["--to", "docbin"], "is a folder: name a file"),
        (tmp_path, ["--to", "brat"], "is there already: name a new folder or an empty one"),
        (tmp_path / "out.jsonl", [], "may be jsonl or doccano or prodigy: name it with --to"),
        (tmp_path / "out", [], "does not say its format: name it with --to (marked, "),
        (rows, ["--to", "jsonl"], "is an input too"),
    ]:
        result = convert(rows, out, *options)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert message in result.stderr
    assert list(tmp_path.iterdir()) == [rows]


def test_convert_output_that_the_system_refuses(rows: Path, tmp_path: Path) -> None:
    rows.write_text(json.dumps(ROW | {"id": "d" * 300}), encoding="utf-8")
    result = convert(rows, tmp_path / "out", "--to", "brat")
    assert (result.exit_code, "out: cannot be written: File name too long" in result.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == [rows]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_convert_onto_a_full_disk(rows: Path) -> None:
    result = convert(rows, "/dev/full", "--to", "jsonl")
    assert (result.exit_code, "/dev/full: cannot be written: No space left" in result.stderr) == (2, True)


def test_convert_what_the_format_cannot_hold(rows: Path, tmp_path: Path) -> None:
    rows.write_text(json.dumps({"id": "d", "text": "a\nb\u0001", "label": []}), encoding="utf-8")
    result = convert(rows, tmp_path / "out.pubtator")
    assert (result.exit_code, "[d]: PubTator holds a title and an abstract" in result.stderr) == (1, True)
    result = convert(rows, tmp_path / "out.xml")
    assert (result.exit_code, "[d]: XML cannot hold U+0001: choose bioc-json" in result.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == [rows]


@pytest.mark.parametrize(
    ("module", "form", "message"),
    [
        ("datasets", "huggingface", "Hugging Face data sets need datasets"),
        ("pyarrow", "parquet", "Parquet needs pyarrow"),
    ],
)
def test_convert_without_the_extra(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, form: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for args in ([rows, tmp_path / "out", "--to", form], [rows, tmp_path / "out.spacy", "--from", form]):
        result = convert(*args)
        assert result.exit_code == 2
        assert result.stderr == f"drugpolicy-ner: {message}: pip install 'drugpolicy-ner[train]'\n"


@posix
@pytest.mark.parametrize("form", [Format.JSONL, Format.CSV, Format.BRAT])
def test_convert_killed_leaves_nothing_under_the_final_name(tmp_path: Path, form: Format) -> None:
    pipe, out = tmp_path / "rows.jsonl", tmp_path / "out"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "drugpolicy_ner.cli", "data", "convert", pipe, out]
    process = subprocess.Popen([*command, "--from", "doccano", "--to", form.value])
    with process, pipe.open("wb") as handle:
        handle.write(b"".join(json.dumps(ROW | {"id": str(i)}).encode() + b"\n" for i in range(2000)))
        handle.flush()
        deadline = time.monotonic() + 60
        while not (partial := [path for path in tmp_path.iterdir() if path != pipe]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert partial
    assert not out.exists()
