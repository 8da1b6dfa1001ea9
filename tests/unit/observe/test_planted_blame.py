"""From runs to a verdict: a fault at each position of a small model is found by the whole chain.

The weights are random, so masks mean nothing by themselves; the clean run's own masks are what there is to keep. The
bright square is what there is to be told apart.
"""

from __future__ import annotations

import pytest

from maskscope.model import SAM2
from maskscope.observe.blame import Blame, blame
from maskscope.observe.measures.pointer import PointerIdentity
from maskscope.observe.measures.separation import Separation
from maskscope.observe.patching import Side, patch_positions
from maskscope.observe.probe import Probe
from maskscope.observe.recovery import Recovery
from maskscope.stages import STAGES
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from planted import faulty
from random_models import moving_square, random_model, small_config, square_mask

SIDE, LENGTH, FAULTY = 128, 6, (2, 3)
FRAMES = moving_square(LENGTH, SIDE, SIDE)
PROMPTS = {0: [Prompt(1, mask=square_mask(0, SIDE, SIDE))]}


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model(small_config(image_size=(SIDE, SIDE)), object_score_bias=6.0)


@pytest.fixture(scope="module")
def clean_masks(model: SAM2):
    tracker = Tracker(model)
    return [tracker.step(picture, PROMPTS.get(t, ())).masks[0] for t, picture in enumerate(FRAMES)]


def verdicts(clean: SAM2, disturbed: SAM2, clean_masks) -> list[Blame]:
    separations, pointers = [Separation(), Separation()], [PointerIdentity(), PointerIdentity()]
    separations[1].readouts, pointers[1].first = separations[0].readouts, pointers[0].first  # of the clean run
    probes = [
        Probe(measures, lambda t: {1: square_mask(t, SIDE, SIDE)}, memory_dim=64)
        for measures in zip(separations, pointers, strict=True)
    ]
    donor, receiver = (
        Side(model, FRAMES.__getitem__, LENGTH, PROMPTS, (probe,))
        for model, probe in zip((clean, disturbed), probes, strict=True)
    )
    recovery, scores = Recovery(1, lambda t: {1: clean_masks[t]}), []
    for step in patch_positions(donor, receiver):
        scores += recovery.add(step)
    return blame(probes[0].readings, probes[1].readings, scores)


@pytest.mark.parametrize("stage", STAGES)
def test_the_planted_position_is_named(model: SAM2, clean_masks, stage) -> None:
    first = verdicts(model, faulty(model, stage, FAULTY), clean_masks)[0]
    assert first.stage == stage
    assert first.evidence[STAGES.index(stage)].fell_at == FAULTY[0]
    assert first.evidence[STAGES.index(stage)].repair == 1
    assert first.confidence > 0.5


@pytest.mark.parametrize("stage", ["object_pointer", "memory_features"])
def test_what_is_written_wrongly_from_the_prompted_frame_on_is_named(model: SAM2, clean_masks, stage) -> None:
    """Its reading falls on frame 1, before the writes of that frame; the write of frame 0 was earlier."""
    first = verdicts(model, faulty(model, stage, range(LENGTH)), clean_masks)[0]
    assert first.stage == stage
    assert first.evidence[STAGES.index(stage)].fell_at == 0
    assert first.evidence[STAGES.index("memory_conditioned")].fell_at != 0


def test_an_undisturbed_run_has_no_loss(model: SAM2, clean_masks) -> None:
    assert verdicts(model, model, clean_masks) == []
