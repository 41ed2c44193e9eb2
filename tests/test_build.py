from __future__ import annotations

import pytest
import spacy
from spacy.training import Example

from drugpolicy_ner.actions import Verb
from drugpolicy_ner.build import assemble, check_target, keep_trained, load_trained, open_model, save
from drugpolicy_ner.concepts import Alias, Concept
from drugpolicy_ner.corpus import Document, Span
from drugpolicy_ner.corpus.check import align
from drugpolicy_ner.errors import DrugPolicyError, OutputError, UsageError
from drugpolicy_ner.forms import Form
from drugpolicy_ner.tagging import load_pipeline

TEXT = "Police seized fentanyl in Ohio."
DOCUMENT = Document("a", TEXT, (Span(7, 13, "POLICY_VERB", "ENFORCE"), Span(14, 22, "SUBSTANCE")))
CONCEPT = Concept("DP:fentanyl", "fentanyl", "SUBSTANCE", aliases=(Alias("fentanyl"),))
FORM = Form("schedule", "CONTROL_STATUS", r"Schedule [IV]+")
FAMILY = Form("nitazene", "SUBSTANCE", r"\b[a-z]+nitazene\b", ("nitazene",), concept="DP:nitazenes")


@pytest.fixture
def blank(root):
    nlp = spacy.blank("en")
    nlp.tokenizer = spacy.registry.tokenizers.get("drugpolicy.Tokenizer.v1")()(nlp)
    return nlp


def put_together(trained, config):
    return assemble(
        trained,
        config,
        concepts=[CONCEPT],
        forms=[FORM],
        families=[FAMILY],
        verbs=[Verb("seize", "ENFORCE")],
        documents=[DOCUMENT],
    )


def test_build_assemble_fills_the_components_and_survives_the_disk(blank, root, tmp_path):
    nlp = put_together(blank, root / "configs/pipeline.cfg")
    save(nlp, tmp_path / "model")
    for pipeline in nlp, spacy.load(tmp_path / "model"):
        doc = pipeline("Fentanyl and butonitazene stay in Schedule II.")
        assert [(ent.text, ent.label_, ent.kb_id_) for ent in doc.ents] == [
            ("Fentanyl", "SUBSTANCE", "DP:fentanyl"),
            ("butonitazene", "SUBSTANCE", "DP:nitazenes"),
            ("Schedule II", "CONTROL_STATUS", ""),
        ]


def test_build_assemble_needs_its_components(blank, root, tmp_path):
    text = (root / "configs/pipeline.cfg").read_text(encoding="utf-8")
    config = tmp_path / "pipeline.cfg"
    config.write_text(text.replace('"drugpolicy_forms",', ""), encoding="utf-8")
    with pytest.raises(DrugPolicyError, match="'drugpolicy_forms'"):
        put_together(blank, config)


def test_build_save_replaces_whole_and_leaves_nothing_on_failure(blank, tmp_path, monkeypatch):
    target = tmp_path / "model"
    save(blank, target)
    before = sorted(path.name for path in target.iterdir())

    def fail(path, **options):
        raise OSError("disk full")

    monkeypatch.setattr(blank, "to_disk", fail)
    with pytest.raises(OutputError, match="model: cannot be written: disk full"):
        save(blank, target)
    assert sorted(path.name for path in target.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_build_verbs_without_an_action_class_teach_nothing(blank, root):
    spans = (Span(7, 13, "POLICY_VERB"), Span(14, 22, "SUBSTANCE"))
    nlp = assemble(
        blank,
        root / "configs/pipeline.cfg",
        concepts=[CONCEPT],
        forms=[FORM],
        families=[FAMILY],
        verbs=[Verb("seize", "SANCTION")],
        documents=[Document("a", TEXT, spans)],
    )
    doc = nlp.make_doc(TEXT)
    assert nlp.get_pipe("drugpolicy_actions").classify([doc[1:2]]) == ["SANCTION"]


def test_build_keep_trained_takes_the_rules_away(blank, root):
    nlp = put_together(blank, root / "configs/pipeline.cfg")
    with pytest.raises(UsageError, match="no component 'ner', but drugpolicy_gazetteer"):
        keep_trained(nlp)
    nlp.add_pipe("ner", first=True)
    keep_trained(nlp)
    assert nlp.pipe_names == ["ner"]


def test_build_load_trained_does_not_need_the_rules(blank, root, tmp_path):
    nlp = put_together(blank, root / "configs/pipeline.cfg")
    nlp.add_pipe("ner", first=True).add_label("SUBSTANCE")
    nlp.get_pipe("ner").initialize(lambda: [Example(nlp.make_doc(TEXT), align(DOCUMENT, nlp.tokenizer))])
    save(nlp, tmp_path / "model")
    (tmp_path / "model/drugpolicy_linker").write_bytes(b"\x80")
    with pytest.raises(UsageError, match="damaged or of another version of drugpolicy-ner"):
        load_pipeline(str(tmp_path / "model"))
    assert load_trained(str(tmp_path / "model")).pipe_names == ["ner"]


def test_build_open_model_takes_a_package_before_a_folder_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "drugpolicy_ner").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "ner" in open_model("drugpolicy_ner").pipe_names


def test_build_check_target_spares_what_is_no_pipeline(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.docx").touch()
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    check_target(tmp_path / "new")
    for name, message in [("file", "is a file"), ("folder", "something else"), ("none/model", "make it first")]:
        with pytest.raises(OutputError, match=message):
            check_target(tmp_path / name)


def test_build_save_leaves_no_path_of_this_machine(blank, tmp_path):
    blank.config["paths"].update({"train": str(tmp_path), "encoder": str(tmp_path)})
    blank.config["initialize"]["vectors"] = str(tmp_path)
    save(blank, tmp_path / "model")
    assert str(tmp_path) not in (tmp_path / "model/config.cfg").read_text(encoding="utf-8")
    assert spacy.load(tmp_path / "model").config["paths"]["encoder"] == tmp_path.name
