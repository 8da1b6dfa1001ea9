"""`maskscope models`: what can be given to `--model`."""

from __future__ import annotations

import typer


def models() -> None:
    """List the models: name, family, size, and whether the weights are here already."""
    from maskscope.model.checkpoints import ModelInfo, list_models

    def whereabouts(model: ModelInfo) -> str:
        if model.repo is None:
            return "comes with maskscope" if model.bundled else "missing from this installation"
        return "downloaded" if model.cached else f"is downloaded from {model.repo} when first used"

    rows = [(m.name, m.family, f"{m.parameters / 1e6:.1f} M", whereabouts(m)) for m in list_models()]
    header = ("name", "family", "parameters", "weights")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for name, family, parameters, weights in (header, *rows):
        line = f"{name:<{widths[0]}}  {family:<{widths[1]}}  {parameters:>{widths[2]}}  {weights}"
        typer.echo(line.rstrip())
    typer.echo("\nGive a name, or the path of a file of weights, to --model.")
