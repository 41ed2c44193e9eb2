"""The commands `train`, `assemble`, `package` and `retrain`, which make pipelines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..corpus.formats import Format
from ..output import open_output
from .shell import JsonSummary, OwnConcepts, exit_codes, say

if TYPE_CHECKING:
    from ..loop import Evaluation, Progress
    from ..training import Comparison, Outcome

Folder = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder of the pipeline: written whole or not at all.", show_default=False),
]
Gpu = Annotated[int, typer.Option(min=-1, help="Number of the GPU to use, from 0.", show_default="none")]
Seed = Annotated[int | None, typer.Option(help="Seed of all randomness.", show_default="that of the config")]

OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of a command that takes dotted settings."""


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Annotated documents, a file or a folder.", show_default=False)],
    output: Folder,
    *,
    dev: Annotated[
        Path | None,
        typer.Option(help="Documents by which the best weights are chosen.", show_default="a fifth of --data"),
    ] = None,
    source: Annotated[
        Format | None,
        typer.Option("--from", help="Format of --data and --dev.", show_default="what suffix and content say"),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Model to go on from: shipped, a folder or a name; none to begin anew.",
            show_default="shipped, or none where --config is given",
        ),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            help="Documents with the labels that the model knows, so that it keeps them; shipped, a path, or none.",
            show_default="shipped, or none where training begins anew",
        ),
    ] = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="The documents carry every label that the model knows. Without it, labels that occur nowhere in "
            "them are taken from the model to go on from.",
        ),
    ] = False,
    config: Annotated[
        str | None,
        typer.Option(help="sm (CPU), trf (transformer) or a config file.", show_default="how to go on from --base"),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Transformer for --config trf: a folder or a name on the Hugging Face hub.", show_default=False
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="How much micro F on the replay may fall; more, and nothing is saved."),
    ] = 0.01,
    rules: Annotated[
        bool, typer.Option(" /--no-rules", help="Leave out the lists, forms and other rule sources.")
    ] = True,
    concepts: OwnConcepts = None,
    gpu_id: Gpu = -1,
    seed: Seed = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    as_json: JsonSummary = False,
) -> None:
    """Train a pipeline on annotated documents.

    Settings of the config are given in dotted form, as in --training.max_steps 200.

    At each evaluation all that is needed to go on is kept in OUTPUT.training: weights, optimizer, random state. The
    output appears at the end, when the new labels and the old ones have been scored.

    Exit codes: 0 saved, 1 the documents cannot be used or the model forgot too much, 2 wrong use, 130 interrupted.
    """
    with exit_codes(), open_output(None) as stream:
        from ..concepts import read_own_concepts
        from ..settings import read_overrides
        from ..training import train

        overrides = read_overrides(context.args, [name for option in context.command.params for name in option.opts])
        if seed is not None:
            overrides["training.seed"] = seed
        if encoder is not None:
            overrides["paths.encoder"] = encoder
        base = base or ("shipped" if config is None else "none")
        replay = replay or ("none" if base == "none" else "shipped")
        with _progress() as progress, _resumable(output):
            outcome = train(
                data,
                output,
                dev=dev,
                source=source,
                base=None if base == "none" else base,
                replay=None if replay == "none" else replay,
                config=config,
                overrides=overrides,
                fully_annotated=complete,
                rules=rules,
                own=read_own_concepts(concepts) if concepts else (),
                max_drop=max_drop,
                gpu_id=gpu_id,
                resume=resume,
                say=say,
                progress=progress,
            )
        stream.write(json.dumps(outcome.as_dict(), indent=2) + "\n" if as_json else _summary(outcome))


def assemble(
    model: Annotated[str, typer.Argument(help="Name or folder of a trained pipeline.", show_default=False)],
    output: Folder,
    *,
    config: Annotated[
        Path | None, typer.Option(help="Assembly config with the ranks.", show_default="that of the shipped pipeline")
    ] = None,
    concepts: OwnConcepts = None,
    as_json: JsonSummary = False,
) -> None:
    """Put a model's weights together anew with the lists, forms and other rule sources of this version.

    Exit codes: 0 saved, 1 concepts cannot be read, 2 wrong use.
    """
    with exit_codes(), open_output(None) as stream:
        from ..build import assemble_default, check_target, load_trained, save
        from ..concepts import read_own_concepts

        check_target(output)
        own = read_own_concepts(concepts) if concepts else ()
        nlp = assemble_default(load_trained(model), config=config, own=own)
        save(nlp, output)
        found = {"output": str(output), "pipeline": nlp.pipe_names, "labels": sorted(nlp.pipe_labels["ner"])}
        stream.write(json.dumps(found, indent=2) + "\n" if as_json else f"saved to {output}\n")


