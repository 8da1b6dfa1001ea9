"""Records of a prompt study that nobody ran, with known scores."""

from __future__ import annotations

from collections.abc import Sequence

from maskscope.records import Record

FRAMES = 31


def trial(
    axis: str,
    name: str,
    score: float | Sequence[float],
    *,
    seconds: float | None = None,
    percent: int = 0,
    logit: float = 5.0,
    clips: int = 1,
    prompts: float = 1.0,
    first: float = 1.0,
) -> list[Record]:
    """Rows of one trial: J and F of `score` (or one a clip) on each frame behind the first, there of `first`."""
    scores = [float(score)] * clips if isinstance(score, int | float) else list(score)
    rows: list[Record] = []
    for number, value in enumerate(scores):
        shared = {
            "run": "r",
            "clip": f"clip-{number}",
            "object": 1,
            "family": f"prompt/{axis}",
            "transform": name,
            "severity": percent,
        }
        for t in range(FRAMES):
            j = first if t == 0 else value
            rows += [Record(**shared, metric=metric, frame=t, value=j) for metric in ("j", "f")]
            rows.append(Record(**shared, metric="object_score_logit", frame=t, value=logit))
            rows.append(Record(**shared, metric="predicted_iou", frame=t, value=0.8))
        if seconds is not None:
            rows.append(Record(**shared, metric="human_seconds", value=seconds))
            rows.append(Record(**shared, metric="prompts", value=prompts))
    return rows


def noc(name: str, at_85: float, at_90: float, reached: bool = True) -> list[Record]:
    """Rows of one user who clicks on one clip."""
    shared = {"run": "r", "clip": "clip-0", "object": 1, "family": "prompt/noc", "transform": name, "frame": 0}
    state = "reached" if reached else "not reached"
    rows = [Record(**shared, metric="noc@85", value=at_85, state="reached")]
    rows.append(Record(**shared, metric="noc@90", value=at_90, state=state))
    return rows + [
        Record(**shared, metric=f"j_after_clicks_{n:02}", value=min(0.95, 0.5 + 0.1 * n)) for n in range(1, 8)
    ]


def kinds(one: float, three: float, five: float, box: float, mask: float) -> list[Record]:
    """Rows of the plain kinds, with the seconds of the time model."""
    return [
        *trial("kind", "mask", mask, seconds=37.8, logit=10.0),
        *trial("kind", "box", box, seconds=7.0),
        *trial("kind", "1 click", one, seconds=2.5),
        *trial("kind", "3 clicks", three, seconds=5.5),
        *trial("kind", "5 clicks", five, seconds=8.5),
    ]
