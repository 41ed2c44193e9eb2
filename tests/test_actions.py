from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Span
from spacy.vectors import Vectors

from drugpolicy_ner.actions import (
    Actions,
    Topic,
    Verb,
    default_topics,
    default_verbs,
    default_weights,
    read_weights,
    stem,
    write_weights,
)
from drugpolicy_ner.errors import DataError
from drugpolicy_ner.labels import ACTIONS


def verb(nlp, text, start, end=None):
    doc = nlp(text)
    return doc[start : end or start + 1]


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.fixture(scope="module")
def trained(nlp):
    actions = Actions(nlp.vocab)
    actions.train(
        [
            (verb(nlp, "Police seized pills", 1), "ENFORCE"),
            (verb(nlp, "Agents seizing heroin", 1), "ENFORCE"),
            (verb(nlp, "The bill bans kratom", 2), "CONTROL"),
            (verb(nlp, "It banned kratom", 1), "CONTROL"),
            (verb(nlp, "They cut down harm", 1, 3), "PREVENT_TREAT"),
        ]
    )
    return actions


@pytest.mark.parametrize(
    ("text", "start", "end", "action"),
    [
        ("Customs will seize it", 2, 3, "ENFORCE"),
        ("to ban vapes", 1, 2, "CONTROL"),
        ("cutting down on it", 0, 2, "PREVENT_TREAT"),
    ],
)
def test_actions_learn_a_verb_with_its_inflections(nlp, trained, text, start, end, action):
    assert trained.classify([verb(nlp, text, start, end)]) == [action]


def test_actions_are_decided_by_context_where_the_verb_is_not_enough():
    nlp = spacy.blank("en")
    words = {"sanctions": [1.0, 0.0], "assets": [0.9, 0.1], "jail": [0.0, 1.0], "prison": [0.1, 0.9]}
    nlp.vocab.vectors = Vectors(shape=(4, 2))
    for word, vector in words.items():
        nlp.vocab.set_vector(word, vector)
    actions = Actions(nlp.vocab)
    actions.train(
        [
            (verb(nlp, "to impose sanctions", 1), "SANCTION"),
            (verb(nlp, "to impose jail", 1), "ENFORCE"),
        ]
    )
    assert actions.classify([verb(nlp, "to impose assets", 1)]) == ["SANCTION"]
    assert actions.classify([verb(nlp, "to impose prison", 1)]) == ["ENFORCE"]


def test_actions_set_only_policy_verbs(nlp, trained):
    doc = nlp("Police seized heroin")
    doc.set_ents(
        [Span(doc, 1, 2, label="POLICY_VERB"), Span(doc, 2, 3, label="SUBSTANCE", kb_id="DP:heroin", span_id="x")]
    )
    doc = trained(doc)
    assert [(e.label_, e.kb_id_, e.id_) for e in doc.ents] == [
        ("POLICY_VERB", "ENFORCE", ""),
        ("SUBSTANCE", "DP:heroin", "x"),
    ]


def test_actions_training_is_deterministic(nlp, trained):
    data = [(verb(nlp, "Police seized pills", 1), "ENFORCE"), (verb(nlp, "It banned kratom", 1), "CONTROL")]
    twice = [Actions(nlp.vocab), Actions(nlp.vocab)]
    for actions in twice:
        actions.train(data, default_verbs())
    assert twice[0].to_bytes() == twice[1].to_bytes()


def test_actions_are_saved_and_loaded(nlp, trained, tmp_path):
    span = verb(nlp, "Customs will seize it", 2)
    trained.to_disk(tmp_path / "actions")
    for loaded in (
        Actions(nlp.vocab).from_disk(tmp_path / "actions"),
        Actions(nlp.vocab).from_bytes(trained.to_bytes()),
    ):
        assert loaded.classify([span]) == ["ENFORCE"]


def test_actions_default_verbs_cover_every_class():
    assert {item.action for item in default_verbs()} == set(ACTIONS)
    assert Verb("seize", "ENFORCE") in default_verbs()


