"""`maskscope prompts`: which prompt, how many, and when again."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.observed_clip import (
    Boxes,
    Device,
    ImageSize,
    Mask,
    Masks,
    Model,
    Points,
    Policy,
    Precision,
)
from maskscope.cli.options import PrecisionChoice, gather_prompts, parse_size
from maskscope.errors import SettingError

if TYPE_CHECKING:
    from maskscope.report.prompts_table import PromptRow
    from maskscope.studies.jobs import Executor
    from maskscope.studies.prompting.job import Part
    from maskscope.studies.prompting.study import PromptsSummary
    from maskscope.tracking.prompts import Prompt

_WHAT, _GRID, _RESULTS = "Which object", "What is tried", "Work and results"
_FAILED = 1
DEFAULT_FRAMES = 60

HELP = """
Find out which prompt an object needs, how many, and when again.

Prompts are made from the true masks (of a data set, or --masks) and tried on the first frame, on later frames, moved \
and scaled, and on the wrong thing. Simulated users correct what they see by the protocol of SAM 2: three clicks on \
the worst frame after each pass, or on the spot where IoU falls below 0.75; their seconds are those of its time model. \
At the end stands a recommendation, with the rules and figures it comes from.

\b
parts of the study:
  kind      mask, box, 1, 3, 5 clicks; at centres and by humans; positive and negative
  density   3 clicks, box, mask every N frames
  jitter    boxes shifted, grown and shrunk, clicks shifted
  wrong     background and neighbours, and what the model says of them
  offline   corrections after each pass, on up to 8 frames
  online    corrections on the spot, on up to 8 frames
  noc       clicks until the first mask reaches 85 and 90 % IoU
  inside    separation at prompt_attended, memory against prompts

Without true masks, mark the object (--mask FILE, --box, --point): the model's own run then stands in for them, which \
shows change, not correctness.

Every result is kept in DIR. Ctrl-C stops; the same command goes on.

\b
  prompts.html     the recommendation, then the evidence. One file, works offline
  records.parquet  all figures behind it
  summary.json, prompts.json, jobs/

Examples:

\b
  maskscope prompts dog.mp4 --masks dog-masks
  maskscope prompts dog.mp4 --mask first.png --parts kind,density
  maskscope prompts DAVIS --out prompted --jobs 4
