"""`maskscope readiness SOURCE --watch`: hold a live stream to the limits of a readiness run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from maskscope.cli.console import stopping
from maskscope.cli.options import gather_prompts
from maskscope.errors import OutputError

if TYPE_CHECKING:
    from maskscope.studies.watch import WatchOptions

ALARM_EXIT: Final = 10
"""An alarm was raised."""
STOPPED_EXIT: Final = 11
"""A live stream ended or broke off."""


def watch(
    source: str,
    options: WatchOptions,
    *,
    points: Sequence[str] = (),
    boxes: Sequence[str] = (),
    mask: Path | None = None,
    thresholds: Path | None = None,
    limits: Sequence[str] = (),
    log: Path | None = None,
) -> None:
    """Watch until an alarm, the end or Ctrl-C.

    JSON lines go to standard output or to a file, one line on how it ended to standard error. Exit codes: 0 at the end
    of a file, `ALARM_EXIT`, `STOPPED_EXIT`, 130 for Ctrl-C.

    Args:
        source: file, folder, stream or camera, as `maskscope track` takes it.
        options: see `WatchOptions`.
        points: as `--point`, on the first frame that comes.
        boxes: as `--box`, likewise.
        mask: as `--mask`, likewise.
        thresholds: `readiness.json` of a readiness run.
        limits: SIGNAL=LOW:HIGH each, instead of or beside the thresholds.
        log: file for the lines; they are added at its end.

    Raises:
        SettingError: no limit at all, or one that cannot be read.
        RecordError: the thresholds are no readiness result.
        PromptError: nothing that means an object.
        VideoError: the source cannot be opened.
    """
    from maskscope.data.video import open_video
    from maskscope.studies.watch import watch_stream
    from maskscope.studies.watch_limits import joined, parse_limit, read_limits

    held = joined(read_limits(thresholds) if thresholds else (), map(parse_limit, limits))
    video = open_video(source)
    prompts = gather_prompts(points, boxes, mask, (video.height, video.width))
    with stopping() as stop, _lines(log) as write:
        summary = watch_stream(video, prompts, held, options, write=write, stop=stop)
    typer.echo(f"{summary.outcome}: {summary.message}", err=True)
    code = {"ended": 0, "alarm": ALARM_EXIT, "stream stopped": STOPPED_EXIT}.get(summary.outcome, stop.exit_code)
    if code:
        raise typer.Exit(code)


@contextmanager
def _lines(log: Path | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Writes a line at once, so that who reads them is never behind."""
    if log is None:
        yield lambda line: print(json.dumps(line), file=sys.stdout, flush=True)
        return
    try:
        file = log.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write to {log} ({error.strerror})", "name another file with --log") from error
    with file:
        yield lambda line: print(json.dumps(line), file=file, flush=True)
