"""A model that reads no object pointers is observed, patched and diagnosed; what is not there is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from maskscope.memory.policies.stock import StockPolicy
from maskscope.model import SAM2
from maskscope.observe.ablation import NOTHING_READ, Pool, ablate
from maskscope.observe.blame import blame
from maskscope.observe.measures.pointer_map import NO_POINTERS
from maskscope.observe.patching import patch_positions
from maskscope.observe.recovery import Recovery
from maskscope.records import read_records
from maskscope.stages import STAGES
from maskscope.studies.diagnose import DiagnoseOptions, diagnose_clip
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.observe import ObserveOptions
from planted import LENGTH, SIDE, course, faulty, truth
from random_models import moving_square, random_model, small_config, square_mask


class Square:
    """The drifting square, with its mask on every frame."""

    name, num_frames, size = "square", LENGTH, (SIDE, SIDE)

    def frame(self, index: int):  # type: ignore[no-untyped-def]
        return moving_square(LENGTH, SIDE, SIDE)[index]

    def masks(self, index: int):  # type: ignore[no-untyped-def]
        return square_mask(index, SIDE, SIDE).astype("uint8")


@pytest.fixture(params=["none at all", "of prompted frames only"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "none at all":
        monkeypatch.setattr(StockPolicy, "prompted_pointers", lambda *_: [])
    return str(request.param)


@pytest.fixture
def model(kind: str) -> SAM2:
    config = small_config(image_size=(SIDE, SIDE))
    return random_model(replace(config, memory=replace(config.memory, max_pointers=0)), object_score_bias=6.0)


def test_what_is_written_and_not_read_repairs_nothing(kind: str, model: SAM2) -> None:
    """The fault is in memory; with a fault at the pointer no mask changes where no pointer is read."""
    recovery = Recovery(1, truth)
    broken = course(faulty(model, "memory_features", range(LENGTH)))
    readings = [reading for step in patch_positions(course(model), broken) for reading in recovery.add(step)]
    share = {r.stage: r.value for r in recovery.summary() if r.metric == "recovered_margin"}
    assert set(share) == set(STAGES)
    assert share["memory_features"] == pytest.approx(1)
    if kind == "none at all":
        assert share["object_pointer"] == 0
    assert all(found.stage != "object_pointer" for found in blame([], [], readings))
    silent = course(faulty(model, "object_pointer", range(LENGTH)))
    same = [
        bool((step.donor.mask_logits_nhw == step.receiver.mask_logits_nhw).all())  # type: ignore[union-attr]
        for step in patch_positions(course(model), silent, stages=())
    ]
    assert all(same) is (kind == "none at all")  # a single pointer that is read does change masks


def test_an_ablation_of_what_is_not_read_is_a_state(kind: str, model: SAM2) -> None:
    pool = Pool.of(course(model, first=5), num_frames=LENGTH)
    (found,) = (r for r in ablate(course(model), pool, truth, ablations=("pointers",)) if r.metric == "ablation_loss")
    assert (found.state == NOTHING_READ) is (kind == "none at all")


def test_a_diagnosis_says_that_none_are_read(kind: str, model: SAM2, tmp_path: Path) -> None:
    clip = LookedAt("square", LENGTH, (SIDE, SIDE), None, 0, LENGTH, True, Square())
    options = DiagnoseOptions(ObserveOptions(), ("illumination",), severity=5, ablate=False)
    summary = diagnose_clip(clip, clip.prompts(), tmp_path, options, model=model)
    assert summary.finished
    assert summary.report is not None
    rows = read_records(tmp_path / "records.parquet")
    states = {row.state for row in rows if row.metric == "pointer_influence_iou"}
    assert states == {NO_POINTERS} if kind == "none at all" else NO_POINTERS not in states
    assert any(row.metric == "pointer_cosine.first" and row.value is not None for row in rows)  # it is written still