def retrain(
    context: typer.Context,
    *,
    corpus: Annotated[
        Path | None,
        typer.Option(help="Folder of marked text with train and dev.", show_default="the authored corpus"),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Model whose weights to begin with, or none for new ones.", show_default="training/base"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write.", show_default="the model of the source checkout"),
    ] = None,
    assemble_only: Annotated[bool, typer.Option("--assemble-only", help="Keep the weights that are there.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    as_json: JsonSummary = False,
) -> None:
    """Rebuild the shipped pipeline from the corpus, the knowledge base and the forms, in a source checkout.

    Settings of the config are given in dotted form, as in --training.max_steps 200.

    Exit codes: 0 saved, 1 the corpus cannot be used, 2 wrong use, 130 interrupted.
    """
    with exit_codes(), open_output(None) as stream:
        from ..recipe import retrain, target
        from ..settings import read_overrides

        overrides = read_overrides(context.args, [name for option in context.command.params for name in option.opts])
        output = target(output)
        with _progress() as progress, _resumable(output):
            outcome = retrain(
                output,
                corpus=corpus,
                base=base,
                assemble_only=assemble_only,
                overrides=overrides,
                resume=resume,
                say=say,
                progress=progress,
            )
        if as_json:
            stream.write(json.dumps(outcome.as_dict() if outcome else {"output": str(output)}, indent=2) + "\n")
        else:
            stream.write(_summary(outcome) if outcome else f"saved to {output}\n")


def package(
    model: Annotated[str, typer.Argument(help="Name or folder of a pipeline.", show_default=False)],
    *,
    name: Annotated[str, typer.Option(help="What the wheel installs and spacy.load takes.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the wheel.", show_default=False)],
    version: Annotated[str, typer.Option(help="Version of the wheel.")] = "0.1.0",
    description: Annotated[str | None, typer.Option(help="What it is for, in a sentence.", show_default=False)] = None,
    author: Annotated[str | None, typer.Option(help="Who made it.", show_default="not stated")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="SPDX expression, as in MIT.", show_default="not stated")
    ] = None,
    as_json: JsonSummary = False,
) -> None:
    """Make a wheel that pip installs and spacy.load loads by name.

    It needs the packages build and setuptools (77 or newer), which the extra "train" brings, and no network.

    Exit codes: 0 made, 2 wrong use.
    """
    with exit_codes(), open_output(None) as stream:
        from ..packaging import package

        wheel = package(
            model, output, name=name, version=version, description=description, author=author, licence=licence
        )
        if as_json:
            stream.write(json.dumps({"wheel": str(wheel), "name": name, "version": version}, indent=2) + "\n")
        else:
            stream.write(f"{wheel}\ninstall it: pip install {wheel}\nload it:    spacy.load({name!r})\n")


@contextmanager
def _resumable(output: Path) -> Iterator[None]:
    """Say at an interruption how to go on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        work = output.with_name(f"{output.name}.training")
        if work.is_dir():
            say(f"what was done is kept in {work}: go on with --resume")
        raise


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show how far a training is: a bar where a person looks on, a line for each evaluation elsewhere."""
    if not sys.stderr.isatty():
        yield lambda progress: say(_evaluated(progress)) if progress.evaluation else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, figures="", visible=False)

        def show(progress: Any) -> None:
            if progress.evaluation:
                bar.update(task, figures=_figures(progress.evaluation))
            bar.update(task, completed=progress.step, total=progress.max_steps or None, visible=True)

        yield show


def _evaluated(progress: Progress) -> str:
    found = progress.evaluation
    assert found is not None
    of = f"/{progress.max_steps}" if progress.max_steps else ""
    return f"step {progress.step}{of}  {_figures(found)}"


def _figures(found: Evaluation) -> str:
    scores = "  ".join(f"{name} F {score:.3f}" for name, score in found.scores.items())
    return f"loss {found.loss:.1f}  {scores}{'' if found.keeps else '  (forgets too much)'}"


def _summary(outcome: Outcome) -> str:
    lines = [f"best of {outcome.steps} steps: {outcome.best_step}; {outcome.seconds:.0f} s", ""]
    lines += _table("new documents", outcome.new)
    if outcome.old is not None:
        lines += _table("replay", outcome.old)
    return "\n".join([*lines, f"saved to {outcome.output}", ""])


def _table(title: str, scores: Comparison) -> list[str]:
    before, after = scores.before, scores.after
    lines = [f"{f'F on {title}, {scores.documents} held out':42} {'before':>7} {'after':>7}"]
    for name, score in {"micro": after.micro, **after.labels}.items():
        first = {"micro": before.micro, **before.labels}[name] if before else None
        lines.append(f"  {name:40} {format(first.f, '.3f') if first else '-':>7} {score.f:7.3f}")
    return [*lines, ""]
