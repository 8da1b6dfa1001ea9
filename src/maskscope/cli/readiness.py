"""`maskscope readiness`: will it work with this camera, and what has to change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.observed_clip import (
    Boxes,
    Device,
    FrameNumber,
    ImageSize,
    Mask,
    Masks,
    Model,
    Points,
    Precision,
    Sequence_,
    Source,
    folder_for,
    prompts_for,
    told_truth,
)
from maskscope.cli.options import PrecisionChoice, parse_size
from maskscope.errors import SettingError

if TYPE_CHECKING:
    from maskscope.readiness.figure import Figure
from maskscope.readiness.result import ReadinessResult

_ASKED, _RESULTS, _WATCH = "What is asked", "Results", "Watching a stream"
_ONLY_WATCHING = ("thresholds", "limit", "hold", "keep_going", "every", "policy", "log")
_NEVER_WATCHING = (
    "frame", "masks", "sequence", "keep", "cost_miss", "cost_false_alarm", "cost_review_minute", "objects_per_hour",
    "max_frames", "quick", "full", "reference", "lang", "out", "overwrite",
)  # fmt: skip
DEFAULT_FRAMES = 300

HELP = """
From a clip of your camera to a decision: will it work, what does it need, how long does it hold, what does it cost.

The clip is measured, made worse step by step (resolution, frame rate, light, shutter, compression, flicker), played \
forth and back, and its object is hidden for longer and longer. What comes out are limits with intervals, a threshold \
for the least cost, and a plan in which every advice names the measurement behind it.

\b
  readiness.html   the decision, then the evidence
  readiness.json   the same for programs
  records.parquet  all figures behind it
  passes/          finished parts: after an interruption, and with other costs, the same clip goes on from them

Masks are compared with true ones where the clip has them (a data set, or --masks). Else the clean run's own masks are \
taken for true: that shows change, not correctness.

Ctrl-C stops and leaves the records of what was computed; the same command goes on.

Examples:

\b
  maskscope readiness line3.mp4 --box 300,150,420,260
  maskscope readiness line3.mp4 --mask first.png --cost-miss 80 --objects-per-hour 1200 --lang ja
  maskscope readiness DAVIS --sequence dog --keep 0.9
\b
  another day, held to what a good day's sweeps found:
  maskscope readiness today.mp4 --box 300,150,420,260 --reference line3-readiness/readiness.json
\b
  hold the running camera to what was found:
  maskscope readiness rtsp://camera/1 --watch --box 300,150,420,260 --thresholds line3-readiness/readiness.json
