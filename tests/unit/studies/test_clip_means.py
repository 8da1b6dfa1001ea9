"""Rows of frames brought down to a clip."""

from __future__ import annotations

from typing import Any

import pytest

from maskscope.records import Record
from maskscope.studies.clip_means import clip_means


def row(metric: str, value: float | None = None, **columns: Any) -> Record:
    return Record(run="old", clip="dog", metric=metric, value=value, object=1, **columns)


def by_metric(*rows: Record) -> dict[str, Record]:
    return {each.metric: each for each in clip_means(rows, "new")}


def test_a_measure_becomes_its_mean_over_frames_that_have_a_value() -> None:
    rows = [row("separation_auc", value, frame=t, stage="image_embedding") for t, value in enumerate((0.5, 1.0))]
    found = by_metric(*rows, row("separation_auc", state="absent", frame=2, stage="image_embedding"))
    mean = found["separation_auc"]
    assert (mean.value, mean.state, mean.frame, mean.run, mean.stage) == (0.75, None, None, "new", "image_embedding")


def test_the_given_frame_does_not_count_for_scores() -> None:
    rows = [row("j", value, frame=t) for t, value in enumerate((1.0, 0.2, 0.4))]
    outcomes = [row("outcome", state=state, frame=t) for t, state in enumerate(("hit", "miss", "miss", "hit", "miss"))]
    found = by_metric(*rows, *outcomes)
    assert found["j"].value == pytest.approx(0.3)
    assert found["outcome_share.miss"].value == 0.75
    assert found["outcome_share.hit"].value == 0.25


def test_ratios_have_a_geometric_mean() -> None:
    rows = [
        row("filtering_ratio.object", value, frame=t, stage="memory_features") for t, value in enumerate((0.5, 2.0))
    ]
    assert by_metric(*rows)["filtering_ratio.object"].value == pytest.approx(1.0)


def test_what_was_never_measured_keeps_its_commonest_reason() -> None:
    states = ("absent", "fills the frame", "absent")
    mean = by_metric(*(row("fisher_ratio", state=state, frame=t) for t, state in enumerate(states)))["fisher_ratio"]
    assert (mean.value, mean.state) == (None, "absent")


def test_a_figure_of_the_whole_clip_and_losses_stay() -> None:
    whole = row("recovered_j", 0.9, stage="image_embedding")
    frames = [row("recovered_j", 100.0, frame=t, stage="image_embedding") for t in range(3)]
    loss, blame = row("loss", 4.0, state="lost", frame=7), row("blame", state="not determined", frame=7)
    found = list(clip_means([whole, *frames, loss, blame], "new"))
    assert [(each.metric, each.value, each.frame) for each in found] == [
        ("recovered_j", 0.9, None),
        ("loss", 4.0, 7),
        ("blame", None, 7),
    ]


def test_conditions_and_taps_are_kept_apart() -> None:
    rows = [row("early_j", 0.2, frame=1, tap="a"), row("early_j", 0.4, frame=1, tap="b")]
    rows += [row("early_j", 0.6, frame=1, tap="a", family="fog", severity=3, transform="fog:3")]
    assert sorted(each.value or 0 for each in clip_means(rows, "new")) == [0.2, 0.4, 0.6]
