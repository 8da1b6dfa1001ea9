"""All listeners at once, under memory policies that read, refuse and branch."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from listened import check_only_listens, hooks_of, logits, model_with, track, truth
from maskscope.observe.measures.attention import MemoryGaze, TokenGaze
from maskscope.observe.measures.early_decoding import EarlyDecoding
from maskscope.observe.measures.passages import Listener
from maskscope.observe.measures.pointer_map import PointerInfluence, StoredTokens

KINDS: tuple[type[Listener], ...] = (MemoryGaze, TokenGaze, PointerInfluence, StoredTokens, EarlyDecoding)


@pytest.mark.parametrize("policy", ["paths", "gated", "composite"])
def test_whatever_the_policy(policy: str) -> None:
    model = model_with(8)
    plain = logits(track(model, [], policy, frames=3))
    listeners = [kind(model, truth, every=1) for kind in KINDS]
    with ExitStack() as entered:
        for listener in listeners:
            entered.enter_context(listener)
        heard = logits(track(model, [*listeners], policy, frames=3))
    assert all(np.array_equal(a, b) for a, b in zip(plain, heard, strict=True))
    assert hooks_of(model) == 0
    for listener in listeners:
        frames = [(r.frame, r.object) for r in listener.readings]
        assert {(t, i) for t in (1, 2) for i in (1, 2)} <= set(frames), type(listener)
        rows = [(r.metric, r.stage, r.tap, r.frame, r.object) for r in listener.readings]
        assert len(set(rows)) == len(rows), "an object with several pathways is told of once"


def test_the_heavy_parts_in_lower_precision() -> None:
    model = model_with(8).set_precision(torch.bfloat16)
    for kind in KINDS:
        check_only_listens(model, lambda model, kind=kind: kind(model, truth, every=1))
