"""Learning a few-step map from a fitted run: from its network to one that needs 1 to 4 calls.

The run's own network stays in the same file, for likelihood, editing and the doctor. As of a fit,
all that is learned on the way lies in a folder, `few` in the run's own, which resuming needs.
"""

import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w
import torch
from torch import Tensor, nn

from sfumato import atomic, config, distributed
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.metrics.evaluation import Evaluation
from sfumato.models.few import MOST_LEVELS, FewSteps, as_map, calls_of, ends_of_flow, times_of
from sfumato.models.file import save_model
from sfumato.models.model import Model, changed
from sfumato.networks.branches import branched, can_branch
from sfumato.process.streams import CHUNK, DISTILLING, PICTURES, generator
from sfumato.progress import ProgressLine
from sfumato.runs.card import write_card
from sfumato.runs.folder import CHECKPOINT, FEW, MODEL, locked, read_settings, resume_command
from sfumato.runs.job import Job, fitting
from sfumato.runs.kinds import KINDS
from sfumato.runs.run import Run
from sfumato.training import checkpoint
from sfumato.training.flow_ends import BranchedFlowEnds, FlowEnds, noised_among, with_ends
from sfumato.training.loop import Training, num_steps
from sfumato.training.loss import simple

# Of the time of the fit a part goes to the flow's ends and the rest to learning them:
# rows whose ends are computed, steps of the solver, steps for one of the fit, rows for one.
# Rows and steps are those of a map for every number of calls; one of fewer levels takes fewer.
_RECIPES = {
    "points": (20_000, 32, 0.5, 2),
    "table": (327_680, 16, 0.6, 1),
    "images": (4_096, 16, 0.65, 1),
}

# Rows whose ends are computed together: of points more than of samples, as nobody waits for the
# first, which takes two thirds of the time.
_AT_ONCE = {"points": 4 * CHUNK, "table": CHUNK, "images": PICTURES}

# Ends are of one row for so many that the fit saw, or they would take longer than it; of some at
# least; and of rows of so many numbers at most, which stay in memory.
_SEEN, _FEWEST, _NUMBERS = 10, 64, 2**26


# Muon learns ends of points no better than AdamW, and takes longer. A fit by it counts as one by
# AdamW in so many times its steps, of so many times its rows, at so many times its rate.
_AS_ADAMW = 2.4, 0.5, 1 / 3

# Candidate answers of a perceptron, enough for all the parts that a toy set's flow falls into.
_BRANCHES = 16


@dataclass(frozen=True, slots=True)
class Distilled:
    """What a few-step map came to.

    Args:
        run: with the map.
        evaluation: how far its samples of the most calls are from real rows; None where there are
            too few to measure.
        chosen: the calls that `sample` takes from now on; 0: the sampler goes on drawing.
    """

    run: Run
    evaluation: Evaluation | None
    chosen: int


def distill(
    run: Run,
    calls: Sequence[int] | None = None,
    *,
    seed: int | None = None,
    resume: bool = False,
    quiet: bool = True,
) -> Distilled:
    """Learn a map of a few network calls from a run's own network, and keep it in the run.

    Where samples of its most calls cannot be told apart from real rows, they are what `sample`
    draws from then on, unless the run was fitted to draw in a number of calls (`sampling.few`) that
    the map knows.

    Args:
        run: fitted, with its folder, whose rows can be had.
        calls: for which numbers of network calls: 1, 2, 4; all that its process has levels for,
            where not given.
        seed: decides all that is drawn; 0 where not given.
        resume: go on where it was stopped, with the calls and the seed that it was begun with.
        quiet: show no progress.

    Raises:
        ArgumentError: if there is no such number of calls, no number to draw, the run is a lone
            file or not finished, or calls or a seed are given to what goes on.
        RunError: if the run's rows cannot be had, or there is nothing to resume.
        Stopped: after SIGINT or SIGTERM, when all is saved.
    """
    if run.folder is None:
        raise ArgumentError("a lone model file has no place for a few-step map; give a run folder.")
    if resume and not (calls is None and seed is None):
        raise ArgumentError("what goes on keeps its calls and its seed; leave them out.")
    if not run.is_finished():
        raise ArgumentError(
            f"this run is not finished, and its network will change; first "
            f"`{resume_command(run.folder)}`."
        )
    with locked(run.folder):
        if resume:
            calls, seed = _planned(run.folder / FEW)
        elif calls is None:
            calls = calls_of(run.model.process)
        return learn_map(run, calls, seed=seed or 0, resume=resume, quiet=quiet)


