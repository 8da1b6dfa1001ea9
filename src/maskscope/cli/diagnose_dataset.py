"""`maskscope diagnose --dataset`: every clip of a data set, and what holds over them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from maskscope.cli.console import ProgressBar, stopping

if TYPE_CHECKING:
    from maskscope.report.findings_shape import Findings
    from maskscope.studies.diagnose_dataset import DatasetOptions, DatasetSummary
    from maskscope.studies.jobs import Executor

_FAILED = 1


def diagnose_all(dataset: Path, out: Path | None, options: DatasetOptions, jobs: int) -> None:
    """Diagnose every clip and say what came of it; ends with code 1 where a clip failed."""
    from maskscope.studies.diagnose_dataset import diagnose_dataset

    folder = out or Path(f"{dataset.resolve().name}-diagnosed")
    command = ["maskscope", *sys.argv[1:]]
    with stopping() as stop, ProgressBar() as bar:
        summary = diagnose_dataset(
            dataset, folder, options, executor=_executor(jobs), command=command, progress=bar, stop=stop
        )
    if summary.found is not None:
        typer.echo(findings_table(summary.found))
    _leave(summary, stop.exit_code)


def _executor(jobs: int) -> Executor:
    if jobs > 1:
        from maskscope.studies.executors import Processes

        return Processes(jobs)
    from maskscope.studies.jobs import Here

    return Here()


def findings_table(found: Findings) -> str:
    """Answers, and lines for the terminal: what each transformation costs, and which stages are blamed."""
    from maskscope.report.findings_text import parts

    lines = [f"{part.heading} {part.answer}" for part in parts(found)]
    width = max(map(len, map(str, found.conditions)), default=8)
    head = f"{'':<{width}} {'J':>20} {'frames lost':>20} {'losses':>6}  to blame (lost frames)"
    lines += ["", f"{len(found.clips)} clips; intervals of 95 % over clips", head, "-" * len(head)]
    for condition in found.conditions:
        j, lost, blamed = found.scores.get(condition), found.lost.get(condition), found.blamed.get(condition)
        stages = sorted(blamed.stages.items(), key=lambda each: -each[1]) if blamed and not condition.is_clean else []
        said = ", ".join(f"{(stage or 'not determined').replace('_', ' ')} {frames}" for stage, frames in stages)
        losses = 0 if blamed is None else blamed.losses
        line = f"{condition!s:<{width}} {j or '-'!s:>20} {lost or '-'!s:>20} {losses:>6}  {said}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _leave(summary: DatasetSummary, stopped: int) -> None:
    """Say where it all is and what is missing, and end with the code that says so, too."""
    jobs = summary.jobs
    for clip, error in jobs.failed.items():
        typer.echo(f"failed: {clip}: {error}", err=True)
    if summary.report is not None:
        typer.echo(f"look at {summary.report}")
    elif summary.found is not None:
        typer.echo(f"records: {summary.folder / 'records.parquet'}")
    if jobs.left:
        typer.echo(f"stopped; {jobs.left} clips are left; run the same command to go on", err=True)
        raise typer.Exit(stopped)
    if jobs.failed:
        total = len(jobs.failed) + len(jobs.files)
        typer.echo(f"{len(jobs.failed)} of {total} clips failed; the same command tries them again", err=True)
        raise typer.Exit(_FAILED)
