from __future__ import annotations

import pytest


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
