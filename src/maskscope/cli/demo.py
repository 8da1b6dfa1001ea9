"""`maskscope demo`: see it work on the clip that comes with the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.diagnose import conditions_table
from maskscope.cli.options import parse_size
from maskscope.errors import SettingError

if TYPE_CHECKING:
    from maskscope.evaluate.protocol import SequenceScore
    from maskscope.studies.track import TrackOptions


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")] = Path("maskscope-demo"),
    model: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="One of `maskscope models`, or a file of weights.")
    ] = "compact",
    policy: Annotated[
        str, typer.Option(metavar="NAME[:key=value,...]", help="Of memory, one of `maskscope policies`.")
    ] = "stock",
    image_size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Size at which the model sees the video (default: as trained)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in DIR.")] = False,
    no_diagnosis: Annotated[bool, typer.Option("--no-diagnosis", help="Track only.")] = False,
) -> None:
    """Track through the bundled clip and show how well, then find out where it would be lost.

    Follows two animals from their masks on the first frame; prints how well the masks agree with the truth (J: \
region, F: outline, 0 to 1) and how fast it was, and writes overlay.mp4 and contact-sheet.png. Then one of them is \
diagnosed on the first frames as they are, with something in front, in other light and from elsewhere: \
diagnosis/report.html. That takes a few minutes without a GPU.
    """
    from maskscope.studies.demo import run_demo
    from maskscope.studies.track import TrackOptions

    options = TrackOptions(model=model, policy=policy, image_size=parse_size(image_size))
    command = ["maskscope", *sys.argv[1:]]
    with stopping() as stop, ProgressBar() as bar:
        result = run_demo(out, options, overwrite=overwrite, command=command, progress=bar, stop=stop)
    if result.score is None or result.sheet is None:
        typer.echo(f"stopped at frame {result.summary.next_frame}; run the same command to go on", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(_table(result.score))
    typer.echo(f"\n{result.summary.num_frames} frames, {result.summary.fps:.1f} a second with decoding and writing")
    typer.echo(f"look at {result.summary.folder / 'overlay.mp4'} and {result.sheet}")
    if not no_diagnosis:
        _diagnose(out, options, command)


def _diagnose(out: Path, options: TrackOptions, command: list[str]) -> None:
    """Where the object is lost; without the packages for that, which to install."""
    from maskscope.studies.demo import diagnose_demo

    try:
        with stopping() as stop, ProgressBar() as bar:
            found = diagnose_demo(out, options, command=command, progress=bar, stop=stop)
    except SettingError as error:
        typer.echo(f"\nnot diagnosed: {error}")
        return
    typer.echo("\nthe first animal, as filmed and transformed:")
    typer.echo(conditions_table(found.conditions))
    if not found.finished:
        typer.echo(f"stopped; what came so far is in {found.folder / 'records.parquet'}", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(f"look at {found.report}" if found.report else "\n".join(found.notes))


def _table(score: SequenceScore) -> str:
    """J, F and their mean of each object, and of all."""
    rows = [(str(i), score.object_region(i).mean, score.object_boundary(i).mean) for i in score.object_ids]
    if len(rows) > 1:
        rows.append(("mean", score.j.mean, score.f.mean))
    lines = [f"{'object':>6}  {'J':>5}  {'F':>5}  {'J&F':>5}"]
    lines += [f"{name:>6}  {j:5.3f}  {f:5.3f}  {(j + f) / 2:5.3f}" for name, j, f in rows]
    return "\n".join(lines)
