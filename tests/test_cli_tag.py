"""The commands `tag` and `data check`, in this process and as real processes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import DocBin
from typer.main import get_command
from typer.testing import CliRunner, Result

import drugpolicy_ner
from drugpolicy_ner.cli import app

PATTERNS = [
    {"label": "SUBSTANCE", "pattern": "fentanyl", "id": "gazetteer"},
    {"label": "INSTITUTION", "pattern": "DEA", "id": "ner"},
]
COMMAND = [sys.executable, "-W", "error", "-m", "drugpolicy_ner.cli"]
TEXT = "The DEA seized fentanyl."

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and pipes")


@pytest.fixture(scope="session")
def nlp() -> Language:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
    return pipeline


@pytest.fixture(scope="session")
def model(nlp: Language, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    nlp.to_disk(folder)
    return str(folder)


Tag = Callable[..., Result]


@pytest.fixture
def tag(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> Tag:
    monkeypatch.setattr("drugpolicy_ner.cli.tagging.load_pipeline", lambda model: nlp)

    def run(*args: str | Path, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["tag", *map(str, args)], input=stdin, catch_exceptions=False)

    return run


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(result: Result) -> list[object]:
    return [row["id"] for row in rows(result)]


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"drugpolicy-ner {drugpolicy_ner.__version__}\n")


def commands() -> list[str]:
    """Return the name of every command, those of groups behind that of the group."""
    names = [""]
    for name, command in get_command(app).commands.items():
        names += [name, *(f"{name} {inner}" for inner in getattr(command, "commands", ()))]
    return names


def test_help_of_every_command_is_instant() -> None:
    """In one process, whose modules tell what any of the helps has imported."""
    heavy = ("spacy", "thinc", "numpy", "torch", "transformers", "datasets", "pyarrow", "pandas")
    code = f"""
import sys
from typer.main import get_command
from typer.testing import CliRunner
from drugpolicy_ner.cli import app
for name in {commands()!r}:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0 and "Usage" in result.stdout, name
    found = [module for module in {heavy!r} if module in sys.modules]
    assert not found, (name, found)
