"""`maskscope train`: make a compact model from data."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from maskscope.cli.console import USER_ERROR, stopping
from maskscope.cli.step_bar import StepBar
from maskscope.errors import MaskscopeError

HELP = """
Train the compact model.

DATA holds video/SET/CLIP/frames and masks, image/SET/images and masks, cutouts and backgrounds; any may be missing. \
The recipe decides the weights, up to rounding: the same data and recipe make them again.

Ctrl-C stops and saves; the same command goes on where it stopped, also after a crash. Several GPUs: \
torchrun --nproc-per-node 4 -m maskscope.cli.main train ...

Examples:

\b
  maskscope train data --out compact
  maskscope train data --recipe mine.toml --out mine
  maskscope demo --model compact/weights.safetensors
"""


def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of training data.", show_default=False)],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where log, checkpoint and weights go; a run begun there goes on.")
    ] = Path("maskscope-training"),
    recipe: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="compact, or a TOML file that says what differs from it.")
    ] = "compact",
    cache: Annotated[Path, typer.Option(metavar="DIR", help="Where decoded data is kept for the next run.")] = Path(
        "maskscope-cache"
    ),
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes that train together on a CPU. (default: one a core)"),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Further processes that make clips; of use beside a GPU.")
    ] = 0,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 ... (default: the GPU if there is one)")
    ] = None,
) -> None:
    """Train the compact model; see `HELP`."""
    from maskscope.studies.folder_lock import folder_lock
    from maskscope.training.launch import TrainOptions
    from maskscope.training.launch import train as run
    from maskscope.training.loop import WEIGHTS_NAME
    from maskscope.training.recipe_file import read_recipe
    from maskscope.training.team import team_of_environment

    team = team_of_environment()
    leads = team.leads
    options = TrainOptions(data, out, cache, processes, workers, device)
    with _one_voice(team.size, leads):
        plan = read_recipe(recipe)
        with folder_lock(out) if leads else nullcontext(), stopping("step") as stop, StepBar() as bar:
            finished = run(plan, options, watch=bar, stop=stop)
    if not leads:
        return
    if not finished:
        typer.echo(f"stopped after step {bar.done} of {plan.steps}; run the same command to go on", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(f"{plan.steps} steps; the weights are {out / WEIGHTS_NAME}, for --model of every command")


@contextmanager
def _one_voice(processes: int, leads: bool) -> Iterator[None]:
    """Of the processes that `torchrun` started, the one that leads tells an error; all end with the same code."""
    try:
        yield
    except MaskscopeError as error:
        if processes > 1:  # torchrun terminates the others when the first has ended; they are ending themselves
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if leads:
            raise
        raise typer.Exit(USER_ERROR) from error
