"""What rows of ablations were measured on: those of other weights or recipes are not told as if they were of these."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _job_record import JobRecord
from _trained_variants import TRAINED, Trained
from maskscope.model.checkpoints import locate
from maskscope.studies.clip_identity import file_digest
from maskscope.training.recipe import Recipe
from maskscope.training.recipe_file import to_plain

MADE_FROM = "made_from"
"""Key of a record of short runs: label -> SHA-256 of its weights and of its recipe."""


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 of all that a recipe decides, whether its file says it or leaves it as it is."""
    return hashlib.sha256(json.dumps(to_plain(recipe), sort_keys=True).encode()).hexdigest()


def made_from(one: Trained, runs: Path) -> dict[str, str]:
    """Digests of a short run that is there."""
    return {"weights": file_digest(one.weights(runs)), "recipe": recipe_digest(one.recipe)}


def forget_stale(record: JobRecord, now: Mapping[str, Mapping[str, str]]) -> None:
    """Drop the rows of a record of short runs whose weights or recipe are others now, and say so in a line."""
    then = record.content.get(MADE_FROM, {})
    stale = {label for job in record.jobs.values() for label in job if label in now and then.get(label) != now[label]}
    for job in record.jobs.values():
        for label in stale & job.keys():
            del job[label]
    record.content[MADE_FROM] = {**then, **now}
    if stale:
        _say(f"{record.path}: of other weights or another recipe, measured again: {', '.join(sorted(stale))}")


def rows_to_tell(record: JobRecord) -> list[dict[str, Any]]:
    """Rows of a record's digest that are of the weights in the package, or of the recipes in this folder.

    What is left out is said in a line: the whole record if its weights, or the row that others are compared with, are
    of old.
    """
    rows: list[dict[str, Any]] = record.content["digest"]["rows"]
    if not record.request["trained"]:
        shipped = record.request["model"] != "compact" or record.request.get("weights") == file_digest(
            locate("compact")
        )
        if not shipped:
            _say(f"{record.path} is left out: it is of other weights than those in the package; remove it, run again")
        return rows if shipped else []
    now = {one.label: recipe_digest(one.recipe) for one in TRAINED}
    then = record.content.get(MADE_FROM, {})
    told = [row for row in rows if row["label"] in then and then[row["label"]]["recipe"] == now.get(row["label"])]
    if not told or told[0] is not rows[0]:
        _say(f"{record.path} is left out: its runs are of other recipes; make them again with --train DATA")
        return []
    if len(told) < len(rows):
        old = sorted(row["label"] for row in rows if row not in told)
        _say(f"{record.path}: left out, as of another recipe: {', '.join(old)}")
    return told


def _say(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)
