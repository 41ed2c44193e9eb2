"""The training loop: what spaCy's own loop does, with a checkpoint at every evaluation from which it can go on.

spaCy's loop cannot be resumed: it keeps neither the optimizer's moments nor its place in the data. Here a checkpoint
holds the weights, the optimizer, the random generators and the results so far; the place in the data is found again by
drawing the batches anew. On a CPU a resumed training gives the weights that an uninterrupted one gives.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy
import srsly
from spacy.schemas import ConfigSchemaTraining
from spacy.util import registry
from thinc.api import fix_random_seed, get_current_ops

from .errors import DataError

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example
    from thinc.api import Optimizer

CHECKPOINT: Final = "checkpoint.msgpack"
BEST: Final = "best.msgpack"
_ARRAYS: Final = ("mom1", "mom2", "averages")
_COUNTS: Final = ("nr_update", "last_seen")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured at a step.

    Args:
        step: Updates so far.
        loss: Loss since the evaluation before.
        keeps: Whether the model still knows what it must not lose; such a model goes before one that does not.
        scores: By what was scored; the higher the better.
    """

    step: int
    loss: float
    keeps: bool
    scores: Mapping[str, float]

    @property
    def score(self) -> float:
        """By which the best is chosen: each thing scored weighs the same."""
        return sum(self.scores.values()) / len(self.scores)

    @property
    def rank(self) -> tuple[bool, float, int]:
        """By which the best is chosen; the earlier of two equal ones."""
        return self.keeps, self.score, -self.step


class Progress(NamedTuple):
    """How far a training is.

    Args:
        step: Updates so far.
        max_steps: Updates at most, 0 for no limit.
        evaluation: What was measured at this step, if anything.
    """

    step: int
    max_steps: int
    evaluation: Evaluation | None


def fit(
    nlp: Language,
    examples: Sequence[Example],
    evaluate: Callable[[Language], tuple[bool, Mapping[str, float]]],
    folder: Path,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
) -> list[Evaluation]:
    """Train an initialized pipeline as its config says and leave it with the best weights.

    Args:
        nlp: The pipeline, initialized in the same way each time a training is resumed.
        examples: What to learn from.
        evaluate: Says whether the pipeline keeps what it must not lose, and its scores, each with its name.
        folder: Where checkpoints are written; a checkpoint that is there is gone on from.
        progress: Called after each update.

    Returns:
        The evaluations, in order.

    Raises:
        DataError: The checkpoint cannot be read.
    """
    config = nlp.config.interpolate()["training"]
    settings = registry.resolve(config, schema=ConfigSchemaTraining)
    optimizer = settings["optimizer"]
    frozen = settings["frozen_components"]
    trained = {name: component for name, component in trainable(nlp).items() if name not in frozen}
    if config["seed"] is not None:
        fix_random_seed(config["seed"])
    dropouts = itertools.repeat(settings["dropout"]) if isinstance(settings["dropout"], float) else settings["dropout"]
    batches = _batches(examples, settings["batcher"], settings["max_epochs"], config["seed"])
    results: list[Evaluation] = []
    if (folder / CHECKPOINT).is_file():
        results = _restore(optimizer, trained, folder / CHECKPOINT)
        done = results[-1].step + 1
        for _ in zip(range(done), batches, dropouts, strict=False):
            optimizer.step_schedules()
    losses: dict[str, float] = {}
    no_optimizer: Any = False  # None would make spaCy create one; the updates are finished below
    for step, (epoch, batch) in enumerate(batches, start=results[-1].step + 1 if results else 0):
        if _ends(results, step - 1, settings):
            break
        if settings["before_update"]:
            settings["before_update"](nlp, {"step": step, "epoch": epoch})
        drop = next(dropouts)
        for part in _parts(batch, settings["accumulate_gradient"]):
            nlp.update(
                part,
                drop=drop,
                losses=losses,
                sgd=no_optimizer,
                exclude=frozen,
                annotates=settings["annotating_components"],
            )
        for component in trained.values():
            component.finish_update(optimizer)
        optimizer.step_schedules()
        evaluation = None
        if step % settings["eval_frequency"] == 0:
            with nlp.use_params(optimizer.averages or {}):
                keeps, scores = evaluate(nlp)
                evaluation = Evaluation(step, float(sum(losses.values())), keeps, scores)
                if not results or evaluation.rank > max(result.rank for result in results):
                    _write(folder / BEST, {"step": step, "weights": _weights(trained)})
            results.append(evaluation)
            losses = {}
            _write(folder / CHECKPOINT, _state(optimizer, trained, results))
        progress(Progress(step, settings["max_steps"], evaluation))
    _load_weights(trained, _read(folder / BEST)["weights"])
    return results


