"""Which accounts of a doubtful moment go on, and how the right one comes to lead."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies.paths import ACCOUNT, SCORE, PathsPolicy, PathsSettings
from maskscope.memory.policy import Branch, Candidates, Moment, Outcome
from maskscope.model.config import MemoryConfig
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures, MemoryTokens, PromptTokens
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.saving import load_tracker, save_tracker
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker
from scripted_model import Frames, ScriptedModel, Shown, box_mask, frame

RIGHT, WRONG = (2, 2, 6, 6), (9, 9, 15, 15)
PROMPT = Prompt(1, mask=box_mask(RIGHT))
NOW = Moment(5)


def pathway(score: float, account: int, newest: int = 4) -> MemoryBank:
    notes = {SCORE: torch.tensor([score], dtype=torch.float64), ACCOUNT: torch.tensor([account])}
    bank = MemoryBank()
    summary = FrameSummary(newest, False, 5.0, 0.9, 0.1)
    bank.write(FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1), notes))
    return bank


def seen(ious: tuple[float, ...], score: float) -> Candidates:
    return Candidates(5, torch.zeros(len(ious), 4, 4), ious, score, torch.zeros(1, 1, 1))


def go_on(candidates: list[Candidates], banks: list[MemoryBank], paths: int = 3) -> list[tuple[int, int]]:
    branches = PathsPolicy(MemoryConfig(), PathsSettings(paths=paths)).branch(candidates, banks, NOW)
    return [(branch.path, branch.candidate) for branch in branches]


# -- branching ----------------------------------------------------------------------------------------------------


def test_sums_of_logarithms_decide() -> None:
    """Path 0 has 0, path 1 has log 0.5: its 0.9 is worth 0.45."""
    banks = [pathway(0.0, 1), pathway(math.log(0.5), 2)]
    assert go_on([seen((0.4, 0.8), 5.0), seen((0.9, 0.1), 5.0)], banks) == [(0, 1), (1, 0), (0, 0)]


def test_in_doubt_equal_looks_go_on_once() -> None:
    banks = [pathway(0.0, 1), pathway(0.0, 2)]
    sure = [seen((0.801, 0.799, 0.6), 2.1), seen((0.798, 0.5, 0.1), 0.5)]
    doubtful = [seen((0.801, 0.799, 0.6), 2.0), seen((0.798, 0.5, 0.1), -0.5)]
    assert go_on(sure, banks) == [(0, 0), (0, 1), (1, 0)]
    assert go_on(doubtful, banks) == [(0, 0), (1, 0), (0, 2)], "0.80 of a hidden object is another account"


def test_in_doubt_every_pathway_may_stay() -> None:
    banks = [pathway(0.0, 1), pathway(-0.1, 2)]
    alike = [seen((0.8, 0.8, 0.8), 1.0), seen((0.8, 0.8, 0.8), 1.0)]
    assert go_on(alike, banks) == [(0, 0), (1, 0)]


def test_one_past_is_one_account() -> None:
    banks = [pathway(0.0, 7), pathway(0.0, 7), pathway(0.0, 8)]
    assert {path for path, _ in go_on([seen((0.9, 0.8), 5.0)] * 3, banks)} == {0, 2}


def test_presence_is_each_pathways_own() -> None:
    banks = [pathway(0.0, 1), pathway(0.0, 2)]
    branches = PathsPolicy(MemoryConfig()).branch([seen((0.9,), -4.0), seen((0.8,), 4.0)], banks, NOW)
    assert list(branches) == [Branch(0, 0, False), Branch(1, 0, True)]


def test_notes_add_up() -> None:
    policy, bank = PathsPolicy(MemoryConfig()), pathway(-0.25, 3)
    notes = [
        policy.note(Outcome(FrameSummary(5, False, 5.0, 0.5, 0.1), seen((0.5, 0.5), 5.0), chosen), bank, NOW)
        for chosen in (0, 1)
    ]
    assert float(notes[0][SCORE]) == pytest.approx(-0.25 + math.log(0.5), abs=1e-4)
    assert int(notes[0][ACCOUNT]) != int(notes[1][ACCOUNT])
    prompted = policy.note(Outcome(FrameSummary(5, True, 10.0, 1.0, 0.1), seen((1.0,), 10.0), 0), bank, NOW)
    assert float(prompted[SCORE]) == 0


# -- reading ------------------------------------------------------------------------------------------------------


def test_trusted_frames_by_rank_with_weights_by_score() -> None:
    bank = MemoryBank()
    scores = {0: 10.0, 1: 3.0, 2: 4.0, 3: -2.0, 4: 5.0, 5: 1.0, 6: 2.0, 7: -1.0}
    for t, score in scores.items():
        summary = FrameSummary(t, t == 0, score, 0.2 if t == 5 else 0.9, 0.1)
        bank.write(FrameMemory(summary, torch.zeros(2), torch.zeros(1, 1, 1), torch.zeros(1, 1)))
    selection = PathsPolicy(MemoryConfig()).select(bank, Moment(8))
    assert [(read.frame_index, read.slot) for read in selection.spatial] == [
        (0, 6), (1, 4), (2, 3), (4, 2), (6, 1), (7, 0),
    ]  # fmt: skip
    assert [read.weight for read in selection.spatial] == pytest.approx([1.05, 0.99, 1.01, 1.03, 0.97, 0.95])
    assert [(read.frame_index, read.distance) for read in selection.pointers] == [
        (0, 8), (7, 1), (6, 2), (4, 3), (2, 4), (1, 5),
    ]  # fmt: skip


# -- all together -------------------------------------------------------------------------------------------------


class Consequent(ScriptedModel):
    """Frame 6 is doubtful, and the wrong mask has the better IoU; who took it finds nothing good afterwards."""

    def encode_memory(self, image: ImageFeatures, mask_logits_b1hw: Tensor, *_: object) -> Tensor:
        wrong = (mask_logits_b1hw[:, 0, 10, 10] > 0).float()
        return wrong[:, None, None, None].repeat(1, 4, 4, 4)

    def lay_out_memory(self, spatial_bskhw: Tensor, *_: object) -> MemoryTokens:
        misled = spatial_bskhw.float().amax((1, 2, 3, 4))
        return MemoryTokens(misled[:, None, None].repeat(1, 1, 4), torch.zeros(1), 0)

    def decode_candidates(
        self, conditioned: ConditionedFeatures, prompt: PromptTokens, multimask: bool
    ) -> DecodedMasks:
        decoded = super().decode_candidates(conditioned, prompt, multimask)
        misled = conditioned.embedding_bchw[:, :1, 0, 0] > 0
        ious = torch.where(misled, torch.tensor([[0.1, 0.3, 0.1]]), decoded.predicted_iou_bm)
        masks = torch.where(misled[:, :, None, None], decoded.mask_logits_bmhw[:, [1]], decoded.mask_logits_bmhw)
        return DecodedMasks(
            masks, ious, decoded.object_score_logits_b, decoded.output_tokens_bmc, conditioned.embedding_bchw, masks
        )

    def condition_on_memory(self, image: ImageFeatures, memory: MemoryTokens | None) -> ConditionedFeatures:
        read = torch.zeros(len(image.fine_bchw), 4) if memory is None else memory.values_bnk[:, 0]
        return ConditionedFeatures(read[:, :, None, None], image)


def doubtful(t: int) -> Shown:
    if t == 6:
        return Shown(boxes=(RIGHT, WRONG, RIGHT), ious=(0.6, 0.7, 0.1), score=1.0)
    return Shown(boxes=(RIGHT, WRONG, RIGHT), ious=(0.9, 0.2, 0.1), score=5.0)


def is_right(mask_logits_hw: Tensor) -> bool:
    return bool(mask_logits_hw[4, 4] > 0) and not bool(mask_logits_hw[10, 10] > 0)


def test_a_wrong_turn_is_taken_back() -> None:
    tracker = Tracker(Consequent(doubtful), "paths")
    results = [tracker.step(frame(t), [PROMPT] if t == 0 else ()) for t in range(10)]
    shown = [is_right(result.objects[1].mask_logits_hw) for result in results]
    assert shown == [True] * 6 + [False] + [True] * 3
    believed = tracker.session.known(1, 6)
    assert believed is not None
    assert is_right(believed.mask_logits_hw), "the leader's view of the doubtful frame"
    stock = Tracker(Consequent(doubtful), "stock")
    masks = [stock.step(frame(t), [PROMPT] if t == 0 else ()).objects[1].mask_logits_hw for t in range(10)]
    assert [is_right(mask) for mask in masks] == [True] * 6 + [False] * 4


def test_the_whole_video_at_its_end() -> None:
    tracker = VideoTracker(Consequent(doubtful), Frames(40), "paths", SessionOptions(keep_all=True))
    tracker.prompt(0, [PROMPT])
    list(tracker.propagate())
    final = [tracker.session.known(1, t) for t in range(40)]
    assert all(masks is not None and is_right(masks.mask_logits_hw) for masks in final)


def test_late_answers_of_a_stream() -> None:
    tracker = Tracker(Consequent(doubtful), "paths:delay=9")
    for t in range(40):
        tracker.step(frame(t), [PROMPT] if t == 0 else ())
        assert tracker.session.known(1, max(t - 9, 0)) is not None


def test_pathways_are_bounded_saved_and_end_at_a_prompt(tmp_path: Path) -> None:
    tracker = Tracker(Consequent(doubtful), "paths:paths=4")
    for t in range(8):
        tracker.step(frame(t), [PROMPT] if t == 0 else ())
    track = tracker.session.tracks[1]
    assert len(track.banks) == 4
    save_tracker(tracker, tmp_path / "session")
    again = load_tracker(tmp_path / "session", tracker.model).session.tracks[1]
    for bank, other in zip(track.banks, again.banks, strict=True):
        assert sorted(bank.tracked) == sorted(other.tracked)
        assert [int(m.notes[ACCOUNT]) for m in bank] == [int(m.notes[ACCOUNT]) for m in other]
    shared = [set(map(id, bank)) for bank in again.banks]
    assert set.intersection(*shared), "what pathways share is read once"
    tracker.step(frame(8), [PROMPT])
    assert len(tracker.session.tracks[1].banks) == 1


def test_one_path_is_object_aware_memory_alone() -> None:
    tracker = Tracker(Consequent(doubtful), "paths:paths=1")
    for t in range(10):
        tracker.step(frame(t), [PROMPT] if t == 0 else ())
        assert len(tracker.session.tracks[1].banks) == 1
