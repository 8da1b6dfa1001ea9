"""Time to label what an adaptation needs: measured by the labelling study on other clips, not on the one at hand."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

from maskscope.errors import RecordError
from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import LabellingStudy
from maskscope.readiness.plain import from_plain

SECONDS_A_MASK: Final = 37.8
"""Of a person, for one mask with SAM at hand (SAM 2, data engine, phase 1)."""

ASSET: Final = "labelling.json"
NAME: Final = "cost.labelling"


def bundled_study() -> LabellingStudy | None:
    """The study that comes with the package; None where it was not run yet.

    Raises:
        RecordError: the file is damaged.
    """
    file = files("maskscope.assets").joinpath(ASSET)
    if not file.is_file():
        return None
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{ASSET} of the package is damaged ({error})", "install it again") from error
    return from_plain(LabellingStudy, plain)


def study_of(digest: Any, command: str, way: str = "label-next") -> LabellingStudy:
    """The best number of labels of one way of choosing, from a record of `benchmarks/labelling.py --use finetune`.

    The first mask of each clip, which the study's curves do not count, was trained on as well and has to be made, too.

    Args:
        digest: of the record: `clips`, and `curves` by way and number of labels, from 0 on.
        command: that made it.
        way: of choosing frames.

    Raises:
        RecordError: it is no such digest.
    """
    try:
        curve = {int(labels): float(score) for labels, score in digest["curves"][way].items()}
        before, clips = curve[0], len(digest["clips"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"this is no digest of the labelling study ({error})", "run benchmarks/labelling.py"
        ) from error
    best = min(curve, key=lambda count: (-curve[count], count))
    labels = best + clips if best else 0
    return LabellingStudy(labels=labels, clips=clips, before=before, after=curve[best], command=command)


def labelling_time(study: LabellingStudy | None) -> Figure:
    """Seconds of a person for the labels that helped most."""
    if study is None:
        return Figure(name=NAME, value=None, unit="seconds", state="labelling was not measured on this clip")
    if study.labels == 0:
        return Figure(name=NAME, value=None, unit="seconds", state="labels did not help in the labelling study")
    return Figure(name=NAME, value=SECONDS_A_MASK * study.labels, unit="seconds", metric="labelling study")
