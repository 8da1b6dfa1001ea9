"""From frames to the onset: separability that is planted behind one part of a model is found at that part's tap."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from maskscope.model import SAM2
from maskscope.observe.measures.onset import onset, rows_of
from maskscope.observe.measures.separation import Separation, place_of
from maskscope.observe.probe import Probe
from maskscope.observe.taps import Taps, taps_of
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from random_models import SIZE, random_model

LENGTH, CELLS = 8, SIZE // 16


def mask_of(frame: int) -> np.ndarray:
    """A square of 3 x 3 cells that goes round in steps of whole cells, so that place tells nothing."""
    mask = np.zeros((SIZE, SIZE), bool)
    top, left = 16 * (3 * frame % (CELLS - 3)), 16 * (2 * frame % (CELLS - 3))
    mask[top : top + 48, left : left + 48] = True
    return mask


def plant(model: SAM2, now: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the cross-attention of layer 1 the object's tokens are pushed along one direction."""
    cross = model.memory_attention.layers[1].cross_attn_image
    attend = cross.attend_memory
    push = 60 * torch.nn.functional.normalize(torch.randn(128, generator=torch.Generator().manual_seed(0)), dim=0)

    def planted(x_bnc: Tensor, *rest: object) -> Tensor:
        inside = torch.from_numpy(mask_of(now[0])[8::16, 8::16].astype(np.float32)).flatten()
        return attend(x_bnc, *rest) + inside[None, :, None] * push

    monkeypatch.setattr(cross, "attend_memory", planted)


def test_the_planted_tap_is_the_onset(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model()
    now = [0]
    plant(model, now, monkeypatch)
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(LENGTH)]
    places = [place_of(tap.stage, tap.name) for tap in taps_of(model) if not tap.name.startswith("neck")]
    probe = Probe([Separation()], lambda frame: {1: mask_of(frame)}, memory_dim=model.config.memory.dim)
    with Taps(model, probe) as taps:
        tracker = Tracker(model, observers=[taps])
        for now[0], frame in enumerate(noise):
            tracker.step(frame, [Prompt(1, mask=mask_of(0))] if now[0] == 0 else ())
    rows = rows_of(probe.readings, [place for place in places if "stride32" not in place and "stride4" not in place])
    kept = [place for place in places if "stride32" not in place and "stride4" not in place]
    assert len(rows) == LENGTH - 2, "not the frame before memory, nor that of fitting"
    at = dict(zip(kept, rows.mean(0), strict=True))
    assert max(at[f"memory_conditioned/memory_attention.{tap}"] for tap in ("0.mlp", "1.self")) < 0.7
    assert at["memory_conditioned/memory_attention.1.cross"] > 0.99
    found = onset(rows, kept)
    assert found.state == "ok"
    assert found.tap == "memory_conditioned/memory_attention.1.cross"
    assert found.rise > 0.2