"""
    assert {"train", "suggest", "data check"} <= set(commands())
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_tag_standard_input(tag: Tag) -> None:
    result = tag(stdin=TEXT.encode())
    assert (result.exit_code, result.stderr) == (0, "")
    assert rows(result) == [
        {
            "id": "-",
            "text": TEXT,
            "ents": [
                {"start": 4, "end": 7, "text": "DEA", "label": "INSTITUTION", "concept": None, "source": "ner"},
                {
                    "start": 15,
                    "end": 23,
                    "text": "fentanyl",
                    "label": "SUBSTANCE",
                    "concept": None,
                    "source": "gazetteer",
                },
            ],
            "meta": {},
        }
    ]


def test_tag_standard_input_in_other_formats(tag: Tag) -> None:
    assert ids(tag("--lines", "-", stdin=b"a\nb\n")) == ["-:1", "-:2"]
    assert ids(tag("--input-format", "jsonl", stdin=b'{"text": "a", "id": "x"}\n{"text": ""}')) == ["x", "-:2"]
    assert ids(tag("-", "--input-format", "csv", "--text-column", "t", stdin=b"id,t\nq,a\nq,b\n")) == ["q", "q"]


def test_tag_paths_of_every_kind(tag: Tag, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.jsonl").write_text('{"id": "b", "text": "DEA", "year": 2024}\n', encoding="utf-8")
    (tmp_path / "in" / "c.csv").write_text("key,body\nc,fentanyl\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    result = tag(tmp_path / "a.txt", tmp_path / "in" / "b.jsonl")
    assert result.exit_code == 0
    assert ids(result) == [str(tmp_path / "a.txt"), "b"]
    assert rows(result)[1]["meta"] == {"year": 2024}
    result = tag(tmp_path / "in" / "c.csv", "--text-column", "body", "--id-column", "key", "--format", "csv")
    assert list(csv.reader(io.StringIO(result.stdout)))[1:] == [
        ["c", "0", "8", "fentanyl", "SUBSTANCE", "", "", "gazetteer"]
    ]


@pytest.mark.parametrize("form", ["jsonl", "csv", "html", "docbin", "text"])
def test_tag_into_a_file(tag: Tag, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"out.{ {'docbin': 'spacy', 'text': 'txt'}.get(form, form) }"
    format_option = ["--format", "text"] if form == "text" else []
    result = tag("--output", file, *format_option, stdin=TEXT.encode())
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == [file]
    if form == "docbin":
        (doc,) = DocBin().from_disk(file).get_docs(spacy.blank("en").vocab)
        assert [(ent.text, ent.id_) for ent in doc.ents] == [("DEA", "ner"), ("fentanyl", "gazetteer")]
    else:
        assert "fentanyl" in file.read_text(encoding="utf-8")


def test_tag_keeps_chosen_labels(tag: Tag) -> None:
    for option in (["--labels", "SUBSTANCE,QUANTITY"], ["--labels", "SUBSTANCE", "--labels", "QUANTITY"]):
        (row,) = rows(tag(*option, stdin=TEXT.encode()))
        assert [ent["label"] for ent in row["ents"]] == ["SUBSTANCE"]  # type: ignore[attr-defined]


def test_tag_in_two_processes(tag: Tag) -> None:
    result = tag("--lines", "--n-process", "2", "--batch-size", "3", stdin=f"{TEXT}\n".encode() * 20)
    assert result.exit_code == 0
    assert [len(row["ents"]) for row in rows(result)] == [2] * 20  # type: ignore[arg-type]


def test_tag_goes_on_behind_failures(tag: Tag, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n{"text": \n{"text": "b"}\n', encoding="utf-8")
    out = tmp_path / "out.jsonl"
    result = tag(tmp_path / "none.txt", tmp_path / "bad.txt", tmp_path / "rows.jsonl", "-o", out)
    assert result.exit_code == 1
    messages = result.stderr.splitlines()
    assert messages[0] == f"drugpolicy-ner: {tmp_path / 'none.txt'}: cannot be read: No such file or directory"
    assert messages[1] == f"drugpolicy-ner: {tmp_path / 'bad.txt'}:1: not UTF-8: byte 0xff; save the file as UTF-8"
    assert messages[2].startswith(f"drugpolicy-ner: {tmp_path / 'rows.jsonl'}:2: not JSON")
    assert len(messages) == 3
    assert [json.loads(line)["text"] for line in out.read_text(encoding="utf-8").splitlines()] == ["a", "b"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--labels", "SUBSTANSE"], "unknown label 'SUBSTANSE': did you mean SUBSTANCE?"),
        (["--format", "docbin"], "docbin is binary: name a file with --output"),
        (
            ["--format", "csv", "--output", "x.html"],
            "x.html: its suffix means html, --format says csv: change one of them",
        ),
        (["--lines", "--input-format", "csv"], "--lines is for plain text: leave it out for csv"),
        (["--output", "none/out.jsonl"], "there is no folder none: make it first"),
        (["--output", "."], ".: is a folder: name a file"),
        (["in.txt", "--output", "in.txt"], "in.txt: is an input too: write to another file"),
        (["--batch-size", "0"], "Invalid value for '--batch-size'"),
        (["--format", "xml"], "Invalid value for '--format'"),
    ],
)
def test_tag_refuses_wrong_use(
    tag: Tag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("kept", encoding="utf-8")
    result = tag(*args, stdin=b"text")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]|\x1b\[[0-9;]*m", " ", result.stderr).split())
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("in.txt", "kept")]


def test_tag_says_what_pipeline_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = CliRunner().invoke(app, ["tag", "--model", str(tmp_path / "none"), "-o", str(out)], input="text")
    assert result.exit_code == 2
    assert "cannot be loaded" in result.stderr
    assert list(tmp_path.iterdir()) == []


# real processes


def run(*args: str, stdin: bytes | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *args], input=stdin, capture_output=True, check=False, cwd=cwd, timeout=60)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} does not appear"
        time.sleep(0.02)


@posix
@pytest.mark.parametrize("workers", ["1", "2"])
def test_broken_pipe_ends_quietly(model: str, tmp_path: Path, workers: str) -> None:
    file = tmp_path / "in.txt"
    file.write_text(f"{TEXT}\n" * 5000, encoding="utf-8")
    command = [*COMMAND, "tag", str(file), "--lines", "--model", model, "--n-process", workers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["text"] == TEXT
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@posix
@pytest.mark.parametrize(
    ("number", "workers", "code", "said"),
    [
        (signal.SIGINT, "1", 130, b"drugpolicy-ner: interrupted\n"),
        (signal.SIGINT, "2", 130, b"drugpolicy-ner: interrupted\n"),
        (signal.SIGTERM, "1", 143, b""),
    ],
)
def test_interrupt_leaves_nothing(
    model: str, tmp_path: Path, number: signal.Signals, workers: str, code: int, said: bytes
) -> None:
    out = tmp_path / "out.jsonl"
    command = [
        *COMMAND,
        "tag",
        "--lines",
        "--model",
        model,
        "--n-process",
        workers,
        "--batch-size",
        "1",
        "-o",
        str(out),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, bufsize=0, start_new_session=True, **pipes) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(f"{TEXT}\n".encode() * 3000)  # more than the pipe holds: returns when tagging has begun
        assert [file.suffix for file in tmp_path.iterdir()] == [".tmp"]
        os.killpg(process.pid, number)  # as a terminal does: workers get it too
        errors = process.stderr.read()
    assert (process.returncode, errors) == (code, said)
    assert list(tmp_path.iterdir()) == []


@posix
def test_nothing_to_tag_on_a_terminal() -> None:
    import pty

    parent, child = pty.openpty()
    result = subprocess.run([*COMMAND, "tag"], stdin=child, capture_output=True, check=False, timeout=60)
    os.close(parent)
    os.close(child)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"drugpolicy-ner: nothing to tag: give files or folders, or pipe text in\n"


@posix
def test_terminals_get_text_and_a_progress_bar(model: str, tmp_path: Path) -> None:
    import pty

    file = tmp_path / "in.txt"
    file.write_text(f"{TEXT}\n" * 50, encoding="utf-8")
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    env.pop("NO_COLOR", None)
    shown = {}
    for stream in ("stdout", "stderr"):
        parent, child = pty.openpty()
        others = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: child}
        command = [*COMMAND, "tag", str(file), str(tmp_path / "none.txt"), "--lines", "--model", model]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env, **others) as process:  # type: ignore[call-overload]
            os.close(child)
            parts = []
            while True:
                try:
                    part = os.read(parent, 65536)
                except OSError:  # how a pseudo-terminal says that its other end is closed
                    break
                if not part:
                    break
                parts.append(part)
        os.close(parent)
        assert process.returncode == 1
        shown[stream] = b"".join(parts).decode()
    assert re.search(r"\x1b\[[0-9;]*m\[DEA INSTITUTION\]\x1b\[0m", shown["stdout"])
    assert "100 entities in 50 documents" in shown["stdout"]
    assert "documents" in shown["stderr"]
    assert "none.txt: cannot be read" in shown["stderr"]


@posix
def test_named_pipe_as_output_is_written_in_place(model: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = [*COMMAND, "tag", "-", "--model", model, "-o", str(fifo)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(TEXT.encode())
        process.stdin.close()
        assert json.loads(fifo.read_text(encoding="utf-8"))["text"] == TEXT
    assert process.returncode == 0
    assert fifo.is_fifo()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_started_afresh(model: str, method: str) -> None:
    code = f"import multiprocessing as m; m.set_start_method({method!r}); import drugpolicy_ner.cli as c; c.main()"
    args = ["tag", "--lines", "--model", model, "--n-process", "2", "--batch-size", "2"]
    text = f"{TEXT}\n".encode() * 9 + b"\xff\n"
    result = subprocess.run(
        [sys.executable, "-c", code, *args], input=text, capture_output=True, check=False, timeout=120
    )
    assert result.returncode == 1
    assert [len(json.loads(line)["ents"]) for line in result.stdout.splitlines()] == [2] * 9
    assert result.stderr == b"drugpolicy-ner: <standard input>:10: not UTF-8: byte 0xff; save the file as UTF-8\n"


@posix
@pytest.mark.slow
@pytest.mark.parametrize("form", ["txt", "jsonl", "csv"])
def test_memory_stays_flat(model: str, tmp_path: Path, form: str) -> None:
    """Six times the input, all of its words new, may cost little more memory."""
    peaks = []
    for size in (1_000, 6_000):
        file = tmp_path / f"{size}.{form}"
        with file.open("w", encoding="utf-8") as handle:
            handle.write("text\n" if form == "csv" else "")
            for i in range(size):
                text = f"fentanyl {' '.join(f'w{i}x{j}' for j in range(50))}"
                handle.write((json.dumps({"text": text}) if form == "jsonl" else text) + "\n")
        code = (
            "import resource, sys; from drugpolicy_ner import tagging; from drugpolicy_ner.cli import app\n"
            "tagging._VOCABULARY = 5_000\n"
            "app(standalone_mode=False)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        args = ["tag", str(file), "--lines", "--model", model, "--output", str(tmp_path / "out.jsonl")]
        result = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, check=True, timeout=300)
        peaks.append(int(result.stderr) / (1024**2 if sys.platform == "darwin" else 1024))
    assert peaks[1] - peaks[0] < 25, f"peak memory in MB: {peaks}"


# data check

GOOD = "=== us-1\ngenre: memo\n\n{{DEA|INSTITUTION}} {{seized|POLICY_VERB:ENFORCE}} {{fentanyl|SUBSTANCE}}.\n"


def check(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", "check", *map(str, args)], catch_exceptions=False)


def test_check_counts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(GOOD, encoding="utf-8")
    result = check(tmp_path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "1 passages, 3 words, 3 spans"
    assert "      1 SUBSTANCE" in lines
    assert "      0 PRECURSOR" in lines


def test_check_puts_errors_first_and_goes_on(tmp_path: Path) -> None:
    texts = {
        "a.txt": GOOD + "\n=== us-2\n\n{{fentanyl|SUBSTANCE}} is strong. No fentanyl.\n",
        "b.txt": "=== us-3\n\n{{fentanyl|DRUG}} is strong.\n",
        "c.txt": "=== us-4\n\n{{fent|SUBSTANCE}}anyl is strong.\n",
        "d.txt": GOOD,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "e.txt").write_bytes(b"=== us-5\n\n\xff\n")
    result = check(tmp_path, tmp_path / "none.txt", tmp_path / "a.txt")
    assert result.exit_code == 1
    findings = [line for line in result.stdout.splitlines() if re.match("error|review", line)]
    assert [line.split(" ", 2)[:2] for line in findings] == [
        ["error", "format:"],
        ["error", "format:"],
        ["error", "format:"],
        ["error", "format:"],
        ["error", "alignment:"],
        ["error", "duplicate:"],
        ["review", "labels:"],
        ["review", "unmarked:"],
    ]
    assert f"{tmp_path / 'b.txt'}:1 [us-3]: unknown label 'DRUG'" in findings[0]
    assert f"{tmp_path / 'd.txt'}:1 [us-1]: id used before, in {tmp_path / 'a.txt'}" in findings[1]
    assert f"{tmp_path / 'e.txt'}:3: not UTF-8" in findings[2]
    assert f"{tmp_path / 'none.txt'}: cannot be read: No such file or directory" in findings[3]
    assert findings[4].startswith("error alignment: us-4: span 'fent'")
    assert findings[5].startswith("error duplicate: us-4: same text as us-3, with other spans")
    assert findings[6].startswith(
        "review labels: us-3: 'fentanyl' has several labels: SUBSTANCE 3 (us-1, us-2), DRUG 1 (us-3)"
    )
    assert findings[7].startswith("review unmarked: us-2: 'fentanyl' (SUBSTANCE) is unmarked")


def test_check_json(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("=== us-2\n\n{{fentanyl|SUBSTANCE}} is strong. No fentanyl.\n", encoding="utf-8")
    result = check(tmp_path / "a.txt", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["passages"], report["words"], report["spans"]["SUBSTANCE"]) == (1, 5, 1)
    assert [(f["kind"], f["doc_id"], f["error"]) for f in report["findings"]] == [("unmarked", "us-2", False)]
    assert json.loads(check(tmp_path / "none", "--json").stdout)["findings"][0]["error"] is True


def test_check_empty_folder(tmp_path: Path) -> None:
    result = check(tmp_path)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"error format: {tmp_path}: no file of annotations in this folder\n")


# the shipped pipeline


@pytest.mark.model
def test_shipped_pipeline_tags_and_links(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    text = "The DEA seized 40 kilograms of fentanyl."
    result = run("tag", stdin=text.encode())
    assert (result.returncode, result.stderr) == (0, b"")
    found = {ent["text"]: ent for ent in json.loads(result.stdout)["ents"]}
    assert found["fentanyl"]["concept"] == "DP:fentanyl"
    assert found["seized"]["action"] == "ENFORCE"
    assert run("tag", "-o", str(out), stdin=text.encode()).returncode == 0
    assert "fentanyl (DP:fentanyl)" in out.read_text(encoding="utf-8")


@pytest.mark.model
def test_shipped_pipeline_survives_forgetting_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a component keeps between documents must not lean on words that a memory zone has freed."""
    from drugpolicy_ner import tagging
    from drugpolicy_ner.reading import Record

    nlp = drugpolicy_ner.load()
    texts = [f"Agents of the DEA seized {i} kilograms of fentanyl in W{i}town." for i in range(30)]

    def ents(doc: spacy.tokens.Doc) -> list[tuple[str, str, str, str]]:
        return [(ent.text, ent.label_, ent.kb_id_, ent.id_) for ent in doc.ents]

    expected = [ents(doc) for doc in nlp.pipe(texts)]
    for n_process in (1, 2):
        monkeypatch.setattr(tagging, "_VOCABULARY", -1)
        records = [Record(str(i), text) for i, text in enumerate(texts)]
        stream = tagging.tag_records(drugpolicy_ner.load(), records, pytest.fail, batch_size=4, n_process=n_process)
        assert [ents(doc) for _, doc in stream] == expected