@pytest.mark.parametrize(
    "forms",
    [
        "seize seizes seized seizing",
        "ban bans banned banning",
        "deny denies denied denying",
        "take takes took taken taking",
        "withhold withheld",
        "legalize legalise legalising legalizes",
        "analyse analyzed",
        "co-operate cooperating",
    ],
)
def test_actions_stem_is_shared_by_the_forms_of_a_verb(forms):
    assert len({stem(form) for form in forms.split()}) == 1


def test_actions_entities_around_the_verb_count():
    nlp = spacy.blank("en")
    examples = []
    for text, label, action in (
        ("officials target Foo now", "CRIMINAL_ORG", "ENFORCE"),
        ("officials target Bar now", "SUBSTANCE", "PREVENT_TREAT"),
    ) * 2:
        doc = nlp(text)
        doc.set_ents([Span(doc, 1, 2, label="POLICY_VERB"), Span(doc, 2, 3, label=label)])
        examples.append((doc.ents[0], action))
    actions = Actions(nlp.vocab)
    actions.train(examples)
    assert [actions.classify([span]) for span, _ in examples] == [[action] for _, action in examples]


@pytest.mark.parametrize(
    ("text", "start", "action"),
    [
        ("They will impose new economic sanctions", 2, "SANCTION"),
        ("They impose a sentence", 1, "ENFORCE"),
        ("Sanctions were imposed", 2, "SANCTION"),
        ("Police cracked down on it", 1, "ENFORCE"),
    ],
)
def test_actions_words_of_the_list_count_as_object_and_as_particle(nlp, text, start, action):
    actions = Actions(nlp.vocab)
    rows = [Verb("impose", "SANCTION", "sanctions"), Verb("impose", "ENFORCE", "sentence")]
    actions.train([], [*rows, Verb("crack", "LEGISLATE", "wise"), Verb("crack", "ENFORCE", "down")], topics=[])
    assert actions.classify([verb(nlp, text, start)]) == [action]


def test_actions_a_verb_of_the_list_carries_its_reading_to_where_it_was_never_annotated(nlp):
    actions = Actions(nlp.vocab)
    actions.train([(verb(nlp, "It banned kratom", 1), "CONTROL")], [Verb("urge", "ADVOCATE")])
    assert actions.classify([verb(nlp, "They urged us", 1)]) == ["ADVOCATE"]


def test_actions_an_annotated_verb_outweighs_rows_of_the_list(nlp):
    actions = Actions(nlp.vocab)
    actions.train([(verb(nlp, "They tabled", 1), "ADVOCATE")], [Verb("table", "LEGISLATE")] * 2, topics=[])
    assert actions.classify([verb(nlp, "Tabled", 0)]) == ["ADVOCATE"]


def test_actions_go_on_from_weights_and_keep_what_these_know(nlp, trained):
    actions = Actions(nlp.vocab)
    actions.train([(verb(nlp, "They tabled it", 1), "LEGISLATE")] * 2, start=trained.weights)
    assert actions.classify([verb(nlp, "She tables it", 1)]) == ["LEGISLATE"]
    assert actions.classify([verb(nlp, "Customs will seize it", 2)]) == ["ENFORCE"]


def test_actions_weights_of_word_vectors_count_only_where_there_are_as_many(nlp, trained):
    other = spacy.blank("en")
    other.vocab.vectors = Vectors(shape=(1, 2))
    other.vocab.set_vector("pills", [1.0, 0.0])
    actions = Actions(other.vocab)
    actions.train([(verb(other, "They tabled it", 1), "LEGISLATE")], start=trained.weights)
    assert len(actions.weights.weights) == 1 + len(actions.weights.names) + 3 * 2
    assert actions.classify([verb(other, "Customs will seize it", 2)]) == ["ENFORCE"]


def test_actions_weights_survive_the_disk(trained):
    weights = read_weights(write_weights(trained.weights))
    assert weights.names == trained.weights.names
    assert weights.weights == pytest.approx(trained.weights.weights, abs=2e-3)
    assert weights.context == pytest.approx(trained.weights.context)


def test_actions_default_weights_have_a_row_for_each_name():
    names, weights, context = default_weights()
    assert len(set(names)) == len(names) > 10_000
    assert weights.shape[1] == len(ACTIONS)
    assert len(weights) > 1 + len(names)
    assert context.shape == (1 + 6 * len(ACTIONS), len(ACTIONS))


