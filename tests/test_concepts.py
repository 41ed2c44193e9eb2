"""The knowledge base: its reader, its lookup and its data."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drugpolicy_ner.concepts import (
    CASES,
    DATA_FILES,
    KINDS,
    REGIMES,
    Alias,
    Concept,
    ConceptStore,
    Control,
    default_store,
    normalise,
    read_concepts,
    write_concepts,
)
from drugpolicy_ner.errors import ConceptError
from drugpolicy_ner.labels import LABELS

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "training" / "sources"
GOOD: dict[str, Any] = {
    "id": "DP:fentanyl",
    "name": "fentanyl",
    "label": "SUBSTANCE",
    "aliases": [{"text": "fentanyl"}, {"text": "blues", "kind": "street", "ambiguous": True}],
    "controls": [{"regime": "US-CSA", "schedule": "II", "code": "9801", "verified": True}],
    "facts": {"cas": "437-38-7"},
    "verified": True,
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(table: str) -> list[dict[str, str]]:
    with (SOURCES / f"{table}.tsv").open(encoding="utf-8", newline="") as file:
        return [
            {key: value or "" for key, value in row.items()}
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


@pytest.fixture(scope="module")
def builder(script) -> ModuleType:
    return script("build_concepts")


# The reader


def test_read_concepts_gives_every_field(tmp_path: Path) -> None:
    (concept,) = read_concepts(write(tmp_path / "a.jsonl", GOOD))
    assert concept == Concept(
        "DP:fentanyl",
        "fentanyl",
        "SUBSTANCE",
        (),
        (Alias("fentanyl"), Alias("blues", "street", "any", True)),
        (Control("US-CSA", "II", "9801", verified=True),),
        {"cas": "437-38-7"},
        "",
        True,
    )


def test_read_concepts_skips_blank_lines_and_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + json.dumps(GOOD) + "\n\n{}\n", encoding="utf-8")
    with pytest.raises(ConceptError, match=r"a\.jsonl:4: a concept needs the key 'id'"):
        list(read_concepts(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "a concept has no key 'colour': allowed are id, name, label"),
        ({"id": 3}, "id must be text, not a number"),
        ({"id": ""}, "id '' must not be empty"),
        ({"id": "fentanyl"}, "id 'fentanyl' is not PREFIX:lower-case-words"),
        ({"id": "DP:Fentanyl"}, "is not PREFIX:lower-case-words"),
        ({"name": " fentanyl"}, "name ' fentanyl' must not be empty or begin or end with white space"),
        ({"label": "DRUG"}, "unknown label 'DRUG': use one of SUBSTANCE, DRUG_CLASS"),
        ({"parents": "DP:x"}, "parents must be a list, not text"),
        ({"parents": [1]}, "parents must hold ids as text, not a number"),
        ({"parents": ["DP:x", "DP:x"]}, "a parent stands twice"),
        ({"aliases": []}, "aliases are empty"),
        ({"aliases": ["fentanyl"]}, "an alias must be an object, not text"),
        ({"aliases": [{"kind": "brand"}]}, "an alias needs the key 'text'"),
        ({"aliases": [{"text": ""}]}, "alias text '' must not be empty"),
        ({"aliases": [{"text": "--"}]}, "alias text '--' has neither letter nor digit"),
        ({"aliases": [{"text": "a", "type": "brand"}]}, "an alias has no key 'type': allowed are text, kind, case"),
        ({"aliases": [{"text": "a", "kind": "nick"}]}, "unknown alias kind 'nick': use one of name, inn"),
        ({"aliases": [{"text": "a", "case": "lower"}]}, "unknown alias case 'lower': use one of any, capital, exact"),
        ({"aliases": [{"text": "a", "ambiguous": 1}]}, "ambiguous must be true or false, not a number"),
        ({"aliases": [{"text": "a"}, {"text": "a"}]}, "alias 'a' stands twice"),
        ({"controls": [{"regime": "US-CSA"}]}, "a control needs the key 'schedule'"),
        ({"controls": [{"regime": "US", "schedule": "I"}]}, "unknown regime 'US': use one of US-CSA"),
        ({"controls": [{"regime": "US-CSA", "schedule": ""}]}, "schedule '' must not be empty"),
        ({"controls": [{"regime": "US-CSA", "schedule": "I", "dea": "1"}]}, "a control has no key 'dea'"),
        ({"controls": {}}, "controls must be a list, not an object"),
        ({"facts": {"cas": None}}, "fact 'cas' must be text, not null"),
        ({"verified": "yes"}, "verified must be true or false, not text"),
    ],
)
def test_read_concepts_names_file_line_and_fault(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "mine.jsonl", GOOD | {"id": "DP:first"}, GOOD | change)
    with pytest.raises(ConceptError, match=re.escape(message)) as caught:
        list(read_concepts(path))
    assert (caught.value.path, caught.value.line) == (str(path), 2)


@pytest.mark.parametrize("key", ["id", "name", "label", "aliases"])
def test_read_concepts_needs_each_required_key(tmp_path: Path, key: str) -> None:
    path = write(tmp_path / "a.jsonl", {k: v for k, v in GOOD.items() if k != key})
    with pytest.raises(ConceptError, match=f":1: a concept needs the key '{key}'"):
        list(read_concepts(path))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"id": }\n', ":1: not JSON: Expecting value at column 8"),
        (b"\n[1]\n", ":2: a concept must be an object, not a list"),
        (b'{"id":"DP:a","id":"DP:b"}', ":1: key 'id' stands twice in one object"),
        (b'\n\n{"id":"\xff"}\n', ":3: not UTF-8: byte 0xff"),
    ],
)
def test_read_concepts_refuses_what_is_not_jsonl(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(ConceptError, match=re.escape(f"{path}{message}")):
        list(read_concepts(path))


def test_read_concepts_refuses_an_id_that_stands_twice(tmp_path: Path) -> None:
    with pytest.raises(ConceptError, match=":2: id 'DP:fentanyl' stands in line 1 too"):
        list(read_concepts(write(tmp_path / "a.jsonl", GOOD, GOOD)))


def test_read_concepts_says_that_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConceptError, match="cannot be read: No such file"):
        list(read_concepts(tmp_path / "none.jsonl"))


TEXT = st.text(min_size=1, max_size=12).map(str.strip).filter(bool).filter(lambda text: text.isprintable())
NAME = TEXT.filter(lambda text: any(char.isascii() and char.isalnum() for char in text))
ALIASES = st.builds(Alias, NAME, st.sampled_from(KINDS), st.sampled_from(CASES), st.booleans())
CONTROLS = st.builds(Control, st.sampled_from(list(REGIMES)), TEXT, TEXT, TEXT, TEXT, TEXT, st.booleans())
CONCEPTS = st.builds(
    Concept,
    st.from_regex(r"DP:[a-z0-9]{1,6}(-[a-z0-9]{1,4}){0,2}", fullmatch=True),
    TEXT,
    st.sampled_from(LABELS),
    st.lists(TEXT, max_size=3, unique=True).map(tuple),
    st.lists(ALIASES, min_size=1, max_size=4, unique_by=lambda alias: alias.text).map(tuple),
    st.lists(CONTROLS, max_size=3).map(tuple),
    st.dictionaries(TEXT, TEXT, max_size=3),
    TEXT,
    st.booleans(),
)


@given(st.lists(CONCEPTS, max_size=4, unique_by=lambda concept: concept.id))
def test_write_concepts_round_trip(tmp_path_factory: pytest.TempPathFactory, concepts: list[Concept]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    text = write_concepts(concepts)
    path.write_bytes(text.encode())
    assert list(read_concepts(path)) == concepts
    assert write_concepts(read_concepts(path)) == text


# The store


@pytest.fixture
def store(tmp_path: Path) -> ConceptStore:
    one = write(
        tmp_path / "one.jsonl",
        {"id": "DP:opioids", "name": "opioids", "label": "DRUG_CLASS", "aliases": [{"text": "opioids"}]},
        {
            "id": "DP:fentanyls",
            "name": "fentanyls",
            "label": "DRUG_CLASS",
            "parents": ["DP:opioids"],
            "aliases": [{"text": "fentanyls"}],
        },
    )
    two = write(
        tmp_path / "two.jsonl",
        GOOD | {"parents": ["DP:fentanyls"]},
        GOOD | {"id": "DP:m30", "name": "M30", "aliases": [{"text": "M30"}, {"text": "Blues"}]},
    )
    return ConceptStore([one, two])


def test_store_gets_and_iterates_in_file_order(store: ConceptStore) -> None:
    assert [concept.id for concept in store] == ["DP:opioids", "DP:fentanyls", "DP:fentanyl", "DP:m30"]
    assert len(store) == 4
    assert "DP:m30" in store
    assert store.get("DP:m30").name == "M30"


def test_store_get_suggests_the_closest_ids(store: ConceptStore) -> None:
    with pytest.raises(ConceptError, match="'DP:fentanil': did you mean DP:fentanyl"):
        store.get("DP:fentanil")
    with pytest.raises(ConceptError, match="look the name up with find"):
        store.get("zzz")


def test_store_find_puts_clear_names_before_ambiguous_ones(store: ConceptStore) -> None:
    assert [concept.id for concept in store.find("BLUES")] == ["DP:m30", "DP:fentanyl"]
    assert store.find("nothing") == ()


def test_store_suggests_near_names(store: ConceptStore) -> None:
    assert "fentanyl" in store.suggest("fentanil")


def test_store_descendants_nearest_first(store: ConceptStore) -> None:
    assert [concept.id for concept in store.descendants("DP:opioids")] == ["DP:fentanyls", "DP:fentanyl"]
    assert store.descendants("DP:m30") == ()
    with pytest.raises(ConceptError):
        store.descendants("DP:none")


def test_store_refuses_an_id_of_two_files_and_an_unknown_parent(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.jsonl", GOOD), write(tmp_path / "2.jsonl", GOOD)
    with pytest.raises(ConceptError, match=r"2\.jsonl:1: id 'DP:fentanyl' stands in .*1\.jsonl:1 too"):
        ConceptStore([one, two])
    with pytest.raises(ConceptError, match=r"3\.jsonl:1: .*'DP:none', which is no concept"):
        ConceptStore([write(tmp_path / "3.jsonl", GOOD | {"parents": ["DP:none"]})])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("α-PVP", "Alpha PVP"),
        ("acetyl fentanyl", "Acetyl-fentanyl"),
        ("acetylfentanyl", "acetyl\nfentanyl"),
        ("Δ9-THC", "delta-9 THC"),
        ("Cártel del Golfo", "cartel del golfo"),
        ("U.S. Attorney’s Office", "U.S. Attorney's Office"),
    ],
)
def test_normalise_makes_equal(one: str, two: str) -> None:
    assert normalise(one) == normalise(two)


@given(st.text(max_size=20))
def test_normalise_is_stable(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


# The data


def test_importing_concepts_does_not_import_spacy() -> None:
    code = "import sys, drugpolicy_ner.concepts as c; c.default_store(); sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_default_store_is_read_once() -> None:
    assert default_store() is default_store()


def test_data_is_what_the_tables_give(builder: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder.main(["--check"]) == 0
    assert "nothing differs" in capsys.readouterr().out


def test_build_check_fails_on_stale_data_and_a_build_mends_it(
    builder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert builder.main(["--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(DATA_FILES)
    (tmp_path / "substances.jsonl").write_text("", encoding="utf-8")
    assert builder.main(["--check", "--output", str(tmp_path)]) == 1
    assert "differs from training/sources: substances.jsonl" in capsys.readouterr().err
    assert builder.main(["--output", str(tmp_path)]) == 0
    assert builder.main(["--check", "--output", str(tmp_path)]) == 0


def test_data_first_alias_is_the_name() -> None:
    assert [concept.id for concept in default_store() if concept.aliases[0].text != concept.name] == []


def test_data_matcher_sees_no_alias_twice(builder: ModuleType) -> None:
    for concept in default_store():
        keys = Counter(builder.match_key(alias.text) for alias in concept.aliases)
        assert max(keys.values()) == 1, concept.id


def test_data_has_no_cycle() -> None:
    store = default_store()
    for concept in store:
        assert concept not in store.descendants(concept.id)
        assert concept.id not in {child.id for child in store.descendants(concept.id)}
    done: set[str] = set()

    def visit(concept_id: str, trail: tuple[str, ...]) -> None:
        assert concept_id not in trail, " > ".join((*trail, concept_id))
        if concept_id not in done:
            for parent in store.get(concept_id).parents:
                visit(parent, (*trail, concept_id))
            done.add(concept_id)

    for concept in store:
        visit(concept.id, ())


def test_data_misspellings_are_nothing_elses_name() -> None:
    store = default_store()
    for concept in store:
        for alias in concept.aliases:
            if alias.kind == "misspelling":
                assert len(alias.text) >= 5
                assert alias.text.isalpha()
                assert store.find(alias.text) == (concept,)


def test_data_labels_do_not_share_a_clear_alias(builder: ModuleType) -> None:
    labels: dict[str, set[str]] = {}
    for concept in default_store():
        for alias in concept.aliases:
            if not alias.ambiguous:
                labels.setdefault(builder.match_key(alias.text), set()).add(concept.label)
    assert {text for text, found in labels.items() if len(found) > 1} == set()


def test_data_a_control_from_memory_is_unverified() -> None:
    for concept in default_store():
        for control in concept.controls:
            assert control.source
            if control.source.startswith("memory") or "schedule number from memory" in control.source:
                assert not control.verified


@pytest.mark.parametrize(
    ("name", "concept_id", "label"),
    [
        ("fentanyl", "DP:fentanyl", "SUBSTANCE"),
        ("p-fluorofentanyl", "DP:para-fluorofentanyl", "SUBSTANCE"),
        ("parafluorofentanyl", "DP:para-fluorofentanyl", "SUBSTANCE"),
        ("4-ANPP", "DP:4-anpp", "PRECURSOR"),
        ("despropionyl fentanyl", "DP:4-anpp", "PRECURSOR"),
        ("norfentanyl", "DP:norfentanyl", "PRECURSOR"),
        ("phenylacetone", "DP:p2p", "PRECURSOR"),
        ("GBL", "DP:gbl", "PRECURSOR"),
        ("ephedrine", "DP:ephedrine", "PRECURSOR"),
        ("lysergic acid", "DP:lysergic-acid", "PRECURSOR"),
        ("norpseudoephedrine", "DP:norpseudoephedrine", "PRECURSOR"),
        ("cathine", "DP:cathine", "SUBSTANCE"),
        ("marihuana", "DP:cannabis", "SUBSTANCE"),
        ("dronabinol", "DP:delta-9-thc", "SUBSTANCE"),
        ("OxyContin", "DP:oxycodone", "SUBSTANCE"),
        ("synthetic opioids", "DP:synthetic-opioids", "DRUG_CLASS"),
        ("fentanyl analogs", "DP:fentanyls", "DRUG_CLASS"),
        ("precursor chemicals", "DP:precursors", "PRECURSOR"),
        ("State Department", "DP:department-of-state", "INSTITUTION"),
        ("U.S. Department of Justice", "DP:department-of-justice", "INSTITUTION"),
        ("Mexican government", "DP:government-of-mexico", "INSTITUTION"),
        ("CJNG", "DP:jalisco-new-generation-cartel", "CRIMINAL_ORG"),
        ("1988 Convention", "", "LEGAL_INSTRUMENT"),
        ("CSA", "DP:controlled-substances-act", "LEGAL_INSTRUMENT"),
    ],
)
def test_data_knows(name: str, concept_id: str, label: str) -> None:
    concept = default_store().find(name)[0]
    assert concept.label == label
    assert concept_id in ("", concept.id)


def test_data_fentanyl_is_an_opioid_by_its_classes() -> None:
    store = default_store()
    opioids = {concept.id for concept in store.descendants("DP:opioids")}
    assert {"DP:fentanyls", "DP:fentanyl", "DP:isotonitazene", "DP:heroin", "DP:methadone", "DP:codeine"} <= opioids
    assert opioids.isdisjoint({"DP:cocaine", "DP:naloxone", "DP:methamphetamine", "DP:opioid-antagonists"})


@pytest.mark.parametrize(
    "text",
    ["crack", "ice", "speed", "AA", "MDA", "VA", "DOC", "House", "Treasury", "Spice", "base", "DATA", "Footballs"],
)
def test_data_flags_ordinary_words(text: str) -> None:
    flags = [
        alias.ambiguous
        for concept in default_store().find(text)
        for alias in concept.aliases
        if normalise(alias.text) == normalise(text) and not (text == "ice" and alias.text == "ICE")
    ]
    assert flags
    assert all(flags)


LISTS = {
    "us_csa": ("US-CSA", "schedule"),
    "us_listed_chemicals": ("US-LISTED", "list"),
    "un_1961_yellow_list": ("UN-1961", "schedule"),
    "un_1971_green_list": ("UN-1971", "schedule"),
    "un_1988_red_list": ("UN-1988", "table"),
    "eu_precursors": ("EU-PRECURSOR", "category"),
    "uk_misuse": ("UK-MDA", "class"),
}


def readings(text: str) -> list[str]:
    """The text itself, what stands before a last bracket, and what stands in it."""
    match = re.fullmatch(r"(.*\S) \(([^()]*)\)", text)
    return [text, match[1], match[2]] if match else [text]


@pytest.mark.parametrize("table", LISTS)
def test_data_finds_every_row_of_a_list_with_its_control(table: str) -> None:
    regime, column = LISTS[table]
    fixed = {(row["table"], row["name"]): row for row in rows_of("corrections") if row["action"] in {"as", "skip"}}
    store = default_store()
    lost = []
    for row in rows_of(table):
        fix = fixed.get((table, row["name"]))
        if fix and fix["action"] == "skip":
            continue
        names = fix["value"].split("|") if fix else readings(row["name"])
        wanted = {(regime, schedule) for schedule in row[column].split("|")}
        found = [concept for name in names for concept in store.find(name)]
        if not any(wanted <= {(one.regime, one.schedule) for one in concept.controls} for concept in found):
            lost.append(row["name"])
        code = row.get("dea_code", "")
        if code and not any(code == one.code for concept in found for one in concept.controls):
            lost.append(f"{row['name']} {code}")
    assert lost == []


@pytest.mark.parametrize(
    ("table", "column", "label"),
    [
        ("institutions", "name", "INSTITUTION"),
        ("institutions", "acronym", "INSTITUTION"),
        ("criminal_orgs", "name", "CRIMINAL_ORG"),
        ("legal_instruments", "name", "LEGAL_INSTRUMENT"),
        ("legal_instruments", "short_name", "LEGAL_INSTRUMENT"),
        ("nps_recent", "name", ""),
        ("treatment_and_adulterants", "name", ""),
        ("street_names", "slang", ""),
        ("street_names_dea_ambiguous_extra", "slang", ""),
    ],
)
def test_data_finds_every_name_of_a_table(table: str, column: str, label: str) -> None:
    fixed = {(row["table"], row["name"]): row["value"] for row in rows_of("corrections") if row["action"] == "as"}
    store = default_store()
    lost = []
    for row in rows_of(table):
        value = fixed.get((table, row[column]), row[column]).split("|")[0]
        for text in value.split("~"):
            found = [concept for one in readings(text) for concept in store.find(one)]
            if text and not any(label in ("", concept.label) for concept in found):
                lost.append(text)
    assert lost == []
