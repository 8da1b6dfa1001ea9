"""What is believed, remembered and read when the object leaves, returns, or something else appears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from maskscope.memory.anchors import ANCHOR
from maskscope.memory.policies.composite import AWAY, GOOD
from maskscope.memory.policy import Moment
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker
from scripted_model import ScriptedModel, Shown, box_mask, frame, scene

OWN, OTHER = (4, 4, 8, 8), (12, 8, 16, 12)  # whole cells of the embedding
PROMPT = Prompt(1, mask=box_mask(OWN))
MINE, THINGS = scene(5), scene(6)
HIDDEN = range(20, 30)


def present(t: int) -> Shown:
    """The object at its place, something else at another."""
    return Shown(
        boxes=(OWN, OWN, OWN),
        scene=scene(1, flicker=t),
        things=((OWN, scene(5, flicker=t)), (OTHER, scene(6, flicker=t))),
    )


def absent(t: int) -> Shown:
    return replace(present(t), score=-5.0, things=((OTHER, scene(6, flicker=t)),))


def claiming(shown: Shown, score: float = 4.0) -> Shown:
    """The model takes the other thing for the object."""
    return replace(shown, boxes=(OTHER, OTHER, OTHER), score=score)


def run(
    script: Callable[[int], Shown], length: int, policy: str = "composite"
) -> tuple[Tracker, list[FrameResult], list[bool]]:
    """Tracker, results, and whether the object was taken to be there."""
    tracker = Tracker(ScriptedModel(script, reads_matter=True), policy)
    results = [tracker.step(frame(t), [PROMPT] if t == 0 else ()) for t in range(length)]
    return tracker, results, [bool(result.object_score_logits[0] > 0) for result in results]


def reads(tracker: Tracker) -> list[tuple[int, int]]:
    track = tracker.session.tracks[1]
    selection = track.policy.select(track.bank, Moment(tracker.frame_index + 1))
    return [(read.frame_index, read.slot) for read in selection.spatial]


def test_where_nothing_happens_it_is_stock() -> None:
    _, ours, _ = run(present, 40)
    _, stock, _ = run(present, 40, "stock")
    for a, b in zip(ours, stock, strict=True):
        assert torch.equal(a.objects[1].pointer_c, b.objects[1].pointer_c)
        assert a.objects[1].object_score_logit == b.objects[1].object_score_logit


# -- what is believed ---------------------------------------------------------------------------------------------


def false_return(t: int) -> Shown:
    """Hidden; halfway the model takes something else for it."""
    if t not in HIDDEN:
        return present(t)
    return claiming(absent(t)) if t >= 24 else absent(t)


def test_a_false_return_is_not_believed_and_a_true_one_is_at_once() -> None:
    _, results, there = run(false_return, 34)
    assert there == [t not in HIDDEN for t in range(34)]
    assert not any(results[t].masks.any() for t in HIDDEN)
    assert run(false_return, 34, "stock")[2] == [t not in range(20, 24) for t in range(34)]
    assert run(false_return, 34, "composite:verify=0")[2] == [t not in range(20, 24) for t in range(34)]


def test_an_object_that_leaves_is_not_doubted_while_it_is_seen() -> None:
    """Its look changes from frame to frame, and it was never away: the model's word counts."""

    def script(t: int) -> Shown:
        shown = present(t)
        return replace(shown, things=((OWN, scene(6)),)) if t >= 10 else shown

    assert all(run(script, 20)[2])


def test_of_a_return_the_candidate_that_looks_alike_is_chosen() -> None:
    def script(t: int) -> Shown:
        if t in HIDDEN:
            return absent(t)
        return replace(present(t), boxes=(OTHER, OWN, OTHER), ious=(0.9, 0.7, 0.5)) if t == 30 else present(t)

    assert run(script, 31)[1][30].objects[1].chosen == 1
    assert run(script, 31, "stock")[1][30].objects[1].chosen == 0
    assert run(script, 31, "composite:likeness_weight=0")[1][30].objects[1].chosen == 0


