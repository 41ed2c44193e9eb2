"""The commands `lookup` and `concepts`, and a user's own concepts."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from typer.testing import CliRunner, Result

import drugpolicy_ner
from drugpolicy_ner.build import add_concepts
from drugpolicy_ner.cli import app
from drugpolicy_ner.concepts import default_store, read_concepts, read_own_concepts
from drugpolicy_ner.errors import ConceptError, UsageError

OWN: dict[str, Any] = {
    "id": "MY:blorfentanil",
    "name": "blorfentanil",
    "label": "SUBSTANCE",
    "parents": ["DP:fentanyls"],
    "aliases": [{"text": "blorfentanil"}, {"text": "Blorf\n\x1b[2J", "kind": "street", "ambiguous": True}],
    "controls": [{"regime": "UK-MDA", "schedule": "Temporary", "since": "2026"}],
    "facts": {"source": "a note"},
}
TEXT = "Police seized 2 kg of blorfentanil and of fentanyl in Ohio."


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write(tmp_path / "my.jsonl", OWN)


def run(*args: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [*map(str, args)], input=stdin, catch_exceptions=False)


def table(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0
    return list(csv.DictReader(io.StringIO(result.stdout, newline="")))


def linked(nlp: Language, text: str) -> dict[str, str]:
    return {ent.text: ent.kb_id_ for ent in nlp(text).ents}


# the package


def test_find_gives_clear_names_before_ambiguous_ones() -> None:
    assert [concept.id for concept in drugpolicy_ner.find("FENTANYL")] == ["DP:fentanyl"]
    assert {concept.id for concept in drugpolicy_ner.find("speed")} == {"DP:amphetamine", "DP:methamphetamine"}
    assert drugpolicy_ner.find("no such thing") == ()
    assert drugpolicy_ner.read_concepts is read_concepts


@pytest.mark.parametrize(
    "code",
    [
        "import drugpolicy_ner; drugpolicy_ner.find('heroin')",
        "from drugpolicy_ner.cli import app; app(['lookup', 'heroin'], standalone_mode=False)",
        "from drugpolicy_ner.cli import app; app(['concepts', '--format', 'csv'], standalone_mode=False)",
    ],
)
def test_looking_up_imports_no_spacy(code: str) -> None:
    code = f"import sys; {code}; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


# lookup


@pytest.mark.parametrize("args", [["lookup", "--help"], ["concepts", "--help"]])
def test_help(args: list[str]) -> None:
    assert run(*args).exit_code == 0


@pytest.mark.parametrize("name", ["Duragesic", "DP:fentanyl"])
def test_lookup_writes_lines(name: str) -> None:
    result = run("lookup", name)
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[:4] == ["id: DP:fentanyl", "name: fentanyl", "label: SUBSTANCE", "verified: yes"]
    assert "parents: fentanyl > fentanyls > synthetic opioids > opioids" in lines
    assert any(line.startswith("alias brand: Duragesic, Actiq,") for line in lines)
    assert "fact cas: 437-38-7" in lines
    assert any(line.startswith("control: US-CSA II; code 9801; as of 2020-08-20; source DEA") for line in lines)
    assert "control: UK-MDA A; unverified; source memory" in lines


def test_lookup_shows_every_meaning_and_every_parent() -> None:
    result = run("lookup", "speed")
    assert re.findall("^id: (.*)", result.stdout, flags=re.MULTILINE) == ["DP:amphetamine", "DP:methamphetamine"]
    assert "\n\nid: " in result.stdout
    assert len(re.findall("^parents: DOB > ", run("lookup", "DP:dob").stdout, flags=re.MULTILINE)) == 2


def test_lookup_json_has_every_field() -> None:
    (row,) = json.loads(run("lookup", "fentanyl", "--json").stdout)
    assert list(row) == ["id", "name", "label", "parents", "aliases", "controls", "facts", "source", "verified"]
    assert row["aliases"][0] == {"text": "fentanyl", "kind": "name", "case": "any", "ambiguous": False}
    assert [(c["regime"], c["schedule"], c["verified"]) for c in row["controls"]] == [
        ("US-CSA", "II", True),
        ("UN-1961", "I", False),
        ("UK-MDA", "A", False),
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fentaxnyl", ": did you mean fentanyl"),
        ("DP:fentany", ": did you mean DP:fentanyl"),
        ("qqqqqq", "\n"),
    ],
)
def test_lookup_of_an_unknown_name(name: str, hint: str) -> None:
    result = run("lookup", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"drugpolicy-ner: no concept is called '{name}'{hint}")
    assert len(result.stderr.splitlines()) == 1
    in_json = run("lookup", name, "--json")
    assert (in_json.exit_code, in_json.stdout, in_json.stderr) == (1, "[]\n", result.stderr)


def test_lookup_suggests_no_misspelling() -> None:
    wrong = {alias.text for c in default_store() for alias in c.aliases if alias.kind == "misspelling"}
    assert wrong.isdisjoint(default_store().suggest("fentnyl", most=20))


def test_lookup_of_an_own_concept(own: Path) -> None:
    result = run("lookup", "BLORFENTANIL", "--concepts", own)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "id: MY:blorfentanil",
        "name: blorfentanil",
        "label: SUBSTANCE",
        "verified: no",
        "parents: blorfentanil > fentanyls > synthetic opioids > opioids",
        "alias name: blorfentanil",
        "alias street: Blorf \ufffd[2J (ambiguous)",
        "fact source: a note",
        "control: UK-MDA Temporary; unverified; since 2026",
    ]
    assert run("lookup", "blorfentanil").exit_code == 1


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")
def test_lookup_on_a_terminal_shows_a_table(own: Path) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "drugpolicy_ner.cli", "lookup", "blorfentanil", "--concepts", str(own)]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=child, env=env) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:  # how a pseudo-terminal says that its other end is closed
                break
            if not part:
                break
            shown += part
    os.close(parent)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert "blorfentanil  MY:blorfentanil  SUBSTANCE  unverified" in text
    assert re.search(r"┃ regime +┃ schedule +┃ since +┃ +┃", text)
    assert re.search(r"│ UK-MDA +│ Temporary +│ 2026 +│ unverified │", text)
    assert "\x1b[2J" not in text


# concepts


def test_concepts_csv_has_a_row_a_control() -> None:
    rows = table(run("concepts", "--under", "DP:opioids", "--format", "csv"))
    assert list(rows[0])[:13] == [
        *("id", "name", "label", "parents", "regime", "schedule", "code", "since", "source", "as_of", "verified"),
        *("concept_source", "concept_verified"),
    ]
    fentanyl = [row for row in rows if row["id"] == "DP:fentanyl"]
    assert [(row["regime"], row["schedule"], row["verified"]) for row in fentanyl] == [
        ("US-CSA", "II", "true"),
        ("UN-1961", "I", "false"),
        ("UK-MDA", "A", "false"),
    ]
    assert {(row["parents"], row["cas"]) for row in fentanyl} == {("DP:fentanyls", "437-38-7")}
    assert {row["id"] for row in rows} == {concept.id for concept in default_store().descendants("DP:opioids")}


def test_concepts_filters_hold_together() -> None:
    filters = ["--regime", "US-CSA", "--schedule", "I", "--label", "SUBSTANCE", "--under", "DP:opioids"]
    rows = table(run("concepts", *filters, "--format", "csv"))
    assert {(row["regime"], row["schedule"], row["label"]) for row in rows} == {("US-CSA", "I", "SUBSTANCE")}
    assert "DP:heroin" in {row["id"] for row in rows}
    assert "DP:fentanyl" not in {row["id"] for row in rows}  # I in the regime UN-1961 only


def test_concepts_of_a_country_are_also_those_of_its_states() -> None:
    facts = [concept.facts for concept in map(as_concept, run("concepts", "--country", "US").stdout.splitlines())]
    assert {"US", "US-CA"} <= {fact.get("country") or fact["jurisdiction"] for fact in facts}
    assert table(run("concepts", "--country", "US-CA", "--format", "csv"))


def as_concept(line: str) -> drugpolicy_ner.Concept:
    return default_store().get(json.loads(line)["id"])


def test_concepts_jsonl_is_a_file_of_concepts(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    result = run("concepts", "-o", file)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert list(read_concepts(file)) == list(default_store())
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


def test_concepts_text_has_a_line_a_concept() -> None:
    lines = run("concepts", "--regime", "UN-1988", "--schedule", "II", "--format", "text").stdout.splitlines()
    assert "DP:acetone  PRECURSOR  acetone  UN-1988 II (unverified)" in lines


def test_concepts_finds_nothing() -> None:
    result = run("concepts", "--under", "DP:opioids", "--label", "INSTITUTION", "--format", "csv")
    assert table(result) == []
    assert result.stdout.startswith("id,name,label,")
    assert result.stdout.count("\n") == 1
    for form in ("jsonl", "text"):
        result = run("concepts", "--under", "DP:opioids", "--label", "INSTITUTION", "--format", form)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_concepts_lists_own_ones(own: Path) -> None:
    filters = ["--regime", "UK-MDA", "--schedule", "Temporary", "--under", "DP:opioids"]
    (row,) = table(run("concepts", *filters, "--format", "csv", "--concepts", own))
    assert (row["id"], row["since"], row["source"], row["fact_source"]) == ("MY:blorfentanil", "2026", "", "a note")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--regime", "us-csa"], "unknown regime 'us-csa': did you mean US-CSA?"),
        (["--regime", "zzz"], "unknown regime 'zzz': use one of US-CSA, US-LISTED, UN-1961,"),
        (["--regime", "UK-MDA", "--schedule", "I"], "unknown schedule of UK-MDA 'I': use one of A, B, C"),
        (["--schedule", "ii"], "unknown schedule 'ii': did you mean II?"),
        (["--label", "SUBSTANSE"], "unknown label 'SUBSTANSE': did you mean SUBSTANCE?"),
        (["--under", "DP:opiods"], "unknown id 'DP:opiods': did you mean DP:opioids?"),
        (["--under", "qqq"], "unknown id 'qqq': look the name up with drugpolicy-ner lookup"),
        (["--country", "MEX"], "unknown country 'MEX': did you mean MX?"),
        (["--output", "x.html"], "x.html: concepts are not written as html: use one of text, jsonl, csv"),
        (["--output", "x.csv", "--format", "jsonl"], "x.csv: its suffix means csv, --format says jsonl"),
        (["--output", "my.jsonl", "--concepts", "my.jsonl"], "my.jsonl: is an input too: write to another file"),
    ],
)
def test_concepts_refuses_wrong_use(own: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str) -> None:
    monkeypatch.chdir(own.parent)
    before = own.read_bytes()
    result = run("concepts", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"drugpolicy-ner: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in own.parent.iterdir()] == ["my.jsonl"]
    assert own.read_bytes() == before


# own concepts


def test_own_concepts_may_name_each_other_as_parents(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", OWN | {"parents": ["MY:blorfs"]})
    two = write(tmp_path / "2.jsonl", OWN | {"id": "MY:blorfs", "parents": ["DP:fentanyls"]})
    assert [concept.id for concept in read_own_concepts([one, two])] == ["MY:blorfentanil", "MY:blorfs"]
    assert read_own_concepts([]) == ()


def test_own_concepts_may_begin_with_a_byte_order_mark(own: Path) -> None:
    own.write_bytes(b"\xef\xbb\xbf" + own.read_bytes())
    assert [concept.id for concept in read_own_concepts([own])] == ["MY:blorfentanil"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "DP:fentanyl"}, "id 'DP:fentanyl' stands in the knowledge base too: give the concept an id of its own"),
        ({"parents": ["DP:fentanyl", "DP:opiods"]}, "'DP:opiods', which is no concept: did you mean DP:opioids"),
        ({"parents": ["MY:other"]}, "MY:other is above itself: take one of the parents away"),
        ({"aliases": [{"text": "§"}]}, "alias text '§' has neither letter nor digit: leave it out"),
        ({"label": "DRUG"}, "unknown label 'DRUG'"),
    ],
)
def test_own_concepts_errors_have_file_and_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    loop = OWN | {"id": "MY:other", "parents": ["MY:blorfentanil"]}
    file = write(tmp_path / "my.jsonl", OWN | {"id": "MY:first", "parents": []}, OWN | change)
    if change.get("parents") == ["MY:other"]:
        write(file, loop, OWN | change)
    with pytest.raises(ConceptError, match=re.escape(message)) as caught:
        read_own_concepts([file])
    assert caught.value.path == str(file)
    assert caught.value.line == (1 if "above itself" in message else 2)
    for args in (["lookup", "fentanyl"], ["concepts"], ["tag", "-"]):
        result = run(*args, "--concepts", file, stdin=TEXT)
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"drugpolicy-ner: {caught.value}\n")


def test_own_concepts_share_no_id(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.jsonl", OWN), write(tmp_path / "2.jsonl", OWN)
    with pytest.raises(ConceptError, match=rf"2\.jsonl:1: id 'MY:blorfentanil' stands in {re.escape(str(one))}:1 too"):
        read_own_concepts([one, two])


@pytest.mark.model
def test_add_concepts_teaches_a_pipeline_that_can_be_saved(own: Path, tmp_path: Path) -> None:
    nlp = drugpolicy_ner.load(exclude=["tok2vec", "ner"])
    add_concepts(nlp, iter(read_own_concepts([own])))
    nlp.to_disk(tmp_path / "model")
    for pipeline in nlp, spacy.load(tmp_path / "model"):
        found = linked(pipeline, TEXT)
        assert (found["blorfentanil"], found["fentanyl"]) == ("MY:blorfentanil", "DP:fentanyl")


@pytest.mark.model
def test_add_concepts_reaches_into_the_tagger(own: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("drugpolicy_tagger")
    add_concepts(nlp, read_own_concepts([own]))
    doc = nlp(TEXT)
    assert ("blorfentanil", "MY:blorfentanil") in [(span.text, span.kb_id_) for span in doc.spans["drugpolicy"]]


def test_add_concepts_reaches_every_taker_by_its_factory(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    with pytest.raises(UsageError, match="no component of this pipeline takes concepts"):
        add_concepts(nlp, read_own_concepts([own]))
    nlp.add_pipe("drugpolicy_gazetteer", name="one")
    nlp.add_pipe("drugpolicy_gazetteer", name="two")
    nlp.disable_pipe("two")
    add_concepts(nlp, iter(read_own_concepts([own])))
    assert [len(component) for name, component in nlp.components if name in ("one", "two")] == [2, 2]  # type: ignore[arg-type]


@pytest.mark.model
@pytest.mark.parametrize("workers", ["1", "2"])
def test_tag_with_own_concepts(own: Path, tmp_path: Path, workers: str) -> None:
    more = write(tmp_path / "more.jsonl", OWN | {"id": "MY:zorb", "name": "zorb", "aliases": [{"text": "zorbacaine"}]})
    args = ["--concepts", own, "--concepts", more, "--lines", "--n-process", workers, "--batch-size", "1"]
    result = run("tag", "-", *args, stdin=f"{TEXT}\nThe DEA banned zorbacaine.\n")
    assert (result.exit_code, result.stderr) == (0, "")
    found = [{e["text"]: e["concept"] for e in json.loads(line)["ents"]} for line in result.stdout.splitlines()]
    assert (found[0]["blorfentanil"], found[0]["fentanyl"]) == ("MY:blorfentanil", "DP:fentanyl")
    assert found[1]["zorbacaine"] == "MY:zorb"


@pytest.mark.model
def test_tag_with_own_concepts_in_another_pipeline(own: Path, tmp_path: Path) -> None:
    rules = drugpolicy_ner.load(exclude=["tok2vec", "ner"])
    rules.to_disk(tmp_path / "rules")
    result = run("tag", "-", "--model", tmp_path / "rules", "--concepts", own, "--format", "csv", stdin=TEXT)
    assert linked(rules, TEXT)["blorfentanil"] == "DP:fentanyls"  # found by its form, linked to its class
    assert {row["text"]: row["concept"] for row in table(result)}["blorfentanil"] == "MY:blorfentanil"


def test_tag_refuses_a_pipeline_that_takes_no_concepts(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drugpolicy_ner.cli.tagging.load_pipeline", lambda model: spacy.blank("en"))
    result = run("tag", "-", "--concepts", own, "-o", tmp_path / "out.jsonl", stdin=TEXT)
    assert result.exit_code == 2
    assert "no component of this pipeline takes concepts" in result.stderr
    result = run("tag", "-", "--concepts", own, "-o", own, stdin=TEXT)
    assert (result.exit_code, json.loads(own.read_text(encoding="utf-8"))["id"]) == (2, "MY:blorfentanil")
    assert [path.name for path in tmp_path.iterdir()] == ["my.jsonl"]
