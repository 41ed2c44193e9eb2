"""What every component owes to spaCy, asked of all of them in one suite."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import load_model_from_config, load_model_from_path

from drugpolicy_ner.actions import Verb
from drugpolicy_ner.concepts import Alias, Concept
from drugpolicy_ner.forms import Form

TEXTS = [
    "The DEA seized 40 kilograms of fentanyl and banned crack and butyryl fentanyl under 21 U.S.C. 811.",
    "",
    " \n\t ",
    "Nothing to see here.",
    "The Bureau of Drugs (BOD) listed N-phenyl-N-(piperidin-4-yl)butanamide and acetyl fentanyl; BOD seized it.",
    "Fentanyl-laced heroin; the DEA’s agents banned it. " * 3,
    "{{ \\ \u00ad\u200b\x00 🙂 𝔉𝔢𝔫𝔱𝔞𝔫𝔶𝔩 }}",
]
CONCEPTS = [
    Concept("DP:fentanyl", "fentanyl", "SUBSTANCE", aliases=(Alias("fentanyl"),)),
    Concept("DP:heroin", "heroin", "SUBSTANCE", aliases=(Alias("heroin"), Alias("crack", ambiguous=True))),
    Concept("DP:dea", "DEA", "INSTITUTION", aliases=(Alias("DEA", case="exact"),)),
]
FORMS = [
    Form("quantity", "QUANTITY", r"\b\d+ kilograms\b"),
    Form("code", "LEGAL_INSTRUMENT", r"\b\d+ U\.S\.C\. \d+", ("U.S.C",)),
]
FAMILIES = [
    Form("fentanyl", "SUBSTANCE", "fentanyl", ("fentanyl",), concept="DP:fentanyls", prefix="must"),
    Form("amide", "SUBSTANCE", "amide", concept="DP:fentanyls", systematic=True),
]
VERBS = [Verb("seize", "ENFORCE"), Verb("ban", "CONTROL")]


@Language.component("contract_verbs")
def contract_verbs(doc: Doc) -> Doc:
    """Stand in for the trained ner."""
    doc.set_ents([Span(doc, t.i, t.i + 1, label="POLICY_VERB") for t in doc if t.text in ("seized", "banned")])
    return doc


def gazetteer() -> Language:
    nlp = blank()
    nlp.add_pipe("drugpolicy_gazetteer").add(CONCEPTS)
    return nlp


def forms() -> Language:
    nlp = blank()
    nlp.add_pipe("drugpolicy_forms").add(FORMS)
    return nlp


def nomenclature() -> Language:
    nlp = blank()
    nlp.add_pipe("drugpolicy_nomenclature").add(FAMILIES)
    return nlp


def linker() -> Language:
    nlp = resolver()
    nlp.add_pipe("drugpolicy_linker").add(CONCEPTS)
    return nlp


def actions() -> Language:
    nlp = blank()
    nlp.add_pipe("contract_verbs")
    nlp.add_pipe("drugpolicy_actions").train([], VERBS)
    return nlp


def resolver() -> Language:
    nlp = blank()
    nlp.add_pipe("contract_verbs")
    nlp.add_pipe("drugpolicy_gazetteer").add(CONCEPTS)
    nlp.add_pipe("drugpolicy_nomenclature").add(FAMILIES)
    nlp.add_pipe("drugpolicy_forms").add(FORMS)
    policy = {
        "ner": {"*": 1},
        "gazetteer": {"*": 2},
        "form": {"*": 2, "QUANTITY": 0},
        "definition": {"*": 3},
        "nomenclature": {"*": 2},
    }
    nlp.add_pipe("drugpolicy_resolver", config={"policy": policy, "topic": "seiz"})
    return nlp


def tagger() -> Language:
    nlp = spacy.blank("en")
    component = nlp.add_pipe("drugpolicy_tagger", config={"spans_key": "found"})
    component._nlp = whole()
    return nlp


def whole() -> Language:
    nlp = linker()
    nlp.add_pipe("drugpolicy_actions").train([], VERBS)
    return nlp


def blank() -> Language:
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "drugpolicy.Tokenizer.v1"}}})


PIPELINES = {
    maker.__name__: maker for maker in (gazetteer, nomenclature, forms, linker, actions, resolver, tagger, whole)
}


@pytest.fixture(scope="module", params=PIPELINES)
def made(request):
    return made_once(request.param)


@functools.cache
def made_once(name: str) -> Language:
    return PIPELINES[name]()


def spans(doc: Doc) -> list[tuple[str, int, int, str, str, str]]:
    """Return all that our components write."""
    groups = {"ents": doc.ents, **doc.spans}
    return [
        (key, span.start_char, span.end_char, span.label_, span.kb_id_, span.id_)
        for key, group in groups.items()
        for span in group
    ]


def outcome(nlp: Language) -> list[list[tuple[str, int, int, str, str, str]]]:
    return [spans(nlp(text)) for text in TEXTS]


def empty(made: Language) -> Language:
    """Return a pipeline of the same config whose components hold nothing."""
    return load_model_from_config(made.config)


def test_contract_component_finds_something(made):
    assert outcome(made)[0]


def test_contract_second_run_gives_the_same(made):
    assert outcome(made) == outcome(made)


def test_contract_empty_and_blank_docs_stay_empty(made):
    assert spans(made("")) == spans(made(" \n\t ")) == []


def test_contract_pipe_equals_call(made):
    assert [spans(doc) for doc in made.pipe(TEXTS, batch_size=2)] == outcome(made)


def test_contract_text_and_tokens_stay(made):
    for text in TEXTS:
        assert [token.text for token in made(text)] == [token.text for token in made.make_doc(text)]


def test_contract_disk(made, tmp_path):
    made.to_disk(tmp_path)
    assert outcome(load_model_from_path(tmp_path)) == outcome(made)


def test_contract_bytes(made):
    assert outcome(empty(made).from_bytes(made.to_bytes())) == outcome(made)


def test_contract_pickle(made):
    assert outcome(pickle.loads(pickle.dumps(made))) == outcome(made)


def test_contract_saving_twice_gives_the_same_bytes(made):
    for name, component in made.pipeline:
        if name.startswith("drugpolicy_") and hasattr(component, "to_bytes"):
            assert component.to_bytes() == component.to_bytes(), name


def test_contract_doc_bytes_keep_the_spans(made):
    doc = made(TEXTS[0])
    assert spans(Doc(doc.vocab).from_bytes(doc.to_bytes())) == spans(doc)


def test_contract_processes_forked(made):
    assert [spans(doc) for doc in made.pipe(TEXTS, n_process=2, batch_size=2)] == outcome(made)


def test_contract_user_data_stays_empty(made):
    assert made(TEXTS[0]).user_data == {}


SPAWN = """
import multiprocessing
import sys
sys.path.insert(0, {folder!r})
import test_contract