def trainable(nlp: Language) -> dict[str, Any]:
    """Return the components of a pipeline that have weights, by name."""
    return {name: component for name, component in nlp.pipeline if getattr(component, "is_trainable", False)}


def fingerprint(nlp: Language) -> str:
    """Return a digest of the weights of a pipeline, equal where they are equal.

    What models save beside their weights is left out: a transformer's holds the name of a temporary folder.

    Args:
        nlp: An initialized pipeline.
    """
    digest = hashlib.sha256()
    for component in trainable(nlp).values():
        for node in component.model.walk():
            for name in node.param_names:
                if node.has_param(name):
                    digest.update(_in_memory(node.get_param(name)).tobytes())
            for shim in node.shims:
                for tensor in shim._model.state_dict().values():
                    digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _ends(results: list[Evaluation], step: int, settings: dict[str, Any]) -> bool:
    """Say whether the training ends after a step: at its limit, or when nothing got better for long."""
    if not results:
        return False
    best = max(results, key=lambda result: result.rank).step
    patience, most = settings["patience"], settings["max_steps"]
    return bool((patience and step - best >= patience) or (most and step >= most))


def _batches(
    examples: Sequence[Example], batcher: Callable[[Iterable[Example]], Iterable[Any]], epochs: int, seed: int | None
) -> Iterator[tuple[int, Any]]:
    """Yield batches in an order that the seed alone decides."""
    generator = random.Random(seed or 0)
    order = list(examples)
    for epoch in itertools.count() if epochs < 1 else range(epochs):
        generator.shuffle(order)
        for batch in batcher(order):
            yield epoch, batch


def _parts(batch: Iterable[Example], count: int) -> Iterator[list[Example]]:
    """Cut a batch into parts of about one size whose gradients add up to one update."""
    ordered = sorted(batch, key=lambda example: len(example.predicted))
    size = max(1, -(-len(ordered) // count))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _weights(trained: dict[str, Any]) -> dict[str, bytes]:
    return {name: component.model.to_bytes() for name, component in trained.items()}


def _load_weights(trained: dict[str, Any], weights: dict[str, bytes]) -> None:
    for name, component in trained.items():
        component.model.from_bytes(weights[name])


def _state(optimizer: Optimizer, trained: dict[str, Any], results: list[Evaluation]) -> dict[str, Any]:
    places = {key: place for place, key in _parameters(trained).items()}
    state: dict[str, Any] = {
        "results": [asdict(result) for result in results],
        "weights": _weights(trained),
        "random": random.getstate(),
        "numpy": numpy.random.get_state(),
    }
    for field in (*_ARRAYS, *_COUNTS):
        values = getattr(optimizer, field) or {}
        state[field] = {places[key]: _in_memory(value) for key, value in values.items()}
    if "torch" in sys.modules:
        state["torch"] = sys.modules["torch"].get_rng_state().numpy()
    return state


def _restore(optimizer: Optimizer, trained: dict[str, Any], path: Path) -> list[Evaluation]:
    state = _read(path)
    _load_weights(trained, state["weights"])
    keys, ops = _parameters(trained), get_current_ops()
    for field in _ARRAYS:
        if getattr(optimizer, field) is not None:  # arrays are copied: what msgpack gives is read-only
            arrays = {keys[place]: ops.xp.array(value) for place, value in state[field].items()}
            setattr(optimizer, field, arrays)
    for field in _COUNTS:
        setattr(optimizer, field, defaultdict(int, {keys[place]: value for place, value in state[field].items()}))
    version, numbers, gauss = state["random"]
    random.setstate((version, tuple(numbers), gauss))
    numpy.random.set_state(tuple(state["numpy"]))
    if "torch" in state and "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.from_numpy(numpy.array(state["torch"])))
    return [Evaluation(**result) for result in state["results"]]


def _in_memory(value: Any) -> Any:
    """Copy an array from a GPU."""
    return value.get() if hasattr(value, "get") else value


def _parameters(trained: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Name each parameter by its place in the pipeline: the keys that an optimizer uses differ between processes."""
    found = {}
    for name, component in trained.items():
        for i, node in enumerate(component.model.walk()):
            for parameter in node.param_names:
                found[f"{name}/{i}/{parameter}"] = (node.id, parameter)
            for j, shim in enumerate(node.shims):
                for parameter, _ in shim._model.named_parameters():
                    found[f"{name}/{i}/{j}/{parameter}"] = (shim.id, parameter)
    return found


def _write(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        srsly.write_msgpack(partial, state)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        state: Any = srsly.read_msgpack(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error}): delete the folder and train anew", path=path) from None
    return dict(state)
