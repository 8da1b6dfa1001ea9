"""`maskscope stress`: what harder clips cost a tracker."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.options import PrecisionChoice, parse_size
from maskscope.errors import SettingError

if TYPE_CHECKING:
    from maskscope.report.stress_table import StressRow
    from maskscope.studies.jobs import Executor
    from maskscope.studies.stress import StressSummary

_GRID, _MODEL, _WORK = "The grid", "Model", "Work and results"
_FAILED = 1

HELP = """
Measure what harder clips cost a tracker: families of transformations x severities x seeds x policies.

Each clip is transformed as it is tracked, given by the first mask of each object, and scored; nothing but results is \
written. The table says what is left of the clean score (retention, with the interval of 95 % over clips), and how the \
rest is lost: miss (nothing found), drift (something else found), halluc (something found where the object is not). \
"matched" compares the same moments with and without transformation, where the object is seen: what frames left out, \
foreign frames and hidden objects do to an average is not in it. A family's last line is the mean over severities, \
with the first severity at which retention is below 0.8.

Every result is kept in DIR under a name made of all that decides it. Ctrl-C stops, and so does anything worse: the \
same command goes on, a larger grid computes only what is new, and several processes may share DIR. Jobs that fail are \
listed at the end (exit code 1), the others go on.

\b
  jobs/            records of each job, Parquet
  records.parquet  all of them
  summary.json, summary.csv, stress.json

Examples:

\b
  maskscope stress DAVIS --out stressed --limit 2 --severities 1,5
  maskscope stress DAVIS --out stressed --families occlusion,speed --jobs 4
\b
  memories compared, the same transformations; a second table says what each gains over stock:
  maskscope stress DAVIS --out stressed --policies stock,gated:warm_up=8
\b
  3,000 frames of each clip, back and forth, with cuts to foreign footage; and of made-up clips:
  maskscope stress DAVIS --out stressed --policies stock,composite --long 3000 --severities 3
  maskscope stress drawn:4 --out drawn --policies stock,composite --long 3000 --severities 3
\b
  on a cluster, whose machines see DAVIS under the same path:
  maskscope stress DAVIS --out stressed --ray auto