def main():
    multiprocessing.set_start_method("spawn")
    for name in test_contract.PIPELINES:
        nlp = test_contract.made_once(name)
        docs = list(nlp.pipe(test_contract.TEXTS, n_process=2, batch_size=2))
        assert [test_contract.spans(doc) for doc in docs] == test_contract.outcome(nlp), name
    print("same")

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_contract_processes_spawned(tmp_path, root):
    script = tmp_path / "spawn.py"
    script.write_text(SPAWN.format(folder=str(root / "tests")), encoding="utf-8")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)
    assert ran.stdout.strip() == "same", ran.stderr


HOST_STATE = """
import spacy
from spacy.tokens.underscore import Underscore
for name in ("gazetteer", "forms", "resolver", "actions", "tagger"):
    spacy.blank("en").add_pipe("drugpolicy_" + name)
print(Underscore.doc_extensions == Underscore.span_extensions == Underscore.token_extensions == {})
"""


def test_contract_tagger_leaves_the_host_alone():
    host = spacy.blank("en")
    host.add_pipe("entity_ruler").add_patterns([{"label": "MINE", "pattern": "DEA", "id": "own"}])
    host.add_pipe("sentencizer")
    before = host(TEXTS[0])
    component = host.add_pipe("drugpolicy_tagger")
    component._nlp = whole()
    after = host(TEXTS[0])
    assert after.to_json() | {"spans": {}} == before.to_json() | {"spans": {}}
    assert [(span.text, span.label_, span.id_) for span in after.ents] == [("DEA", "MINE", "own")]
    assert {(span.text, span.kb_id_) for span in after.spans["drugpolicy"]} >= {("DEA", "DP:dea")}


def test_contract_tagger_span_grows_to_the_host_token():
    host = spacy.blank("en")
    host.tokenizer = lambda text: Doc(host.vocab, words=text.split(" "))
    host.add_pipe("drugpolicy_tagger")._nlp = whole()
    doc = host("the (fentanyl) load")
    assert [(span.text, span.kb_id_) for span in doc.spans["drugpolicy"]] == [("(fentanyl)", "DP:fentanyl")]


def test_contract_tagger_replaces_what_it_wrote_before():
    nlp = made_once("tagger")
    doc = nlp(TEXTS[0])
    assert spans(nlp.get_pipe("drugpolicy_tagger")(doc)) == spans(nlp(TEXTS[0]))


def test_contract_factories_register_nothing_else():
    ran = subprocess.run([sys.executable, "-W", "error", "-c", HOST_STATE], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "True", ran.stderr


def test_contract_package_imports_no_spacy():
    code = "import sys, drugpolicy_ner; print(sorted({'spacy', 'numpy', 'thinc'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-W", "error", "-c", code], text=True).strip() == "[]"