def test_a_doubtful_return_is_believed_if_it_looks_alike() -> None:
    def script(t: int) -> Shown:
        if t not in HIDDEN:
            return present(t)
        return replace(present(t), score=-0.5) if t == 25 else claiming(absent(t), -0.5) if t == 27 else absent(t)

    assert run(script, 32)[2] == [t not in HIDDEN or t == 25 for t in range(32)]
    assert run(script, 32, "composite:doubt=0")[2] == [t not in HIDDEN for t in range(32)]


def test_who_is_claimed_for_long_is_believed() -> None:
    def script(t: int) -> Shown:
        return present(t) if t < 20 else absent(t) if t < 24 else claiming(absent(t))

    _, _, there = run(script, 44, "composite:patience=10")
    assert there == [t < 20 or t >= 34 for t in range(44)]


def test_claims_must_be_in_a_row() -> None:
    def script(t: int) -> Shown:
        return present(t) if t < 20 else absent(t) if t % 5 == 0 else claiming(absent(t))

    assert not any(run(script, 60, "composite:patience=10")[2][20:])


def test_an_interjection_is_not_believed() -> None:
    def script(t: int) -> Shown:
        shown = replace(claiming(absent(t)), scene=scene(3, flicker=t))
        return shown if 20 <= t < 30 else present(t)

    tracker, _, there = run(script, 34)
    assert there == [not 20 <= t < 30 for t in range(34)]
    assert reads(tracker) == [(0, 6), (18, 5), (19, 4), (30, 3), (31, 2), (32, 1), (33, 0)]


def test_after_a_cut_the_object_is_known_by_its_look() -> None:
    def script(t: int) -> Shown:
        return replace(present(t), scene=scene(3, flicker=t)) if t >= 20 else present(t)

    tracker, _, there = run(script, 26)
    assert all(there)
    assert reads(tracker)[-1] == (25, 0)


# -- what is read -------------------------------------------------------------------------------------------------


def test_absence_is_read_while_it_lasts() -> None:
    tracker, _, _ = run(lambda t: absent(t) if t >= 20 else present(t), 30)
    assert reads(tracker) == [(0, 6), (15, 5), (16, 4), (17, 3), (18, 2), (19, 1), (29, 0)]
    without, _, _ = run(lambda t: absent(t) if t >= 20 else present(t), 30, "composite:absence=off")
    assert reads(without) == [(0, 6), (14, 5), (15, 4), (16, 3), (17, 2), (18, 1), (19, 0)]
    back, _, _ = run(lambda t: absent(t) if t in HIDDEN else present(t), 33)
    assert reads(back) == [(0, 6), (17, 5), (18, 4), (19, 3), (30, 2), (31, 1), (32, 0)], "and no longer"


def test_absence_in_another_scene_is_not_read() -> None:
    def script(t: int) -> Shown:
        return replace(absent(t), scene=scene(3, flicker=t)) if t >= 20 else present(t)

    tracker, _, _ = run(script, 25)
    assert reads(tracker)[-1] == (19, 0)
    assert AWAY in tracker.session.tracks[1].bank.tracked[24].notes


def test_poor_masks_are_read_only_as_the_previous_frame() -> None:
    def script(t: int) -> Shown:
        return replace(present(t), ious=(0.6, 0.3, 0.2)) if 20 <= t < 23 else present(t)

    assert reads(run(script, 23)[0])[-2:] == [(19, 1), (22, 0)]
    tracker, _, _ = run(script, 25)
    assert reads(tracker) == [(0, 6), (16, 5), (17, 4), (18, 3), (19, 2), (23, 1), (24, 0)]
    assert GOOD not in tracker.session.tracks[1].bank.tracked[22].notes


def test_a_lookalike_among_the_candidates_leaves_an_anchor() -> None:
    def script(t: int) -> Shown:
        return replace(present(t), boxes=(OWN, OTHER, OWN)) if t == 10 else present(t)

    tracker, _, _ = run(script, 40)
    assert ANCHOR in tracker.session.tracks[1].bank.tracked[10].notes
    assert reads(tracker) == [(0, 6), (10, 6), (35, 4), (36, 3), (37, 2), (38, 1), (39, 0)]