"""


class ObjectChoice(StrEnum):
    """Names of `--objects`."""

    largest = "largest"
    all = "all"


def prompts(
    source: Annotated[
        str,
        typer.Argument(metavar="CLIP|DATASET", help="Video file, folder of images, or data set.", show_default=False),
    ],
    masks: Masks = None,
    mask: Mask = None,
    box: Boxes = None,
    point: Points = None,
    objects: Annotated[
        ObjectChoice, typer.Option(help="Of the first frame: the largest, or all.", rich_help_panel=_WHAT)
    ] = ObjectChoice.largest,
    frame: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Begin on this frame. (default: the first that shows an object)",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    max_frames: Annotated[
        int, typer.Option(metavar="N", help="At most so many frames of a clip; 0 is all.", rich_help_panel=_WHAT)
    ] = DEFAULT_FRAMES,
    sequences: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[,NAME]", help="Only these, of a data set.", rich_help_panel=_WHAT),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N clips.", rich_help_panel=_WHAT)
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[,NAME]", help="Of the study, see above.", show_default="all", rich_help_panel=_GRID),
    ] = None,
    jitter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PERCENT[,...]",
            help="Of the object's sides.",
            show_default="5,10,20,30,50",
            rich_help_panel=_GRID,
        ),
    ] = None,
    every: Annotated[
        list[str] | None,
        typer.Option(metavar="N[,...]", help="Frames between prompts.", show_default="10,30", rich_help_panel=_GRID),
    ] = None,
    seeds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N[,...]", help="Of humans and of jitter; averaged.", show_default="0", rich_help_panel=_GRID
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="1-8", min=1, max=8, help="Frames that a user corrects.", rich_help_panel=_GRID)
    ] = 8,
    model: Model = "compact",
    policy: Policy = "stock",
    device: Device = None,
    precision: Precision = PrecisionChoice.auto,
    image_size: ImageSize = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are, and go. (default: CLIP's name with -prompts)",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes.", rich_help_panel=_RESULTS)
    ] = 1,
) -> None:
    """Find out which prompt an object needs; see `HELP`."""
    from maskscope.studies.prompting.job import PARTS
    from maskscope.studies.prompting.study import PromptsOptions, run_prompts
    from maskscope.studies.prompting.targets import Targets
    from maskscope.studies.prompting.trials import EVERY, JITTER_PERCENT, TrialGrid

    if max_frames < 0:
        raise SettingError(f"--max-frames {max_frames} is no number of frames", "give 2 or more, or 0 for all")
    given = _given(source, frame or 0, point, box, mask) if point or box or mask else ()
    targets = Targets(
        source,
        masks=masks,
        sequences=_words(sequences),
        limit=limit,
        start=frame,
        max_frames=max_frames or None,
        objects="all" if objects is ObjectChoice.all else "largest",
        prompts=given,
    )
    options = PromptsOptions(
        model=model,
        policy=policy,
        parts=cast("tuple[Part, ...]", _words(parts)) or PARTS,
        grid=TrialGrid(
            percents=_numbers(jitter, "--jitter") or JITTER_PERCENT,
            every=_numbers(every, "--every") or EVERY,
            seeds=_numbers(seeds, "--seeds") or (0,),
        ),
        rounds=rounds,
        device=device,
        precision=precision.value,
        image_size=parse_size(image_size),
    )
    folder = out or Path((re.sub(r"[^\w.-]+", "-", Path(source).stem).strip("-.") or "clip") + "-prompts")
    with stopping() as stop, ProgressBar() as bar:
        summary = run_prompts(
            targets,
            folder,
            options,
            executor=_executor(jobs),
            command=["maskscope", *sys.argv[1:]],
            progress=bar,
            stop=stop,
        )
    if summary.rows and summary.advice is not None:
        typer.echo(f"{table(summary.rows)}\n")
        for finding in (each for each in summary.advice.findings if each.question in ("how exact", "wrong prompts")):
            typer.echo(f"{finding.says[:1].upper()}{finding.says[1:]}.")
        typer.echo(summary.advice.sentence)
        typer.echo(f"look at {summary.page}")
    _leave(summary, stop.exit_code if summary.jobs.left else 0)


def table(rows: Sequence[PromptRow]) -> str:
    """Lines for the terminal: what was tried, J&F with its interval, seconds of a human's time."""
    width = max(len(_name(row)) for row in rows)
    head = f"{'':<8} {'tried':<{width}} {'J&F':>6} {'95 %':>16} {'seconds':>8} {'score':>6}"
    lines = [head, "-" * len(head)]
    for row in rows:
        if row.axis in ("noc", "telling"):
            continue
        if row.score is None:
            said = next(iter(row.missing), "not measured")
            lines.append(f"{row.axis:<8} {_name(row):<{width}} {said}")
            continue
        ends = f"[{row.score.low:.3f}, {row.score.high:.3f}]"
        seconds, logit = row.value("human_seconds"), row.value("object_score_first")
        line = f"{row.axis:<8} {_name(row):<{width}} {row.score.estimate:6.3f} {ends:>16} "
        line += (
            f"{'' if seconds is None else format(seconds, '.1f'):>8} {'' if logit is None else format(logit, '.1f'):>6}"
        )
        lines.append(line.rstrip())
    lines += [
        f"{'noc':<8} {row.name:<{width}} {row.value('noc@85'):.2f} clicks to 85 % IoU, "
        f"{row.value('noc@90'):.2f} to 90 % ({row.value('not_reached@90'):.0%} never)"
        for row in rows
        if row.axis == "noc" and row.value("noc@85") is not None
    ]
    return "\n".join(lines)


def _name(row: PromptRow) -> str:
    return f"{row.name} {row.percent} %" if row.percent else row.name


def _given(
    source: str, start: int, points: Sequence[str] | None, boxes: Sequence[str] | None, mask: Path | None
) -> tuple[Prompt, ...]:
    """Prompts of a clip without masks."""
    from maskscope.studies.looked_at import look_at

    clip = look_at(source, start=start)
    return tuple(gather_prompts(points or (), boxes or (), mask, clip.size))


def _executor(jobs: int) -> Executor:
    if jobs > 1:
        from maskscope.studies.executors import Processes

        return Processes(jobs)
    from maskscope.studies.jobs import Here

    return Here()


def _leave(summary: PromptsSummary, stopped: int) -> None:
    """Say what is missing, and end with the code that says so, too."""
    found = summary.jobs
    for label, error in found.failed.items():
        typer.echo(f"failed: {label}: {error}", err=True)
    if found.left:
        typer.echo(f"stopped; {found.left} jobs are left; run the same command to go on", err=True)
        raise typer.Exit(stopped)
    if found.failed:
        total = len(found.failed) + len(found.files)
        typer.echo(f"{len(found.failed)} of {total} jobs failed; the same command tries them again", err=True)
        raise typer.Exit(_FAILED)
    typer.echo(f"{len(found.files)} jobs, {found.computed} of them computed now; results are in {summary.folder}")


def _words(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def _numbers(texts: Sequence[str] | None, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(texts))
    except ValueError:
        raise SettingError(
            f"{option} {','.join(texts or ())} is no list of whole numbers", "for example 10,30"
        ) from None
