"""Rows of clips with a known answer, for tests of what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from maskscope.records import Record
from maskscope.report.findings_shape import FORMAT
from maskscope.stages import Stage

CLIPS = tuple(f"clip{n}" for n in range(8))
TAPS: tuple[tuple[Stage, str], ...] = (
    ("image_embedding", "neck.stride16"),
    ("memory_conditioned", "memory_attention.0.self"),
    ("memory_conditioned", "memory_attention.0.cross"),
    ("memory_conditioned", "memory_attention.0.mlp"),
)
FILTERS: Mapping[tuple[str, str], float] = {  # what stages leave of a disturbance, on object and background
    ("memory_conditioned", "object"): 0.5,
    ("memory_conditioned", "background"): 0.25,
    ("prompt_attended", "object"): 2.0,
    ("prompt_attended", "background"): 0.5,
}
EARLY = {"": 0.1, "memory_attention.0.mlp": 0.8}
FACTS: dict[str, Any] = {
    "format": FORMAT,
    "command": ["maskscope", "diagnose", "--dataset", "made-up"],
    "maskscope_version": "1",
    "request": {"dataset": "made-up", "policy": "stock", "model": {"name": "none", "sha256": "0" * 64}},
    "onset": {
        "above_control": {
            "places": [f"{stage}/{tap}" for stage, tap in TAPS],
            "clips": len(CLIPS),
            "tap": "memory_conditioned/memory_attention.0.cross",
            "rise": 0.2,
            "p": 0.0005,
            "earliest": "memory_conditioned/memory_attention.0.cross",
            "latest": "memory_conditioned/memory_attention.0.cross",
            "state": "ok",
        }
    },
}


def rows(clips: tuple[str, ...] = CLIPS, filters: Mapping[tuple[str, str], float] = FILTERS) -> list[Record]:
    """Of all clips: two severities of one family; the last clip says the opposite of the others of every filter."""
    return [row for number, clip in enumerate(clips) for row in _of_clip(clip, number, len(clips), filters)]


def _of_clip(clip: str, number: int, count: int, filters: Mapping[tuple[str, str], float]) -> Iterator[Record]:
    wobble = 1 + 0.02 * (number % 3)

    def row(metric: str, value: float | None = None, **columns: Any) -> Record:
        return Record(run="made-up", clip=clip, metric=metric, value=value, object=1, model="none", **columns)

    for family, severity in (("", 0), ("fog", 1), ("fog", 5)):
        where: dict[str, Any] = {"family": family, "severity": severity, "transform": f"{family}:{severity}"}
        worse = 0.1 * severity / 5
        yield row("j", 0.9 - worse, **where)
        yield row("outcome_share.hit", 1 - worse, **where)
        yield row("outcome_share.miss", worse, **where)
        for stage, auc, control in (("image_embedding", 0.8, 0.8), ("memory_conditioned", 0.95, 0.8)):
            yield row("separation_auc", auc * wobble / 1.04 - worse, stage=stage, **where)
            yield row("separation_auc_control", control * wobble / 1.04, stage=stage, **where)
            if not family:  # of other clips only memory knows more than place does
                yield row("separation_auc_others", (0.6 if auc < 0.9 else 0.9) * wobble / 1.04, stage=stage)
                yield row("separation_auc_control_others", 0.5, stage=stage)
        for name, value in (("position", 0.7), ("rgb", 0.6)):
            yield row(f"separation_auc_{name}", value, **where)
            if not family:
                yield row(f"separation_auc_{name}_others", 0.6 + 0.01 * (number % 3))
        for tap, j in EARLY.items():
            stage = "memory_conditioned" if tap else "image_embedding"
            yield row("early_j", j * wobble / 1.04, stage=stage, tap=tap, **where)
        if family:
            opposite = number == count - 1 and count > 1
            for (stage, region), ratio in filters.items():
                value = ratio ** (-0.2 if opposite else 1.1 if number % 2 else 0.9)
                yield row(f"filtering_ratio.{region}", value, stage=stage, **where)
    for place, (stage, tap) in enumerate(TAPS):
        yield row("separation_auc", 0.7 + 0.2 * (place > 1), stage=stage, tap=tap)
        yield row("separation_auc_control", 0.65, stage=stage, tap=tap)
    yield row("onset", 0.2, stage="memory_conditioned", tap="memory_attention.0.cross")
    lost: dict[str, Any] = {"family": "fog", "severity": 5, "transform": "fog:5", "frame": 4}
    yield row("loss", 6.0, state="lost", **lost)
    yield row("blame", state="not determined" if number == 1 else "memory_conditioned", **lost)
