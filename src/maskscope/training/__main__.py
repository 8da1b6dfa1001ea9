"""Train the compact model: `python -m maskscope.training --data DIR --out DIR --minutes N`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from maskscope.training.launch import launch
from maskscope.training.recipe import Phase, Recipe


def train(
    data: Annotated[Path, typer.Option(help="Folder with video/, image/, cutouts/ and backgrounds/.")],
    out: Annotated[Path, typer.Option(help="Folder for log, checkpoint and weights; resumed if it has a checkpoint.")],
    cache: Annotated[Path, typer.Option(help="Folder for decoded data.")] = Path("cache"),
    minutes: Annotated[float, typer.Option(help="Wall time of training.")] = Recipe.minutes,
    processes: Annotated[int, typer.Option(help="That train together, one thread each; one a core.")] = 2,
    workers: Annotated[int, typer.Option(help="Further processes that make clips; 0 makes them in place.")] = 0,
    matching_start: Annotated[bool, typer.Option(help="Begin with memory attention as feature matching.")] = True,
    learning_rate: Annotated[float, typer.Option(help="Peak.")] = Recipe.learning_rate,
    trunk_rate: Annotated[float, typer.Option(help="Peak, of the trunk.")] = Recipe.trunk_rate,
    initial: Annotated[Path | None, typer.Option(help="Weights to go on from, with rates from the start.")] = None,
    single_phase: Annotated[bool, typer.Option(help="Stay in the first phase, for short trials.")] = False,
) -> None:
    """Train the compact model from ImageNet weights."""
    recipe = Recipe(
        minutes=minutes,
        matching_start=matching_start,
        learning_rate=learning_rate,
        trunk_rate=trunk_rate,
        initial=initial,
    )
    if initial is not None:  # what was learned at low resolution is there already
        recipe = dataclasses.replace(recipe, phases=(Phase(0.5, 3, 4, (288, 512)), Phase(0.5, 2, 6, (288, 512))))
    if single_phase:
        recipe = dataclasses.replace(recipe, phases=(dataclasses.replace(recipe.phases[0], share=1.0),))
    launch(recipe, data, out, cache, processes, workers)


if __name__ == "__main__":
    typer.run(train)
