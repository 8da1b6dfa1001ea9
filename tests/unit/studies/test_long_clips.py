"""Long clips: where absences lie, what is shown between them, and that nothing piles up."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from clips import moving_disc_clip
from family_checks import Noises

from maskscope.data.synthetic.config import SyntheticConfig
from maskscope.errors import DatasetError, SettingError
from maskscope.studies.drawn_clips import DrawnDataset, drawn_count
from maskscope.studies.long_clips import ABSENCE_FRAMES, SEEN_FRAMES, LongSpec, LoopPlan, back_and_forth, long_clip
from maskscope.transforms.base import SourceClip, TransformedClip

SMALL = (48, 64)
DISC = moving_disc_clip(9, SMALL)
TINY = SyntheticConfig(
    num_frames=12, height_px=48, width_px=64, num_objects=1, blur_samples=1, shadows=False, speed=0.6
)


def test_back_and_forth_shows_no_frame_twice_in_a_row() -> None:
    assert [back_and_forth(t, 3) for t in range(8)] == [0, 1, 2, 1, 0, 1, 2, 1]
    assert [back_and_forth(t, 1) for t in range(3)] == [0, 0, 0]


class TestLoop:
    def plan(self, severity: int = 2, num_frames: int = 3000) -> LoopPlan:
        return LoopPlan.of(DISC, LongSpec(num_frames, severity), Noises())

    def test_between_absences_the_clip_goes_on_and_it_ends_with_the_clip(self) -> None:
        plan = self.plan()
        foreign = [t for t in range(plan.num_frames) if not plan.sources(t)]
        assert len(foreign) == len(plan.absences) * ABSENCE_FRAMES[2]
        assert len(plan.absences) > 10
        seen = np.diff([0, *plan.absences]) - [0, *[ABSENCE_FRAMES[2]] * (len(plan.absences) - 1)]
        assert SEEN_FRAMES[0] <= seen.min()
        assert seen.max() < SEEN_FRAMES[1]
        assert all(plan.sources(t) == (back_and_forth(t, 9),) for t in range(3000) if t not in set(foreign))
        assert plan.sources(2999)

    def test_a_frame_of_the_clip_is_itself_and_a_foreign_one_shows_nobody(self) -> None:
        clip = TransformedClip(DISC, plan := self.plan(severity=4), "long")
        first = plan.absences[0]
        before, inside, after = clip.at(first - 1), clip.at(first + 40), clip.at(first + 64)
        source = back_and_forth(first - 1, 9)
        assert (before.image_hwc == DISC.frames[source]).all()
        assert (before.visible_hw == DISC.labels[source]).all()
        assert (before.source_time, before.strengths) == (source, (0.0,))
        assert not inside.visible_hw.any()
        assert not inside.amodal_hw.any()
        assert (inside.source_time, inside.strengths) == (None, (41.0,))
        assert after.source_time == back_and_forth(first + 64, 9), "time has passed"

    def test_footage_of_one_absence_is_kept_and_shown_back_and_forth(self) -> None:
        clip = TransformedClip(DISC, plan := self.plan(severity=5), "long")
        first, second = plan.absences[:2]
        assert (clip.at(first + 1).image_hwc == clip.at(first + 61).image_hwc).all(), "31 there, 30 back"
        assert not (clip.at(first).image_hwc == clip.at(first + 31).image_hwc).all()
        assert not (clip.at(second).image_hwc == clip.at(first).image_hwc).all()
        assert plan._interludes.cache_info().currsize == 1

    def test_replayed_elsewhere_it_is_the_same(self) -> None:
        plan = self.plan()
        t = plan.absences[0] + 3
        shown = plan.apply(t, ())
        assert len(pickle.dumps(plan)) < 20_000
        assert (pickle.loads(pickle.dumps(plan)).apply(t, ()).image_hwc == shown.image_hwc).all()
        again = LoopPlan.of(DISC, LongSpec(3000, 2), Noises())
        assert again.absences == plan.absences
        assert LoopPlan.of(DISC, LongSpec(3000, 2, seed=1), Noises()).absences != plan.absences

    def test_one_frame_cannot_be_shown_back_and_forth(self) -> None:
        with pytest.raises(DatasetError, match="has 1 frame"):
            LoopPlan.of(moving_disc_clip(1, SMALL), LongSpec(3000, 1), Noises())


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"severity": 0}, "severity 0 of long clips is out of range; expected 1 to 5"),
        ({"seed": -1}, "negative"),
        ({"num_frames": 218}, "218 frames has no room for an absence of 8; give 219"),
    ],
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, int], problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        replace(LongSpec(3000, 1), **wrong)


class TestDrawn:
    def test_a_name_asks_for_clips_unless_a_folder_has_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert [drawn_count(text) for text in ("drawn", "drawn:7", "davis", "drawn:", "withdrawn")] == [
            4, 7, None, None, None,
        ]  # fmt: skip
        (tmp_path / "drawn").mkdir()
        assert drawn_count("drawn") is None
        with pytest.raises(DatasetError, match="ask for one or more"):
            drawn_count("drawn:0")

    def test_clips_differ_and_say_so_without_being_drawn(self) -> None:
        data = DrawnDataset(3, TINY)
        assert [clip.name for clip in data] == ["drawn-01", "drawn-02", "drawn-03"]
        assert [clip.config.occlusion for clip in data] == ["full", "partial", "full"]
        assert len({clip.digest for clip in data}) == 3
        assert data["drawn-01"].digest == DrawnDataset(1, TINY)["drawn-01"].digest
        assert "_scene" not in vars(data["drawn-03"])
        with pytest.raises(DatasetError, match="there is no drawn clip drawn-04; there are: drawn-01"):
            data["drawn-04"]

    def test_a_frame_and_its_masks(self) -> None:
        clip = DrawnDataset(1, replace(TINY, occlusion="none"))["drawn-01"]
        assert (clip.frame(3).shape, clip.masks(3).shape) == ((48, 64, 3), (48, 64))
        assert clip.first_frames == {1: 0}
        assert (clip.object_masks(3)[1] == (clip.masks(3) == 1)).all()

    def test_prolonged_it_is_hidden_again_and_again_and_looked_away_from_once(self) -> None:
        source = SourceClip(DrawnDataset(1, replace(TINY, height_px=96, width_px=160, speed=1.0))["drawn-01"])
        clip = long_clip(source, LongSpec(600, 2), Noises())
        assert (clip.num_frames, clip.name) == (600, "drawn-01")
        starts = source.sequence.prolonged(600, 16, SEEN_FRAMES[0]).config.occlusion_starts()  # type: ignore[attr-defined]
        assert starts == (98, 294, 490)
        for t, seen in ((80, True), (98, False), (113, False), (140, True), (301, False), (331, False), (360, True)):
            assert bool((clip.at(t).visible_hw == 1).any()) is seen, t
        assert clip.at(98).source_time is None

    def test_annotated_frames_of_a_drawn_clip_are_known_for_one(self) -> None:
        wrapped = SimpleNamespace(sequence=DrawnDataset(1, TINY)["drawn-01"], name="drawn-01")
        clip = long_clip(SourceClip(wrapped), LongSpec(300, 1), Noises())  # type: ignore[arg-type]
        assert clip.size == (48, 64)
        assert clip.num_frames == 300
