from __future__ import annotations

import pytest
import spacy

from drugpolicy_ner.actions import Verb
from drugpolicy_ner.build import assemble, save, train
from drugpolicy_ner.concepts import Alias, Concept
from drugpolicy_ner.corpus import Document, Span, write_marked
from drugpolicy_ner.errors import DrugPolicyError
from drugpolicy_ner.forms import Form

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
    with pytest.raises(OSError, match="disk full"):
        save(blank, target)
    assert sorted(path.name for path in target.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_build_train_learns_and_saves_without_paths(root, tmp_path):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.txt").write_text(write_marked([DOCUMENT]), encoding="utf-8")
    nlp = train(
        root / "configs/sm.cfg",
        tmp_path / "trained",
        train=tmp_path / "train.txt",
        dev=tmp_path / "dev.txt",
        overrides={
            "training.max_steps": 60,
            "training.eval_frequency": 20,
            "components.tok2vec.model.embed.include_static_vectors": False,
        },
    )
    assert [(ent.text, ent.label_) for ent in nlp(TEXT).ents] == [("seized", "POLICY_VERB"), ("fentanyl", "SUBSTANCE")]
    assert str(tmp_path) not in (tmp_path / "trained/config.cfg").read_text(encoding="utf-8")
