"""Fitting: from settings and rows to a run folder, stoppable and resumable at any moment.

`fit` is the whole of it in one call. Whatever moment a run is stopped at, its folder holds its
last checkpoint and the model made from it.
"""

import os
import shlex
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from sfumato import atomic, config, distributed
from sfumato.config import Settings
from sfumato.data.codecs import Codec
from sfumato.data.source import IN_MEMORY
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.models.build import build_model
from sfumato.models.few import times_of
from sfumato.models.file import load_model, save_model
from sfumato.models.format_4 import weight_names
from sfumato.models.model import Model, changed
from sfumato.models.registry import OWN, place
from sfumato.models.start import take_weights
from sfumato.process.process import Process
from sfumato.process.schedules import Schedule
from sfumato.progress import ProgressLine
from sfumato.runs.card import write_card
from sfumato.runs.continued import continued, described_rate, set_aside
from sfumato.runs.data import Dataset, Source, load, refuse_settings_of_pictures, take
from sfumato.runs.distill import learn_map, refuse_numberless, refuse_several
from sfumato.runs.folder import CHECKPOINT, CONFIG, MODEL, locked, new_folder, read_settings
from sfumato.runs.job import Job, Stopped, fitting, sampling_model
from sfumato.runs.kinds import KINDS
from sfumato.runs.run import Run
from sfumato.runs.start import Start, adopted, own_parts, recorded_start, refuse_conflicts, start_of
from sfumato.runs.start import layer as start_layer
from sfumato.training import checkpoint
from sfumato.training.loop import StepRecord, Training
from sfumato.training.precision import Precision, faster


def resolve(
    source: Source,
    changes: Mapping[str, Any],
    *layers: Mapping[str, Any],
    start: Start | None = None,
) -> tuple[Settings, Dataset[Any]]:
    """Load the rows of a source, and resolve the settings of a run on them.

    Args:
        source: see `runs.data.Source`.
        changes: nested (`{"training": {"steps": 500}}`) or dotted (`{"training.steps": 500}`).
        layers: settings that come before the changes, such as a preset.
        start: whose weights the run starts from, and whose settings come before all these; that
            of the settings where not given.

    Raises:
        ArgumentError: if a setting is wrong or not the start's, or the source is unknown.
        DataError: if the rows cannot be used.
    """
    nested = config.nested(changes)
    named: dict[str, Any]
    start = start or recorded_start(config.resolve(*layers, nested))
    if start is not None:
        layers = (start_layer(start), *layers)
    if isinstance(source, str | os.PathLike):
        named = {"data": {"source": os.fspath(source)}}
        asked = config.resolve(*layers, nested, named)
        with _naming(start):
            data = load(asked)
        if data.settings.sha256 is not None:
            named["data"]["sha256"] = data.settings.sha256
    else:
        named = {"data": {"source": IN_MEMORY}}
        asked = config.resolve(*layers, nested, named)
        with _naming(start):
            data = take(source, asked)
    refuse_settings_of_pictures(data.kind, asked.data)
    if start is not None:
        named["start"] = start.settings.model_dump()
    recipe = KINDS[data.kind].recipe(data, asked)
    settings = config.resolve(recipe, *layers, nested, named)
    if start is not None:
        refuse_conflicts(settings, start)
    return settings, data


@contextmanager
def _naming(start: Start | None) -> Iterator[None]:
    """Say of columns that cannot be what is wanted where they are wanted from."""
    try:
        yield
    except ArgumentError as error:
        if start is None or not start_layer(start)["data"].get("columns"):
            raise
        whence = f"the columns and their types are those of {start.settings.path}"
        raise ArgumentError(f"{str(error).removesuffix('.')}; {whence} (--from).") from error


