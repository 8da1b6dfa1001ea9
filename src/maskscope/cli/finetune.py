"""`maskscope finetune`: adapt a model to one's own labelled clips."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never

import typer
from tqdm import tqdm

from maskscope.cli.console import stopping
from maskscope.cli.options import DeviceName, ModelName, SeenSize, parse_size
from maskscope.cli.step_bar import StepBar

if TYPE_CHECKING:
    from maskscope.studies.finetune import Comparison, FineTuneResult

HELP = """
Adapt a model to your own labelled clips.

DATASET holds JPEGImages/CLIP/00000.jpg ... and Annotations/CLIP/00000.png ..., masks on all frames or some; about a \
dozen labelled frames are enough to begin with. Some clips (of a single clip the last third) are held out, and the \
model is scored on them before and after. If it does no better there, the file holds the weights as they were.

Ctrl-C stops and saves; the same command goes on where it stopped.

Examples:

\b
  maskscope finetune parts --out parts.safetensors
  maskscope track line.mp4 --mask first.png --model parts.safetensors
\b
  a larger model, on a GPU, with its image encoder trained, too:
  maskscope finetune parts --model sam2.1-hiera-tiny --freeze none --out parts.safetensors
"""


def finetune(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of labelled clips.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to write. (default: DATASET's name with -tuned)")
    ] = None,
    model: ModelName = "compact",
    freeze: Annotated[
        str,
        typer.Option(
            metavar="PART,...",
            help="What keeps its weights: image_encoder, memory_attention, memory_encoder, mask_decoder, "
            "prompt_encoder ... or none.",
        ),
    ] = "image_encoder",
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="How long to train.")] = 100,
    learning_rate: Annotated[float, typer.Option(metavar="RATE", help="How far each step goes, at most.")] = 1e-4,
    held_out: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIP", help="A clip to hold out; repeat for more. (default: a quarter, at random)"),
    ] = None,
    image_size: SeenSize = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the clips drawn and held out.")] = 0,
    device: DeviceName = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing FILE.")] = False,
) -> None:
    """Adapt a model to one's own clips; see `HELP`."""
    from maskscope.studies.finetune import FineTuneOptions, fine_tune
    from maskscope.studies.labelled_folder import open_labelled

    options = FineTuneOptions(
        model=model,
        freeze=() if freeze.strip() == "none" else tuple(part.strip() for part in freeze.split(",") if part.strip()),
        steps=steps,
        learning_rate=learning_rate,
        image_size=parse_size(image_size),
        held_out=tuple(held_out or ()),
        seed=seed,
        device=device,
    )
    path = out or Path(f"{dataset.resolve().name}-tuned.safetensors")
    clips = open_labelled(dataset)
    with stopping("step") as stop, StepBar() as bar, _ScoringBar() as scoring:
        result = fine_tune(clips, path, options, overwrite=overwrite, watch=bar, scoring=scoring, stop=stop)
    if result is None:
        typer.echo(f"stopped after step {bar.done} of {steps}; run the same command to go on", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(_table(result))
    for line in _verdict(result):
        typer.echo(line)


class _ScoringBar:
    """Frames scored, on stderr; silent where that is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if done == 1:
            self._close()
            self._bar = tqdm(
                desc=f"scoring {what}", total=total, unit=" frames", file=sys.stderr, disable=None, dynamic_ncols=True
            )
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> _ScoringBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def _table(result: FineTuneResult) -> str:
    rows = [("J&F, with 95 % intervals", "before", "after", "change")]
    rows.append(("held out", *_cells(result.users)))
    rows.append(("bundled clip", *_cells(result.bundled)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _cells(compared: Comparison) -> tuple[str, str, str]:
    delta = compared.change
    signed = f"{delta.estimate:+.3f} [{delta.low:+.3f}, {delta.high:+.3f}]"
    return str(compared.before), str(compared.after), signed


def _verdict(result: FineTuneResult) -> list[str]:
    frames = f"{result.trained_frames} labelled frames; held out ({result.rule}): {', '.join(result.held_out)}"
    lines = [f"trained {result.steps} steps on {frames}"]
    if not result.improved:
        lines.append(f"no better on what was held out: {result.path} holds the weights as they were")
        lines.append("label more frames (maskscope label-next says which), or try --learning-rate or --freeze none")
        return lines
    if not result.sure:
        lines.append("the interval of the change includes 0, so this may be chance: label and hold out more")
    if result.forgot:
        lines.append(
            f"warning: it follows other things worse than before (bundled clip {result.bundled.change.estimate:+.3f}); "
            "fewer --steps or more frozen parts forget less"
        )
    lines.append(f"wrote {result.path}, for --model of every command")
    return lines