def refuse_several() -> None:
    """Refuse to learn a map in several processes.

    Raises:
        ArgumentError: if there are several.
    """
    if distributed.count() > 1:
        raise ArgumentError("a few-step map is learned by one process; start it without torchrun.")


def refuse_numberless(model: Model) -> None:
    """Refuse to learn a map of a table that has no numbers.

    Raises:
        ArgumentError: if it has none.
    """
    if not math.prod(model.codec.event):
        raise ArgumentError(
            "this table has no numeric column, and categories are drawn one by one: there is no "
            "flow whose end could be learned."
        )


def learn_map(
    run: Run,
    calls: Sequence[int],
    *,
    seed: int,
    resume: bool = False,
    measure: bool = True,
    quiet: bool,
) -> Distilled:
    """As `distill`, of a run whose folder is held for writing; unmeasured if so asked."""
    assert run.folder is not None
    refuse_several()
    refuse_numberless(run.model)
    folder, named = run.folder / FEW, read_settings(run.folder).sampling.few
    times = {each: times_of(run.model.process, each) for each in sorted({*calls})}
    if not resume:
        if folder.exists():  # of a map that the new one takes the place of
            shutil.rmtree(folder)
        folder.mkdir()
        plan = {"calls": [*times], "seed": seed}
        atomic.write_bytes(folder / _PLAN, tomli_w.dumps(plan).encode())
    job = _begun(run, times, folder, seed, quiet=quiet)
    if resume:
        saved = checkpoint.load(folder / CHECKPOINT)
        try:
            job.training.restore(*saved)
        except RunError as error:
            raise RunError(
                f"what was begun in {folder} is no map as it is learned here, by its settings or "
                "by this version; begin anew, without --resume."
            ) from error
    network = _learned(job, quiet=quiet)
    made = replace(run, model=changed(run.model, few=FewSteps(network, times)))
    found = _kept(made, named, measure=measure, quiet=quiet)
    shutil.rmtree(folder / CHECKPOINT)  # which only resuming needed
    return found


def _planned(folder: Path) -> tuple[list[int], int]:
    """What was begun.

    Raises:
        RunError: if nothing was, or it is finished.
    """
    if not (folder / CHECKPOINT).is_dir():
        raise RunError(f"there is nothing to go on with in {folder}; leave --resume out.")
    try:
        plan = config.load_toml(folder / _PLAN)
        calls, seed = [int(each) for each in plan["calls"]], int(plan["seed"])
    except (ArgumentError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / _PLAN} is damaged; begin anew, without --resume.") from error
    return calls, seed