"""


def readiness(
    context: typer.Context,
    source: Source,
    point: Points = None,
    box: Boxes = None,
    mask: Mask = None,
    frame: FrameNumber = 0,
    masks: Masks = None,
    sequence: Sequence_ = None,
    keep: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Of J that has to be kept, 0 to 1: limits are where less is.", rich_help_panel=_ASKED
        ),
    ] = 0.8,
    cost_miss: Annotated[
        float | None,
        typer.Option(metavar="COST", help="Of an object that is not found. (default: 20)", rich_help_panel=_ASKED),
    ] = None,
    cost_false_alarm: Annotated[
        float | None,
        typer.Option(metavar="COST", help="Of one found where none is. (default: 5)", rich_help_panel=_ASKED),
    ] = None,
    cost_review_minute: Annotated[
        float | None,
        typer.Option(metavar="COST", help="Of a minute of a person looking. (default: 1)", rich_help_panel=_ASKED),
    ] = None,
    objects_per_hour: Annotated[
        float | None, typer.Option(metavar="N", help="That pass. (default: 600)", rich_help_panel=_ASKED)
    ] = None,
    max_frames: Annotated[
        int,
        typer.Option(metavar="N", help="Look at so many frames at most; 0 is all of them.", rich_help_panel=_ASKED),
    ] = DEFAULT_FRAMES,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Half of the tracking: fewer levels, shorter windows, and so wider intervals. (default: where all of "
            "it would take more than six minutes)",
            rich_help_panel=_ASKED,
        ),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="All of the tracking, however long it takes.", rich_help_panel=_ASKED)
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="readiness.json of a good day with this camera: its ranges of sharpness, noise, light and motion are "
            "what the picture is held to.",
            rich_help_panel=_ASKED,
        ),
    ] = None,
    model: Model = "compact",
    device: Device = None,
    precision: Precision = PrecisionChoice.auto,
    image_size: ImageSize = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Hold CLIP, which may be a stream or camera:0, to limits: JSON lines, exit code 10 at an alarm, 11 "
            "where the stream stops.",
            rich_help_panel=_WATCH,
        ),
    ] = False,
    thresholds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="readiness.json of an earlier run.", rich_help_panel=_WATCH),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIGNAL=LOW:HIGH", help="Instead of that, or beside it. Repeat for more.", rich_help_panel=_WATCH
        ),
    ] = None,
    hold: Annotated[
        int, typer.Option(metavar="N", help="Frames in a row outside that raise an alarm.", rich_help_panel=_WATCH)
    ] = 25,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on after an alarm.", rich_help_panel=_WATCH)
    ] = False,
    every: Annotated[
        int, typer.Option(metavar="N", help="Write a line each N frames; alarms always.", rich_help_panel=_WATCH)
    ] = 1,
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="Of memory, while watching.", rich_help_panel=_WATCH)
    ] = "stock",
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the lines there, not to stdout.", rich_help_panel=_WATCH),
    ] = None,
    lang: Annotated[str, typer.Option(metavar="en|ja", help="Of the page.", rich_help_panel=_RESULTS)] = "en",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to write. (default: CLIP's name with -readiness)", rich_help_panel=_RESULTS
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results in DIR.", rich_help_panel=_RESULTS)
    ] = False,
) -> None:
    """Measure an installation by a clip of it; see `HELP`."""
    _check_given(context, watch)
    if watch:
        from maskscope.cli.watch import watch as watch_it
        from maskscope.studies.watch import WatchOptions

        how = WatchOptions(
            model=model,
            device=device,
            precision=precision.value,
            image_size=parse_size(image_size),
            policy=policy,
            hold_frames=hold,
            keep_going=keep_going,
            every=every,
        )
        watch_it(
            source,
            how,
            points=point or (),
            boxes=box or (),
            mask=mask,
            thresholds=thresholds,
            limits=limit or (),
            log=log,
        )
        return
    if quick and full:
        raise SettingError("--quick and --full contradict each other", "leave one of them out")
    from maskscope.readiness.budget import QUICK, STANDARD
    from maskscope.readiness.cost import cost_inputs
    from maskscope.readiness.result import ReadinessResult
    from maskscope.studies.looked_at import look_at
    from maskscope.studies.observe import ObserveOptions
    from maskscope.studies.readiness.study import (
        ENOUGH_SECONDS,
        LEAST_FRAMES,
        ReadinessOptions,
        assess_readiness,
    )

    options = ReadinessOptions(
        observe=ObserveOptions(
            model=model, device=device, precision=precision.value, image_size=parse_size(image_size)
        ),
        keep=keep,
        costs=cost_inputs(cost_miss, cost_false_alarm, cost_review_minute, objects_per_hour),
        lang=lang,
        budget=QUICK if quick else STANDARD if full else None,
        reference=None if reference is None else ReadinessResult.read(reference),
    )
    enough = f"give {LEAST_FRAMES} at least; {ENOUGH_SECONDS:g} s let limits be told"
    clip = look_at(source, masks=masks, sequence=sequence, start=frame, max_frames=max_frames or None, enough=enough)
    prompts = prompts_for(clip, point, box, mask)
    with stopping() as stop, ProgressBar() as bar:
        summary = assess_readiness(
            clip,
            prompts,
            folder_for(clip, out, "-readiness"),
            options,
            overwrite=overwrite,
            command=["maskscope", *sys.argv[1:]],
            progress=bar,
            stop=stop,
        )
    typer.echo(told_truth(clip.annotated))
    if summary.result is None:
        typer.echo(
            f"stopped; {summary.passes_kept} finished parts are kept in {summary.folder}, the same command goes on",
            err=True,
        )
        raise typer.Exit(stop.exit_code)
    typer.echo(_told(summary.result))
    for note in summary.notes:
        typer.echo(note)
    typer.echo(f"look at {summary.page or summary.folder / 'readiness.json'}")


def _check_given(context: typer.Context, watch: bool) -> None:
    """Refuse what would be ignored.

    Raises:
        SettingError: an option of the other kind of run.
    """
    for name in _NEVER_WATCHING if watch else _ONLY_WATCHING:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            if watch:
                raise SettingError(f"{option} means nothing with --watch", "leave one of them out")
            raise SettingError(f"{option} is for watching a stream", "add --watch, or leave it out")


def _told(result: ReadinessResult) -> str:
    lines = [
        f"{'':<14} {'present':>10} {'limit':>24} {'advised':>12}",
        *(
            f"{each.axis:<14} {each.present:>10.4g} {_limit(each.limit):>24} {_limit(each.advised):>12}  {each.unit}"
            for each in result.sweeps
        ),
        *(
            f"{each.policy:<14} holds {_limit(each.horizon)} frames, occlusions of {_limit(each.longest_occlusion)}, "
            f"prompt again every {_limit(each.reprompt_interval)} frames"
            for each in result.endurance
        ),
    ]
    best = result.cost.best_threshold
    lines.append(f"{'threshold':<14} {_limit(best)} logit, cost an hour {_limit(result.cost.best_cost)}")
    lines.append(f"short tasks: {result.verdict}")
    lines += [f"  {each.stage:<9} {each.rule}  ({', '.join(each.cites)})" for each in result.plan]
    return "\n".join(lines)


def _limit(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "-"
    sign = {"exact": "", "at least": ">= ", "at most": "<= "}[figure.bound]
    ends = "" if figure.low is None or figure.high is None else f" [{figure.low:.3g}, {figure.high:.3g}]"
    return f"{sign}{figure.value:.3g}{ends}"