"""


def stress(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="Folder in a layout of `maskscope data summary`, or drawn:COUNT for made-up clips.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where results are, and go.", show_default=False, rich_help_panel=_WORK)
    ],
    families: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[/VARIANT][,...]",
            help="Of transformations. (default: occlusion, illumination, speed, viewpoint, interjection)",
            show_default=False,
            rich_help_panel=_GRID,
        ),
    ] = None,
    severities: Annotated[
        list[str] | None,
        typer.Option(
            metavar="1-5[,...]",
            help="Clean clips always belong to the grid.",
            rich_help_panel=_GRID,
            show_default="all",
        ),
    ] = None,
    long: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Clips of N frames, too, with absences of 8 to 128 frames by severity; other families if named.",
            rich_help_panel=_GRID,
        ),
    ] = None,
    seeds: Annotated[
        list[str] | None,
        typer.Option(metavar="N[,...]", help="Scores are averaged over them.", rich_help_panel=_GRID, show_default="0"),
    ] = None,
    policies: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:key=value,...]", help="Of memory.", rich_help_panel=_GRID, show_default="stock"),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Whose rules say which frames count: see `maskscope evaluate`.", rich_help_panel=_GRID
        ),
    ] = "davis",
    material: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data set whose clips lend occluders and foreign footage (a clip never its own). (default: drawn)",
            show_default=False,
            rich_help_panel=_GRID,
        ),
    ] = None,
    sequences: Annotated[
        list[str] | None, typer.Option(metavar="NAME[,NAME]", help="Only these.", rich_help_panel=_GRID)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N sequences.", rich_help_panel=_GRID)
    ] = None,
    model: Annotated[
        str,
        typer.Option(metavar="NAME|PATH", help="One of `maskscope models`, or a file.", rich_help_panel=_MODEL),
    ] = "compact",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu, cuda ... (default: the GPU if there is one)", rich_help_panel=_MODEL),
    ] = None,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="auto takes bfloat16 where it is faster.", rich_help_panel=_MODEL)
    ] = PrecisionChoice.auto,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Size at which the model sees clips. (default: as trained)", rich_help_panel=_MODEL
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes.", rich_help_panel=_WORK)
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Compute on a Ray cluster, or on one started here with --jobs workers.",
            show_default=False,
            rich_help_panel=_WORK,
        ),
    ] = None,
    figure: Annotated[
        bool,
        typer.Option("--figure", help="Draw the table, too: stress.png (needs Matplotlib).", rich_help_panel=_WORK),
    ] = False,
) -> None:
    """Measure what harder clips cost; see `HELP`."""
    from maskscope.extras import load_extra
    from maskscope.studies.stress import FAMILIES, StressOptions, run_stress

    if figure:
        load_extra("matplotlib", "report", "figures")
    options = StressOptions(
        model=model,
        families=_words(families) or (() if long else FAMILIES),
        severities=_numbers(severities, "--severities") or (1, 2, 3, 4, 5),
        seeds=_numbers(seeds, "--seeds") or (0,),
        policies=split_policies(policies or ()) or ("stock",),
        protocol=protocol,
        sequences=_words(sequences),
        limit=limit,
        material=material,
        device=device,
        precision=precision.value,
        image_size=parse_size(image_size),
        long_frames=long,
    )
    executor = _executor(jobs, ray, device)
    command = ["maskscope", *sys.argv[1:]]
    with stopping() as stop, ProgressBar() as bar:
        summary = run_stress(dataset, out, options, executor=executor, command=command, progress=bar, stop=stop)
    if summary.rows:
        typer.echo(f"{summary.protocol}\n\n{table(summary.rows)}")
        if summary.policies:
            from maskscope.report.policy_text import policy_table, time_table

            typer.echo(f"\n{policy_table(summary.policies)}")
            if summary.times:
                typer.echo(f"\n{time_table(summary.times)}")
        if figure:
            from maskscope.report.stress_figure import stress_figure

            typer.echo(f"look at {stress_figure(summary.rows, out / 'stress.png')}")
    _leave(summary, stop.exit_code if summary.jobs.left else 0)


def _leave(summary: StressSummary, stopped: int) -> None:
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


def _executor(jobs: int, ray: str | None, device: str | None) -> Executor:
    if ray is not None:
        from maskscope.studies.ray_executor import RayCluster

        return RayCluster(ray, workers=jobs if jobs > 1 else None, gpu=device != "cpu")
    if jobs > 1:
        from maskscope.studies.executors import Processes

        return Processes(jobs)
    from maskscope.studies.jobs import Here

    return Here()


def _words(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def _numbers(texts: Sequence[str] | None, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(texts))
    except ValueError:
        raise SettingError(
            f"{option} {','.join(texts or ())} is no list of whole numbers", "for example 1,3,5"
        ) from None


def split_policies(texts: Sequence[str]) -> tuple[str, ...]:
    """Policies apart, also of one text: "stock,gated:a=1,b=2" is stock, and gated with two settings."""
    found: list[str] = []
    for text in texts:
        for place, word in enumerate(text.split(",")):
            is_setting = place > 0 and "=" in word and ":" not in word
            if is_setting:
                found[-1] += f",{word}"
            elif word.strip():
                found.append(word.strip())
    return tuple(found)


def table(rows: Sequence[StressRow]) -> str:
    """Lines for the terminal, a block for each tracker."""
    lines: list[str] = []
    for tracker in dict.fromkeys((row.model, row.policy, row.protocol) for row in rows):
        mine = [row for row in rows if (row.model, row.policy, row.protocol) == tracker]
        lines += (
            ["", f"model {tracker[0]}, policy {tracker[1]}, protocol {tracker[2]}"]
            if lines
            else [f"model {tracker[0]}, policy {tracker[1]}, protocol {tracker[2]}"]
        )
        width = max(len("family"), *(len(row.family or "clean") for row in mine))
        head = f"{'family':<{width}} {'sev':>4} {'clips':>5} {'J&F':>6} {'retention':>9} {'95 %':>14} {'matched':>7}"
        head += f" {'miss':>6} {'drift':>6} {'halluc':>6} {'strength':>8}"
        lines += [head, "-" * len(head)]
        for row in mine:
            severity = "mean" if row.severity is None else str(row.severity) if row.family else ""
            ends = f"[{_cell(row.retention_low)}, {_cell(row.retention_high)}]" if row.retention is not None else ""
            strength = "" if row.strength is None else f"{row.strength:.3g}"
            line = f"{row.family or 'clean':<{width}} {severity:>4} {row.clips:>5} {_cell(row.score):>6}"
            line += f" {_cell(row.retention):>9} {ends:>14} {_cell(row.matched_retention):>7}"
            line += f" {_cell(row.miss):>6} {_cell(row.drift):>6} {_cell(row.hallucination):>6} {strength:>8}"
            if row.severity is None and row.retention is not None:
                line += "  holds" if row.breaking is None else f"  breaks at {row.breaking}"
            lines.append(line.rstrip())
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