def prepare(
    settings: Settings,
    data: Dataset[Any],
    *,
    codec: Codec | None = None,
    network: nn.Module | None = None,
    process: Schedule | Process | None = None,
    start: Start | None = None,
) -> tuple[Training, Model]:
    """Put together all that fitting needs; nothing is written.

    Args:
        settings: resolved.
        data: the rows.
        codec: of a run that goes on; made from the rows where not given.
        network: of your own, see `fit`.
        process: of your own, see `fit`.
        start: whose weights are taken.

    Raises:
        ArgumentError: if a setting names something unknown.
        DataError: if the rows cannot be encoded.
    """
    try:
        prepared = KINDS[data.kind].prepare(settings, data, codec)
    except DataError as error:
        raise DataError(
            f"{settings.data.source}: among the rows to learn from, {error}",
            code=error.code,
            **error.values,
        ) from error
    model = build_model(settings, prepared.codec, network=network, process=process)
    if start is not None:
        take_weights(model, start.model)
    device = place(model.denoiser.network, settings, prepared.codec)
    if settings.device == "cuda" and device.type != "cuda":
        raise ArgumentError("device=cuda asks for a GPU, and PyTorch sees none here; take auto.")
    if settings.sampling.schedule:
        raise ArgumentError(
            "sampling.schedule is for drawing from a fitted run along another schedule than its "
            "own; leave it out here (what is trained along is process.schedule)."
        )
    model.check_sampling()  # refuses wrong sampling settings now, not after the training
    training = Training(
        model.denoiser,
        prepared.objective(model.denoiser, model.process),
        prepared.rows,
        settings.training,
        seed=settings.seed,
    )
    return training, model


def _measured(settings: Settings, data: Dataset[Any], **parts: Any) -> Precision:
    """The faster precision, by a training that is gone when this returns."""
    trial, _ = prepare(settings, data, **parts)
    with closing(trial), distributed.threads(settings.threads):
        return faster(trial)


@contextmanager
def begin(
    settings: Settings,
    data: Dataset[Any],
    out: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    network: nn.Module | None = None,
    process: Schedule | Process | None = None,
    start: Start | None = None,
) -> Iterator[Job]:
    """`prepare`, then make the run's folder, hold it, and write its settings.

    Args:
        settings: resolved.
        data: the rows.
        out: the folder; the next free runs/NAME-NNN where not given.
        name: the NAME; the source's where not given.
        network: of your own, see `fit`.
        process: of your own, see `fit`.
        start: whose weights are taken, if it is open; else that of the settings, if they name one.

    Raises:
        RunError: if the folder is taken or cannot be written, and as `prepare`.
    """
    if settings.sampling.few:  # what could not be is refused now, not after the training
        refuse_several()
    start = start or recorded_start(settings)
    codec, notes = adopted(start, data) if start else (None, [])
    if settings.training.precision == "auto":
        own = deepcopy(network)  # what is measured with is trained
        precision = _measured(
            settings, data, codec=codec, network=own, process=process, start=start
        )
        chosen = settings.training.model_copy(update={"precision": precision.name})
        settings, notes = settings.model_copy(update={"training": chosen}), [*notes, precision.note]
    training, model = prepare(
        settings, data, codec=codec, network=network, process=process, start=start
    )
    if settings.sampling.few:
        refuse_numberless(model)
        times_of(model.process, settings.sampling.few)
    if not distributed.is_first():
        yield Job(training, model, data, Path(out or ""), notes=(*notes,))
        return
    with new_folder(out, name or Path(settings.data.source).stem) as folder:
        atomic.write_bytes(folder / CONFIG, settings.to_toml().encode())
        yield Job(training, model, data, folder, notes=(*notes,))


_IN_PYTHON = "start a new one from its weights: sfumato.fit(rows, start=sfumato.open(...))"


@contextmanager
def resume(
    folder: Path, source: str | None = None, changes: Mapping[str, Any] | None = None
) -> Iterator[Job]:
    """Take up a run where its checkpoint stands, and hold its folder.

    Args:
        folder: the run's.
        source: what it must have been fitted to, if that is known.
        changes: to its settings from there on, nested: more steps, another learning rate.

    Raises:
        ArgumentError: if it was fitted to another source, or as `continued`.
        RunError: if the folder is not a run's or is in use, or its checkpoint is missing or
            damaged.
        DataError: if its file is gone or changed.
    """
    settings = read_settings(folder)
    if settings.data.source == IN_MEMORY:
        raise RunError(
            f"a run that was fitted to rows in memory cannot be resumed; {_IN_PYTHON}.",
            code="only-in-python",
        )
    if OWN in (settings.network.name, settings.process.schedule):
        raise RunError(
            f"a run with a network or schedule of its own cannot be resumed; {_IN_PYTHON}.",
            code="only-in-python",
        )
    if source not in (None, settings.data.source):
        raise ArgumentError(f"{folder} was fitted to {settings.data.source!r}, not to {source!r}.")
    with locked(folder) if distributed.is_first() else nullcontext():
        data = load(settings)
        # Its own codec, should today's make another of the same rows.
        held = load_model(folder / MODEL) if (folder / MODEL).exists() else None
        # A run that was killed before its first save was whole begins anew.
        saved = held is not None or any((folder / CHECKPOINT).glob("*.json"))
        renamed = weight_names(settings.network.name)
        state = checkpoint.load(folder / CHECKPOINT, renamed) if saved else None
        step = state[1]["step"] if state else 0
        new = continued(settings, changes, step, len(data.train), folder) if changes else settings
        start = None if saved else recorded_start(settings)
        codec = held.codec if held else adopted(start, data)[0] if start else None
        training, model = prepare(new, data, codec=codec, start=start)
        if state:
            training.restore(*state)
        job = Job(training, model, data, folder)
        if held is not None and step == training.num_steps:
            # What came after the fit is kept: a map, and that it draws.
            job = replace(job, model=changed(model, few=held.few, settings=held.settings))
        if state:
            job = replace(job, notes=(*_made_ready(job, settings, held),))
        yield job