def _begun(
    run: Run, times: Mapping[int, tuple[float, ...]], folder: Path, seed: int, *, quiet: bool
) -> Job:
    """The map's training, with the ends of the flow that it learns."""
    model, settings, data = run.model, run.settings, run.load_data()
    kind = model.codec.kind
    most, flow_steps, steps, batch = _RECIPES[kind]
    own = settings.training.model_copy(update={"reference": 0})  # the end of a flow has no mean
    if kind == "points" and own.optimizer == "muon":
        more, fewer, lower = _AS_ADAMW
        own = own.model_copy(
            update={
                "optimizer": "adamw",
                "steps": round(more * own.steps),
                "batch_size": math.ceil(fewer * own.batch_size),
                "learning_rate": lower * own.learning_rate,
            }
        )
    of_ends = settings.model_copy(update={"training": own})
    prepared = KINDS[kind].prepare(of_ends, data, model.codec)
    fitted = num_steps(own, len(prepared.rows))
    # An average of weights, as the run draws with, is not for training.
    network = deepcopy(model.denoiser.network).requires_grad_(True)
    source = generator(seed, DISTILLING)
    ends: type[FlowEnds] = FlowEnds
    if can_branch(network):
        network, ends = branched(network, _BRANCHES, source), BranchedFlowEnds
    student = as_map(model.denoiser, network)
    objective: Any = prepared.objective(model.denoiser, model.process)
    objective = objective.simplified(objective.times, simple(student.parameterisation))
    visited = sorted({time for each in times.values() for time in each}, reverse=True)
    part = (len(visited) + 1) / (MOST_LEVELS + 1)  # `noised_among` counts the first level twice
    bound = min(fitted * own.batch_size // _SEEN, _NUMBERS // objective.numbers_per_row)
    rows = max(_FEWEST, round(part * min(most, bound)))
    pairs, which = noised_among(objective, prepared.rows, visited, rows, source)
    with distributed.threads(settings.threads):
        pairs = with_ends(pairs, _ends(model, pairs, which, visited, flow_steps, quiet=quiet))
    recipe = own.model_copy(
        update={
            "steps": max(1, round(part * steps * fitted)),
            "epochs": None,
            "past": (),
            "batch_size": batch * own.batch_size,
            "snapshots": 0,
        }
    )
    training = Training(student, ends(objective), pairs, recipe, seed=seed)
    again = f"sfumato distill --resume {shlex.quote(str(run.folder))}"
    return Job(training, changed(model, denoiser=student), data, folder, again, draws=False)


def _ends(
    model: Model,
    pairs: Any,
    which: Tensor,
    times: Sequence[float],
    flow_steps: int,
    *,
    quiet: bool,
) -> Tensor:
    """Where the flow of the model's own network takes each noised row, shaped like it."""
    levels = model.process.at(torch.tensor(times, dtype=torch.float64))
    most = model.process.num_levels or flow_steps
    grid = model.process.grid(_GRID, min(flow_steps, most))
    x_t = pairs.x_t
    ends, done = torch.empty_like(x_t), 0
    with ProgressLine("flow", len(pairs), "rows", quiet=quiet) as line:
        for k in range(len(times)):
            for some in (which == k).nonzero().flatten().split(_AT_ONCE[model.codec.kind]):
                part = pairs[some]
                denoise = model.conditional(part.condition, model.settings.sampling)
                ends[some] = ends_of_flow(denoise, part.x_t.double(), levels[k], grid).to(ends)
                line.advance_to(done := done + len(some))
    return ends


def _learned(job: Job, *, quiet: bool) -> nn.Module:
    """The network of the map, trained to the end."""
    with (
        ProgressLine("distill", job.training.num_steps, "steps", quiet=quiet) as line,
        distributed.threads(job.model.settings.threads),
    ):
        for record in fitting(job, quiet=quiet):
            line.advance_to(record.step, f"loss {record.loss:.5f}")
    last = job.model.settings.sampling.weights == "last"
    return deepcopy(job.training.drawing_network(last=last))


def _kept(run: Run, named: int, *, measure: bool, quiet: bool) -> Distilled:
    """The map measured, the calls to draw with chosen, and all written to the run's folder.

    `named`: what the run was fitted to draw in; what a map before this one was good for counts no
    more.
    """
    folder, few = run.folder, run.model.few
    assert folder is not None
    assert few is not None
    evaluation, most = None, max(few.times)
    if measure:
        with suppress(ArgumentError, DataError):  # too few rows to measure anything by
            evaluation = in_few(run, most).evaluate(quiet=quiet)
    equal = evaluation is not None and evaluation.verdict == _AT_THE_FLOOR
    chosen = named if named in few.times else most * equal
    run = in_few(run, chosen)
    save_model(run.model, folder / MODEL)
    write_card(run)
    return Distilled(run, evaluation, chosen)


def in_few(run: Run, calls: int) -> Run:
    """The same run, which draws with so many calls of its map; 0: with its sampler."""
    sampling = run.settings.sampling.model_copy(update={"few": calls})
    settings = run.settings.model_copy(update={"sampling": sampling})
    return replace(run, model=changed(run.model, settings=settings))


_AT_THE_FLOOR = "cannot be told apart"
# Calls and seed of the map that is being learned.
_PLAN = "plan.toml"
# In 32 steps nearly as near to the end as steps even in the log-SNR are in 48.
_GRID = "softplus-wide"