def test_actions_topics_carry_over_to_words_that_were_never_annotated(nlp):
    actions = Actions(nlp.vocab)
    topics = [Topic("money", ("dollars", "grants")), Topic("health", ("care", "treatment"))]
    examples = [
        (verb(nlp, "to provide dollars", 1), "FUND"),
        (verb(nlp, "to provide care", 1), "PREVENT_TREAT"),
    ] * 2
    actions.train(examples, topics=topics)
    assert actions.classify([verb(nlp, "to provide grants", 1)]) == ["FUND"]
    assert actions.classify([verb(nlp, "to provide treatment", 1)]) == ["PREVENT_TREAT"]


def test_actions_the_next_sentence_does_not_count(nlp):
    actions = Actions(nlp.vocab)
    actions.train([], [Verb("impose", "SANCTION", "sanctions"), Verb("impose", "ENFORCE")], topics=[])
    assert actions.classify([verb(nlp, "It was imposed. Sanctions followed", 2)]) == ["ENFORCE"]


def test_actions_default_topics_have_distinct_names_and_lower_case_words():
    topics = default_topics()
    assert len({topic.name for topic in topics}) == len(topics) > 10
    assert all(word == word.lower() and word.strip() for topic in topics for word in topic.words)


def test_actions_default_verbs_give_one_reading_for_a_verb_with_its_word():
    readings = {}
    for item in default_verbs():
        if item.context:
            readings.setdefault((stem(item.verb), stem(item.context)), set()).add(item.action)
    assert [key for key, actions in readings.items() if len(actions) > 1] == []


@pytest.mark.parametrize(
    ("name", "line", "read"),
    [
        ("verbs.jsonl", '{"verb": "ban", "action": "FORBID"}', default_verbs),
        ("verbs.jsonl", '{"verb": "ban", "action": "CONTROL", "near": "it"}', default_verbs),
        ("topics.jsonl", '{"topic": "money", "words": []}', default_topics),
        ("topics.jsonl", '{"words": ["money"]}', default_topics),
    ],
)
def test_actions_a_bad_row_is_named_with_its_line(monkeypatch, tmp_path, name, line, read):
    (tmp_path / "data").mkdir()
    good = {"verbs.jsonl": '{"verb": "ban", "action": "CONTROL"}', "topics.jsonl": '{"topic": "a", "words": ["b"]}'}
    (tmp_path / "data" / name).write_text(f"{good[name]}\n{line}\n", encoding="utf-8")
    monkeypatch.setattr("drugpolicy_ner.actions.resources.files", lambda package: tmp_path)
    with pytest.raises(DataError, match=name) as caught:
        read()
    assert caught.value.line == 2


def test_actions_neighbours_decide_a_doubtful_verb(nlp, trained):
    def spans(text, *places):
        doc = nlp(text)
        return [doc[i : i + 1] for i in places]

    actions = Actions(nlp.vocab)
    actions.train([(spans("to seize it", 1)[0], "ENFORCE"), (spans("to ban it", 1)[0], "CONTROL")])
    documents = []
    for text, action in (("to seize and mend it", "ENFORCE"), ("to ban and mend it", "CONTROL")) * 20:
        verbs = spans(text, 1, 3)
        documents.append((verbs, actions.odds(verbs), [action, action]))
    alone = spans("to seize it. To mend it", 1, 5)
    before = actions.classify(alone)
    actions.train_context(documents)
    assert actions.classify(spans("They ban and mend it", 1, 3)) == ["CONTROL", "CONTROL"]
    assert actions.classify(spans("They seize and mend it", 1, 3)) == ["ENFORCE", "ENFORCE"]
    assert actions.classify(alone)[0] == before[0]
    loaded = Actions(nlp.vocab).from_bytes(actions.to_bytes())
    assert loaded.classify(spans("They ban and mend it", 1, 3)) == ["CONTROL", "CONTROL"]
    actions.train([(spans("to seize it", 1)[0], "ENFORCE")], start=actions.weights)
    assert (actions.weights.context == loaded.weights.context).all()
    assert actions.classify([]) == []
