"""`maskscope policies`: what can be given to `--policy`."""

from __future__ import annotations

from typing import Annotated

import typer


def policies(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show what this one can be told.", show_default=False)
    ] = None,
) -> None:
    """List the memory policies: name, rule and source; or what one of them can be told."""
    from maskscope.memory.policies.registry import kind, kinds

    if name is not None:
        one = kind(name)
        typer.echo(f"{one.name}: {one.about}\nsource: {one.source}")
        for setting in one.describe():
            typer.echo(f"\n  {setting.name}={setting.default}\n      {setting.meaning}")
        return
    found = kinds().values()
    width = max(len(one.name) for one in found)
    for one in found:
        typer.echo(f"{one.name:<{width}}  {one.about} ({one.source})")
    typer.echo("\nGive NAME or NAME:key=value,... to --policy; `maskscope policies NAME` shows the keys.")
    typer.echo("With each, thin=SHARE reads that share of older memories: faster, for example stock:thin=0.5.")
