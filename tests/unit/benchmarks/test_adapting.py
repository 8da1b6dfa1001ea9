"""`--adapt` of the benchmarks: the model as it is, or what becomes of it on a clip's first frame."""

from __future__ import annotations

import pytest
import torch

from _adapting import Adapting
from labelled_clips import moving, square
from maskscope.model import SAM2
from maskscope.studies import adapt

FRAME = moving("walk").frame(0)


def same(one: SAM2, other: SAM2) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_without_steps_every_clip_has_the_same_model() -> None:
    models = Adapting("compact", 0, torch.device("cpu"), torch.bfloat16, (64, 96))
    assert models.to(FRAME, square(0)) is models.plain
    assert models.plain.heavy_dtype == torch.bfloat16
    assert models.told() == ""


def test_with_steps_each_clip_has_its_own_and_the_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter((0.1, 0.2))
    monkeypatch.setattr(adapt, "_score", lambda *_: next(scores))
    models = Adapting("compact", 1, torch.device("cpu"), torch.bfloat16, (64, 96))
    adapted = models.to(FRAME, square(0))
    assert adapted.heavy_dtype == torch.bfloat16
    assert not same(adapted, models.plain)
    assert models.told().startswith("adapted in 1 steps, ")