def _made_ready(job: Job, before: Settings, held: Model | None) -> list[str]:
    """Bring the folder to where the checkpoint stands; what a person should know of it.

    Nothing that was made from other weights stays beside those to come.
    """
    settings, folder, step = job.model.settings, job.folder, job.training.step
    restored, goes_on = sampling_model(job), job.training.num_steps > step
    new_course = goes_on and settings.training.past != before.training.past
    distributed.any_of(False)  # all have read the folder
    notes = []
    if new_course:
        notes.append(described_rate(settings.training))
    if not distributed.is_first():
        return notes
    if goes_on:
        notes += set_aside(folder, step, KINDS[job.data.kind].sample_file, model=new_course)
    if goes_on and held is not None and held.few is not None and not settings.sampling.few:
        notes.append(
            "Its few-step map was learned from those weights; learn another when the fit is done: "
            f"sfumato distill {shlex.quote(str(folder))}"
        )
    if goes_on and settings != before:
        atomic.write_bytes(folder / CONFIG, settings.to_toml().encode())
    save_model(restored, folder / MODEL)  # a kill may have left it behind
    return notes


def resume_fit(
    folder: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Run:
    """Go on with a run where it stands, to its end; past it, if more steps are asked for.

    The weights, the optimizer's state and the average go on. The steps that are added have a
    learning rate of their own: from the rate before up to `training.learning_rate` in
    `training.warmup` steps, then as `training.decay` says. What was made from the weights so far
    (model, report, few-step map) is set aside in the run's folder `before`.

    Args:
        folder: the run's.
        settings: changes from there on: `{"training.steps": 20_000}`; also learning_rate, warmup,
            decay, epochs, checkpoint_every and snapshots of `training`.
        quiet: show no progress.

    Raises:
        ArgumentError: if another setting is to change, or no more steps are asked for.
        DataError: if its rows are gone or changed.
        RunError: if it is no run's folder, is in use, or was fitted to rows in memory or with a
            network of its own.
        DivergedError: if training meets a loss that is not finite.
        KeyboardInterrupt: after SIGINT or SIGTERM, when all is saved.
    """
    try:
        with resume(Path(folder), changes=config.nested(settings or {})) as job:
            return finish(job, quiet=quiet)
    except Stopped as stopped:
        raise KeyboardInterrupt(str(stopped)) from stopped


def fit(
    source: Source = "s-curve",
    *,
    network: nn.Module | None = None,
    process: Schedule | Process | None = None,
    start: Run | str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Run:
    """Fit a diffusion model to points, a table or pictures, in a run folder of its own.

    Up to three columns of decimals without missing values are points in space; any other columns
    are a table, whatever container they come in.

    Args:
        source: a toy set's name; a file of rows (.csv, .tsv, .txt, .parquet, .feather, .jsonl,
            .xlsx, .dta, .sav, .arff, .npy, .npz, or one of these in a .zip); a folder or archive
            of pictures; an array, a tensor, a list of rows or of pictures, a data frame of pandas,
            polars or pyarrow, or a data set of Hugging Face.
        network: your own: a module that maps `(x, log_snr)` to x's shape, x `(batch, *event)` and
            log_snr `(batch,)` or `()`; `network.parameterisation` says what its answer means.
            Opened again by `sfumato.open(path, network=...)`.
        process: your own: a schedule with `__call__(t)`, times in [0, 1] to a `NoiseLevel`, and its
            inverse `time(log_snr)`. Opened again by `sfumato.open(path, process=...)`.
        start: a fitted model whose weights are the first, in the place of random ones
            (fine-tuning): a run, or a run folder, model file or folder of diffusers. Its settings
            are the defaults (of points at three tenths of its learning rate); process, network and
            the scale of columns stay its own; classes of pictures may be others.
        out: the run's folder; runs/NAME-001 and so on where not given.
        settings: changes to the defaults, e.g. `{"training.steps": 500}`.
        seed: decides every draw.
        quiet: show no progress.

    Raises:
        ArgumentError: if a setting or the source is unknown.
        DataError: if the rows cannot be used.
        RunError: if the folder is taken.
        DivergedError: if training meets a loss that is not finite.
        KeyboardInterrupt: after SIGINT or SIGTERM, when all is saved.
    """
    with _begun(source, network, process, start, out, settings, seed) as job:
        return finish(job, quiet=quiet)


def fit_records(
    source: Source = "s-curve",
    *,
    network: nn.Module | None = None,
    process: Schedule | Process | None = None,
    start: Run | str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Generator[StepRecord, None, None]:
    """As `fit`, a record of each group of steps at a time: for loggers, and loops of your own.

    The run is whole when the records are: `sfumato.open(out)`. A loop that is left before leaves a
    run that is saved where it stands, and `sfumato.resume(out)` continues it, unless its rows were
    in memory or its network or schedule are your own. (Records that are kept under a name hold the
    folder until their `close()`.)

    Args:
        source: as of `fit`, and so all others.
        network: your own.
        process: your own.
        start: a fitted model to start from.
        out: the run's folder, which must be given: it is all by which the run is found.
        settings: changes to the defaults; `training.log_every` steps make a group.
        seed: decides every draw.

    Yields:
        `step`, `num_steps`, `epoch`, `loss`, `gradient_norm` and `learning_rate` of the steps since
        the last record.

    Raises:
        ArgumentError: at once, if there is no `out`.
        SfumatoError: as `fit`, when the first record is asked for.
    """
    if out is None:
        raise ArgumentError(
            "fit_records gives records and no run: say where that is to be, out='runs/mine', and "
            "open it there after the last record."
        )
    return _records(_begun(source, network, process, start, out, settings, seed))


def _records(begun: AbstractContextManager[Job]) -> Generator[StepRecord, None, None]:
    with begun as job:
        threads, records = job.model.settings.threads, fitting(job, stoppable=False)
        # The caller's own code runs between records, with its own number of threads.
        with closing(records):
            while True:
                with distributed.threads(threads):
                    record = next(records, None)
                if record is None:
                    break
                yield record
        with distributed.threads(threads):
            _completed(job, quiet=True)


@contextmanager
def _begun(
    source: Source,
    network: nn.Module | None,
    process: Schedule | Process | None,
    start: Run | str | os.PathLike[str] | None,
    out: str | os.PathLike[str] | None,
    settings: Mapping[str, Any] | None,
    seed: int,
) -> Iterator[Job]:
    own: dict[str, Any] = {}
    if network is not None:
        own["network.name"] = OWN
    if process is not None:
        own["process.schedule"] = OWN
    first = None if start is None else start_of(start)
    if first is not None:
        network, process = own_parts(first, network, process)
    resolved, data = resolve(source, {"seed": seed, **own, **(settings or {})}, start=first)
    try:
        with begin(resolved, data, out, network=network, process=process, start=first) as job:
            yield job
    except Stopped as stopped:
        raise KeyboardInterrupt(str(stopped)) from stopped


def finish(job: Job, *, quiet: bool = False) -> Run:
    """Train to the end, showing how it goes; the fitted run.

    With a few-step map, where the settings say that it is to draw (`sampling.few`).
    """
    with (
        ProgressLine(
            "fit", job.training.num_steps, "steps", quiet=quiet or not distributed.is_first()
        ) as line,
        distributed.threads(job.model.settings.threads),
    ):
        for record in fitting(job, quiet=quiet):
            line.advance_to(record.step, f"loss {record.loss:.4f}")
    return _completed(job, quiet=quiet)


def _completed(job: Job, *, quiet: bool) -> Run:
    """What follows the last step: a few-step map, if it is to draw, and the model card."""
    run = Run(sampling_model(job), job.folder, job.data)
    few = run.settings.sampling.few
    if few and run.model.few is None:
        run = learn_map(run, [few], seed=run.settings.seed, measure=False, quiet=quiet).run
    if distributed.is_first():
        write_card(run)
    return run
