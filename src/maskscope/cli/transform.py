"""`maskscope transform`: make clips harder, with masks that stay true."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.errors import SettingError

if TYPE_CHECKING:
    from maskscope.studies.transform import TransformSummary
    from maskscope.transforms.chain import Recipe

_WHAT, _INPUT, _RESULTS = "Which transformation", "Input", "Results"

HELP = """
Make clips harder, with masks that stay true.

Takes a data set (DAVIS, YouTube-VOS, MOSE, LVOS or SA-V), or one clip with a mask for each frame, and writes the \
layout of DAVIS: JPEGImages (JPEG of quality 95, or PNG with --lossless), Annotations (what is seen; 255 where no \
truth exists), Amodal (whole outlines, as if nothing that was added stood before them), and manifest.json with \
manifests/: parameters, and for each frame the realised strength, the moment of the source it shows, the map of \
coordinates and hashes.

Families are occlusion, illumination, speed, viewpoint, interjection and corruption; severities go from 0, which \
changes nothing, to 5. Several are applied one after the other.

Ctrl-C stops; the same command goes on with the sequences that are not there yet.

Examples:

\b
  maskscope transform DAVIS --family occlusion --severity 3 --out occluded
  maskscope transform DAVIS --family illumination/lowlight:4@7 --out dark --sequences dog,camel
\b
  one after the other:
  maskscope transform DAVIS --family speed:2 --family occlusion:3 --out both
\b
  a clip of your own, with the masks that `maskscope track` wrote:
  maskscope transform dog.mp4 --masks dog-tracked/masks --family viewpoint --severity 2 --out shaken
\b
  look at all families and severities first:
  maskscope transform DAVIS --preview --sequences dog
"""


def transform(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DATASET_OR_CLIP",
            help="Folder of a data set, or a video file or folder of images.",
            show_default=False,
        ),
    ],
    family: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[/VARIANT][:S][@SEED]",
            help="Repeat to apply several in turn; severity and seed behind it are for this one.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    severity: Annotated[
        list[int] | None,
        typer.Option(
            metavar="0-5", help="For all families, or one for each, in the same order.", rich_help_panel=_WHAT
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of everything random.", rich_help_panel=_WHAT)] = 0,
    material: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data set whose clips lend occluders and foreign footage (a clip never its own). (default: drawn)",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    sequences: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[,NAME]", help="Of a data set only these.", rich_help_panel=_INPUT),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Of a clip: folder with a mask picture for each frame.", rich_help_panel=_INPUT
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to write; with --preview a PNG. (default: the input's and the families' names)",
            show_default=False,
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Write frames as PNG.", rich_help_panel=_RESULTS)
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Start over; removes what this command wrote.", rich_help_panel=_RESULTS),
    ] = False,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="Write no data, but one picture: families by severities of one clip, with outlines.",
            rich_help_panel=_RESULTS,
        ),
    ] = False,
    frame: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Moment that --preview shows. (default: where each is strongest)",
            show_default=False,
            rich_help_panel=_RESULTS,
        ),
    ] = None,
) -> None:
    """Make clips harder; see `HELP`."""
    names = tuple(name for text in sequences or () for name in text.split(",") if name)
    if preview:
        _preview(source, out, family or (), severity or (), seed, names, frame, masks, material, lossless, overwrite)
        return
    if frame is not None:
        raise SettingError("--frame is for --preview", "leave it out, or add --preview")
    from maskscope.studies.transform import TransformOptions, transform_dataset

    recipes = gather_recipes(family or (), severity or (), seed)
    options = TransformOptions(recipes, names, masks, material, lossless)
    out = out or default_folder(source, [recipe.family for recipe in recipes])
    command = ["maskscope", *sys.argv[1:]]
    with stopping() as stop, ProgressBar() as bar:
        summary = transform_dataset(source, out, options, overwrite=overwrite, command=command, progress=bar, stop=stop)
    if summary.finished:
        typer.echo(_told(summary))
        return
    typer.echo(
        f"stopped; {summary.complete} of {summary.sequences} sequences are in {summary.folder}; "
        "run the same command to go on",
        err=True,
    )
    raise typer.Exit(stop.exit_code)


def gather_recipes(families: Sequence[str], severities: Sequence[int], seed: int) -> tuple[Recipe, ...]:
    """From `--family`, `--severity` and `--seed` to recipes, in order.

    Raises:
        SettingError: no family, or severities that are missing, too many, or not needed.
    """
    from maskscope.transforms.chain import Recipe

    if not families:
        raise SettingError("no transformation is named", "for example --family occlusion --severity 3")
    if len(severities) not in (0, 1, len(families)):
        raise SettingError(
            f"{len(families)} families and {len(severities)} severities", "give one severity for all, or one for each"
        )
    said = [":" in text for text in families]
    if severities and (all(said) or (len(severities) > 1 and any(said))):
        doubled = families[said.index(True)]
        raise SettingError(f"--family {doubled} has its severity already", "leave --severity out")
    each = severities if len(severities) == len(families) else [*severities, None][:1] * len(families)
    return tuple(Recipe.parse(text, number, seed) for text, number in zip(families, each, strict=True))


def default_folder(source: str, words: Sequence[str]) -> Path:
    """A folder here, named after the input and what is done to it."""
    path = Path(source.rstrip("/\\"))
    stem = path.stem if path.suffix else path.resolve().name
    return Path("-".join((re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "clip", *words)))


def _preview(
    source: str,
    out: Path | None,
    families: Sequence[str],
    severities: Sequence[int],
    seed: int,
    names: tuple[str, ...],
    frame: int | None,
    masks: Path | None,
    material: Path | None,
    lossless: bool,
    overwrite: bool,
) -> None:
    from maskscope.studies.preview import PreviewOptions, preview
    from maskscope.transforms.base import SEVERITIES

    if len(names) > 1:
        raise SettingError(f"--preview shows one clip, got {', '.join(names)}", "name one with --sequences")
    if lossless:
        raise SettingError("--lossless is for data, and --preview writes none", "leave it out")
    if any(":" in text or "@" in text for text in families):
        raise SettingError(
            "--preview shows each family at all severities", "leave out what is behind : or @; use --severity, --seed"
        )
    options = PreviewOptions(
        tuple(families),
        tuple(severities) or SEVERITIES,
        seed,
        names[0] if names else None,
        frame,
        masks,
        material,
    )
    path = out or Path(f"{default_folder(source, ['preview'])}.png")
    with stopping() as stop, ProgressBar() as bar:
        written = preview(source, path, options, overwrite=overwrite, progress=bar, stop=stop)
    if written is None:
        typer.echo("stopped", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(f"look at {written}")


def _told(summary: TransformSummary) -> str:
    count = f"{summary.sequences} sequence{'s' if summary.sequences != 1 else ''}"
    if not summary.num_frames:
        return f"{summary.folder} was complete already: {count}"
    rate = summary.num_frames / summary.seconds
    return f"{summary.num_frames} frames at {rate:.1f} a second; {count} in {summary.folder}"
