"""Files in the shape in which each tool writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from drugpolicy_ner.corpus import Document, Format, Notes, ReadOptions, Span, read_documents, write_documents
from drugpolicy_ner.corpus.formats import detect
from drugpolicy_ner.corpus.source import Offsets, Overlaps
from drugpolicy_ner.errors import DataError, UsageError

FILES = Path(__file__).parent / "data" / "formats"


def read(name: str | Path, form: Format | None = None, **options: object) -> tuple[list[Document], dict[str, int]]:
    notes = Notes()
    found = list(read_documents(FILES / name, form, options=ReadOptions(**options), notes=notes))  # type: ignore[arg-type]
    return found, dict(notes.counts)


def surfaces(document: Document) -> list[str]:
    return [
        f"{document.text[span.start : span.end]}|{span.label}{':' if span.action else ''}{span.action}"
        for span in document.spans
    ]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("label-studio.json", Format.LABEL_STUDIO),
        ("label-studio-min.json", Format.LABEL_STUDIO),
        ("doccano.jsonl", Format.DOCCANO),
        ("doccano-relations.jsonl", Format.DOCCANO),
        ("triples.jsonl", Format.DOCCANO),
        ("prodigy.jsonl", Format.PRODIGY),
        ("tag.jsonl", Format.JSONL),
        ("spans.csv", Format.CSV),
        ("spans.tsv", Format.TSV),
        ("conll2003.conll", Format.CONLL),
        ("sentences.bilou", Format.BILOU),
        ("brat", Format.BRAT),
        ("brat/north/r-1.ann", Format.BRAT),
        ("brat/north/r-1.txt", Format.BRAT),
        ("bioc.xml", Format.BIOC_XML),
        ("bioc-bytes.json", Format.BIOC_JSON),
        ("pubtator.pubtator", Format.PUBTATOR),
        ("tokens.jsonl", Format.HUGGINGFACE),
    ],
)
def test_detection(name: str, form: Format) -> None:
    assert detect(FILES / name) is form


def test_label_studio() -> None:
    documents, notes = read("label-studio.json")
    assert [document.id for document in documents] == ["41", "42", "43"]
    assert [surfaces(document) for document in documents] == [["ketamine|CHEMICAL"], ["naloxone|CHEMICAL"], []]
    assert documents[0].meta == {"source": "port bulletin", "year": "2024"}
    assert notes == {
        "tasks of several annotations, of which the ground truth was taken": 1,
        "predictions left out": 1,
        "cancelled annotations left out": 1,
        "tasks without an annotation left out": 1,
    }


PROPOSED = [
    Document("a", "Police seized heroin.", (Span(14, 20, "SUBSTANCE"),), {"certainty": "0.75"}),
    Document("b", "Nothing."),
]


def test_label_studio_predictions_are_no_annotations(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    assert write_documents(PROPOSED, path, Format.LABEL_STUDIO, model="ours-1.0") == 2
    tasks = json.loads(path.read_text(encoding="utf-8"))
    assert [set(task) for task in tasks] == [{"id", "data", "predictions"}] * 2
    value = {"start": 14, "end": 20, "text": "heroin", "labels": ["SUBSTANCE"]}
    result = {"id": "r1", "to_name": "text", "from_name": "label", "type": "labels", "value": value}
    assert tasks[0]["predictions"] == [{"model_version": "ours-1.0", "score": 0.75, "result": [result]}]
    assert tasks[1]["predictions"] == [{"model_version": "ours-1.0", "result": []}]
    assert detect(path) is Format.LABEL_STUDIO
    left_out = "tasks with predictions that nobody has accepted or corrected left out"
    with pytest.raises(DataError, match=rf"holds no documents that can be taken: {left_out}: 2 \(first in a\)"):
        read(path)
    assert read(path, proposals=True)[0] == PROPOSED

    tasks[0]["annotations"] = [{"result": []}]  # someone has looked and found nothing
    path.write_text(json.dumps(tasks), encoding="utf-8")
    documents, notes = read(path)
    assert [(document.id, document.spans) for document in documents] == [("a", ())]
    assert notes == {"predictions left out": 1, left_out: 1}
    assert [document.spans for document in read(path, proposals=True)[0]] == [(), ()]


def test_prodigy_proposals_have_no_answer_and_count_as_accepted(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    assert write_documents(PROPOSED, path, Format.PRODIGY, model="ours-1.0") == 2
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [set(row) for row in rows] == [{"id", "text", "spans", "meta"}] * 2
    assert rows[0]["spans"] == [{"start": 14, "end": 20, "label": "SUBSTANCE", "source": "ours-1.0"}]
    documents, notes = read(path)
    assert documents == PROPOSED
    assert notes == {"documents without an answer taken as accepted": 2}


def test_proposals_are_written_as_annotations_where_a_format_makes_no_difference(tmp_path: Path) -> None:
    write_documents(PROPOSED, tmp_path / "a.jsonl", Format.DOCCANO)
    write_documents(PROPOSED, tmp_path / "b.jsonl", Format.DOCCANO, model="ours-1.0")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_label_studio_takes_the_last_annotation_and_the_choice_of_a_region(tmp_path: Path) -> None:
    tasks = json.loads((FILES / "label-studio.json").read_text(encoding="utf-8"))
    for annotation in tasks[0]["annotations"]:
        annotation["ground_truth"] = False
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks[:1]), encoding="utf-8")
    (document,), notes = read(path)
    assert surfaces(document) == ["Harbour officers|AGENCY", "seized|POLICY_VERB:ENFORCE", "ketamine 🚢|CHEMICAL"]
    assert notes["tasks of several annotations, of which the last was taken"] == 1
    assert notes["relations left out"] == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"start": 0, "end": 1, "labels": ["A", "B"]}, "a region has several labels or action classes: A, B"),
        ({"start": "/p[1]/text()[1]", "end": "/p[1]", "labels": ["A"]}, "only plain Text has offsets, not HTML"),
    ],
)
def test_label_studio_regions_that_are_no_spans(tmp_path: Path, value: dict[str, object], message: str) -> None:
    result = {"id": "r", "type": "labels", "value": value}
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"data": {"text": "abc"}, "annotations": [{"result": [result]}]}]), encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)):
        read(path)


def test_label_studio_text_under_another_name(tmp_path: Path) -> None:
    task = {"id": 1, "data": {"body": "abc"}, "annotations": [{"result": []}]}
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task]), encoding="utf-8")
    assert read(path)[0] == [Document("1", "abc")]
    task["data"] = {"body": "abc", "title": "d"}
    path.write_text(json.dumps([task]), encoding="utf-8")
    with pytest.raises(DataError, match="choose the text with data convert --text-field"):
        read(path)
    assert read(path, text_field="body")[0] == [Document("1", "abc", (), {"title": "d"})]


def test_label_studio_min() -> None:
    documents, notes = read("label-studio-min.json")
    assert surfaces(documents[0]) == ["Harbour officers|AGENCY", "seized|POLICY_VERB:ENFORCE", "ketamine|CHEMICAL"]
    assert (documents[0].id, documents[0].meta) == ("41", {"source": "port bulletin"})
    assert documents[1] == Document("43", "The library closes early on Friday.")
    assert notes == {"tasks of several annotations, of which the last was taken": 1}


def test_doccano_counts_utf16() -> None:
    documents, notes = read("doccano.jsonl")
    assert surfaces(documents[0]) == ["Customs|AGENCY", "tramadol|CHEMICAL"]
    assert surfaces(documents[1]) == ["naloxone|CHEMICAL"]
    assert documents[1].meta == {"region": "north"}
    assert notes["comments left out"] == 1
    assert any("U+FFFF" in note for note in notes)
    documents, notes = read("doccano.jsonl", offsets=Offsets.CHARACTERS)
    assert surfaces(documents[1]) == ["aloxone.|CHEMICAL"]
    assert not any("U+FFFF" in note for note in notes)
    documents, notes = read("doccano-relations.jsonl")
    assert surfaces(documents[0]) == ["Customs|AGENCY", "tramadol|CHEMICAL"]
    assert notes == {"relations left out": 1}


def test_triples_count_characters() -> None:
    documents, notes = read("triples.jsonl")
    assert surfaces(documents[0]) == ["naloxone|CHEMICAL"]
    assert notes == {}


def test_prodigy_takes_what_was_accepted() -> None:
    documents, notes = read("prodigy.jsonl")
    assert [surfaces(document) for document in documents] == [["Customs|AGENCY", "tramadol|CHEMICAL"], []]
    assert documents[0].meta == {"source": "bulletin", "page": "3"}
    assert [document.id for document in documents] == ["prodigy:1", "prodigy:4"]
    assert notes == {"documents answered with reject left out": 1, "documents answered with ignore left out": 1}


def test_output_of_tag() -> None:
    (document,), notes = read("tag.jsonl")
    assert surfaces(document) == ["DEA|INSTITUTION", "seized|POLICY_VERB:ENFORCE", "tramadol|SUBSTANCE"]
    assert document.meta == {"year": "2024", "genre": "news"}
    assert notes == {"field 'concept' of entities left out": 2, "field 'source' of entities left out": 3}


def test_tables() -> None:
    documents, notes = read("spans.csv")
    assert documents[0].text == 'Customs found "blue" tramadol,\nthen left.'
    assert surfaces(documents[0]) == ["Customs|AGENCY", "tramadol|CHEMICAL"]
    assert documents[1] == Document("r-2", "The council met on Tuesday.", (), {"annotator": "anna"})
    assert notes == {"values of column 'annotator' left out: another than in the document's first row": 1}
    (document,), notes = read("spans.tsv")
    assert surfaces(document) == ["seized|POLICY_VERB:ENFORCE", "tramadol|CHEMICAL"]
    assert notes == {}


def test_conll() -> None:
    documents, notes = read("conll2003.conll")
    assert documents[0].text == "Customs found tramadol and ketamine hydrochloride .\nIt was sold ."
    assert surfaces(documents[0]) == ["Customs|AGENCY", "tramadol|CHEMICAL", "ketamine hydrochloride|CHEMICAL"]
    assert [document.id for document in documents] == ["conll2003:1", "conll2003:2"]
    assert notes == {"values in columns beside token and tag left out": 28}
    documents, notes = read("sentences.bilou")
    assert documents[0].text == "Customs found ketamine hydrochloride."
    assert surfaces(documents[0]) == ["Customs|AGENCY", "ketamine hydrochloride|CHEMICAL"]
    assert documents[1].text == "Rain fell #Quito"
    assert notes == {}


def test_bioes_and_columns_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.bioes"
    lines = [
        "# global.columns = ID NER FORM ACTION",
        "# sent_id = s",
        "# text = Police seized pure ice.",
        "# lang = en",
    ]
    rows = ["1 O Police _", "2 S-POLICY_VERB seized ENFORCE", "3 B-X pure _", "4 E-X ice _", "5 O . _"]
    path.write_text("\n".join(lines + rows), encoding="utf-8")
    (document,), notes = read(path)
    assert (document.id, document.text) == ("s", "Police seized pure ice.")
    assert surfaces(document) == ["seized|POLICY_VERB:ENFORCE", "pure ice|X"]
    assert notes == {"values in columns beside token and tag left out": 5, "comments left out": 1}


def test_brat() -> None:
    documents, notes = read("brat")
    assert [document.id for document in documents] == ["north/r-1", "r/2"]
    assert surfaces(documents[0]) == [
        "Customs|AGENCY",
        "found|POLICY_VERB:MONITOR",
        "ketamine|CHEMICAL",
        "crude\ncodeine|CHEMICAL",
    ]
    assert notes == {
        "events left out": 1,
        "attributes that are no action class left out": 1,
        "relations left out": 2,
        "normalisations left out": 1,
        "notes left out": 1,
        "texts without an .ann file left out": 1,
    }


def test_brat_spans_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nitrous or laughing oxide", encoding="utf-8")
    (tmp_path / "a.ann").write_text("T1\tCHEMICAL 0 7;20 25\tnitrous oxide\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"several pieces, 'nitrous oxide'.*--discontinuous") as caught:
        read(tmp_path)
    assert (caught.value.line, caught.value.doc_id) == (1, "a")
    (document,), notes = read(tmp_path, discontinuous=True)
    assert surfaces(document) == ["nitrous or laughing oxide|CHEMICAL"]
    assert notes == {"spans in several pieces taken from first to last": 1}


def test_bioc() -> None:
    (document,), notes = read("bioc.xml")
    assert document.text == "Café raid: tramadol & codeine\nCustoms found both."
    assert surfaces(document) == ["tramadol|CHEMICAL", "Customs|AGENCY"]
    assert (document.id, document.meta) == ("7001", {"license": "open"})
    assert notes == {"infons of passages left out": 2, "infons of annotations left out": 1, "relations left out": 1}
    (document,), _ = read("bioc-bytes.json")
    assert surfaces(document) == ["tramadol|CHEMICAL"]


def test_bioc_says_what_it_leaves_out(tmp_path: Path) -> None:
    annotation = {"id": "1", "infons": {"type": "X"}, "text": "ab", "locations": [{"offset": 7, "length": 2}]}
    sentences = [{"offset": 7, "text": "ab cd", "annotations": [annotation]}]
    passages = [{"offset": 7, "sentences": sentences, "annotations": [annotation]}]
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"infons": {"a": "b"}, "documents": [{"id": "d", "passages": passages}]}), encoding="utf-8"
    )
    (document,), notes = read(path)
    assert (document.text, surfaces(document)) == ("ab cd", ["ab|X"])
    assert notes == {
        "infons of the collection left out": 1,
        "annotations of passages or sentences without a text of their own left out": 1,
    }


def test_bioc_xml_refuses_entities(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    path.write_text('<!DOCTYPE c [\n<!ENTITY a "aaaa">]>\n<collection><document/></collection>', encoding="utf-8")
    with pytest.raises(DataError, match="declares the entity 'a'") as caught:
        read(path, Format.BIOC_XML)
    assert caught.value.line == 2


def test_pubtator() -> None:
    documents, notes = read("pubtator.pubtator")
    assert documents[0].text == "Tramadol at the border. Customs found tramadol twice."
    assert surfaces(documents[0]) == [
        "Tramadol|Chemical",
        "Customs|AGENCY",
        "found|POLICY_VERB:MONITOR",
        "tramadol|Chemical",
    ]
    assert documents[1] == Document("7002", "Rain fell.")
    assert notes == {"concept ids left out": 2, "relations left out": 1}


def test_huggingface_tokens(tmp_path: Path) -> None:
    documents, _ = read("tokens.jsonl")
    assert [surfaces(document) for document in documents] == [["Customs|AGENCY", "tramadol|CHEMICAL"], []]
    assert documents[0].text == "Customs found tramadol ."
    import datasets

    names = datasets.ClassLabel(names=["O", "B-CHEMICAL", "I-CHEMICAL"])
    features = datasets.Features({"tokens": [datasets.Value("string")], "ner_tags": [names]})
    rows = {"tokens": [["pure", "ketamine", "base"]], "ner_tags": [[0, 1, 2]]}
    split = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": split, "test": split}).save_to_disk(tmp_path / "saved")
    documents, _ = read(tmp_path / "saved")
    assert [document.id for document in documents] == ["train:1", "test:1"]
    assert [document.meta for document in documents] == [{"split": "train"}, {"split": "test"}]
    assert surfaces(documents[1]) == ["ketamine base|CHEMICAL"]
    split.to_parquet(tmp_path / "rows.parquet")
    assert detect(tmp_path / "rows.parquet") is Format.HUGGINGFACE
    assert surfaces(read(tmp_path / "rows.parquet")[0][0]) == ["ketamine base|CHEMICAL"]


def test_folder_of_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        row = {"text": "Customs found tramadol.", "label": [[14, 22, "CHEMICAL"]]}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row), encoding="utf-8")
    documents, _ = read(tmp_path)
    assert [document.id for document in documents] == ["a:1", "b:1"]
    (tmp_path / "c.jsonl").write_text('{"text": "x", "ents": []}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"several formats: doccano \(a.jsonl\), jsonl \(c.jsonl\).*--from"):
        read(tmp_path)


def test_edges_doubles_and_overlaps(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    spans = [[0, 8, "AGENCY"], [0, 8, "AGENCY"], [13, 14, "FORM"], [14, 22, "CHEMICAL"]]
    path.write_text(json.dumps({"id": "d", "text": "Customs found tramadol.", "label": spans}), encoding="utf-8")
    (document,), notes = read(path)
    assert surfaces(document) == ["Customs|AGENCY", "tramadol|CHEMICAL"]
    assert notes == {
        "spans trimmed of white space at an edge": 2,
        "spans that stood twice left out once": 1,
        "spans of nothing but white space left out": 1,
    }
    with pytest.raises(DataError, match=r"\[d\]: span 'Customs ' \(AGENCY\) begins or ends with white space"):
        read(path, strict=True)
    spans = [[8, 22, "EVENT"], [14, 22, "CHEMICAL"]]
    path.write_text(json.dumps({"id": "d", "text": "Customs found tramadol.", "label": spans}), encoding="utf-8")
    message = r"\[d\]: spans 'found tramadol' \(EVENT\) and 'tramadol' \(CHEMICAL\) overlap.*--overlaps longest"
    with pytest.raises(DataError, match=message):
        read(path)
    (document,), notes = read(path, overlaps=Overlaps.LONGEST)
    assert surfaces(document) == ["found tramadol|EVENT"]
    assert notes == {"overlapping spans left out for a longer one": 1}


def test_without_notes_the_log_says_what_was_left_out(caplog: pytest.LogCaptureFixture) -> None:
    list(read_documents(FILES / "doccano-relations.jsonl"))
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == ["relations left out: 1 (first in 21)"]
