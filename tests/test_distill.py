from __future__ import annotations

import json
from hashlib import sha256

import pytest
import spacy

from drugpolicy_ner.corpus import Document, Span
from drugpolicy_ner.errors import DataError


@pytest.fixture(scope="module")
def distill(script):
    return script("distill")


def test_distill_pieces_lose_no_word_and_end_with_a_sentence(distill):
    text = "The agency seized heroin. It said so on Monday.\nNobody was hurt; two were held. " * 30
    found = list(distill.pieces(text, words=20))
    assert " ".join(found).split() == text.split()
    assert {piece[-1] for piece in found} <= {".", ";"}


def test_distill_most_teachers_decide(distill):
    votes = {
        (0, 3, "INSTITUTION"): [False, True, True],
        (4, 10, "POLICY_VERB"): [True, True],
        (11, 15, "SUBSTANCE"): [True],
    }
    assert distill.majority(votes, 3) == [(0, 3, "INSTITUTION", False), (4, 10, "POLICY_VERB", True)]
    assert distill.majority(votes, 1) == [*distill.majority(votes, 3), (11, 15, "SUBSTANCE", True)]


def test_distill_guesses_stay_where_they_are_steady(distill):
    texts = ["Ayla met Borg.", "Ayla and Borg and Ayla", "Borg sat, Borg slept"]
    guess = distill.Entity
    found = [
        [guess(0, 4, "INSTITUTION", True), guess(9, 13, "INSTITUTION", True)],
        [guess(0, 4, "INSTITUTION", True), guess(18, 22, "INSTITUTION", True)],
        [],
    ]
    assert distill.steady(texts, found) == {("Ayla", "INSTITUTION")}


@pytest.fixture
def raw(tmp_path):
    text = "Nothing here.\r\nThe DEA seized heroïn. The end.\n"
    (tmp_path / "reports.txt").write_bytes(text.encode())
    start = text.index("The DEA")
    passage = text[start : start + 22]
    row = {
        "file": "reports.txt",
        "start": start,
        "end": start + 22,
        "sha256": sha256(passage.encode()).hexdigest()[:16],
    }
    spans = [[4, 7, "INSTITUTION"], [8, 14, "POLICY_VERB", "ENFORCE"]]
    (tmp_path / "marks.jsonl").write_text(json.dumps({**row, "spans": spans}) + "\n")
    return tmp_path


def test_distill_reads_annotated_passages_from_their_place(distill, raw):
    spans = (Span(4, 7, "INSTITUTION"), Span(8, 14, "POLICY_VERB", "ENFORCE"))
    assert list(distill.read(raw, raw / "marks.jsonl")) == [
        Document("reports.txt:15", "The DEA seized heroïn.", spans),
    ]


@pytest.mark.parametrize("change", ["missing", "other"])
def test_distill_refuses_another_version_of_raw_text(distill, raw, change):
    if change == "missing":
        (raw / "reports.txt").unlink()
    else:
        (raw / "reports.txt").write_text("Another text that is longer than the one that was annotated.")
    with pytest.raises(DataError, match=r"marks\.jsonl:1: .*reports\.txt"):
        list(distill.read(raw, raw / "marks.jsonl"))


def test_distill_keeps_texts_about_drugs_and_some_others(distill):
    about = [Document(f"a{i}", "Congress voted on the drug bill") for i in range(7)]
    others = [Document(f"o{i}", "Congress voted on the farm bill") for i in range(10)]
    named = [Document("n", "Congress voted on cocaine", (Span(18, 25, "SUBSTANCE"),))]
    kept = [document.id for document in distill.focus([*about, *others, *named])]
    assert kept == [document.id for document in about] + ["o4", "o9", "n"]


def test_distill_favours_verbs(distill):
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner", config={"model": {"use_upper": True}})
    for label in ("INSTITUTION", "POLICY_VERB"):
        ner.add_label(label)
    nlp.initialize()
    moves = [ner.moves.get_class_name(i) for i in range(ner.moves.n_moves)]
    output = next(n for n in ner.model.walk() if n.name == "linear" and n.get_dim("nO") == len(moves))
    before = output.get_param("b").copy()
    distill.favour_verbs(nlp)
    raised = {move for move, old, new in zip(moves, before, output.get_param("b"), strict=True) if new > old}
    assert raised == {"B-POLICY_VERB", "U-POLICY_VERB"}
