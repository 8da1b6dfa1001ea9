"""What is planted alike in all clips read-outs of other clips find; what each clip has for itself they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from maskscope.errors import MaskscopeError, RecordError
from maskscope.observe.grid import Regions
from maskscope.observe.measures.other_clips import CELLS, CellKeeper, CellSample, across_clips, sampled_frames
from maskscope.observe.measures.ranking import average_precision
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.records import Record
from maskscope.studies.kept_cells import read_cells, rows_across_clips, write_cells

GRID, CHANNELS, NUM_FRAMES = (30, 40), 8, 12
SHIFT = 2.0


def film(clip: int, sign: float = 1.0, channel: int = 2) -> list[CellSample]:
    """The cells kept of a clip whose object, at another place in each clip, lies two deviations off in one channel."""
    keeper = CellKeeper(sampled_frames(NUM_FRAMES))
    for t in range(NUM_FRAMES):
        mask = np.zeros(GRID, bool)
        top, left = (2 + 7 * clip) % 18, (3 + 11 * clip) % 28
        mask[top : top + 12, left : left + 12] = True
        rng = np.random.default_rng([clip, t])
        x = rng.normal(5, 1, (CHANNELS, *GRID))
        x[channel, mask] += sign * SHIFT
        picture = rng.integers(0, 255, (*GRID, 3)).astype(np.uint8)
        features = torch.from_numpy(x.astype(np.float32))
        seen = Sight("image_embedding", "", t, 1, features, Regions.of(mask, GRID), mask, picture)
        assert list(keeper.see(seen)) == []
    return keeper.samples


def value(readings: list[Reading], metric: str) -> float:
    (found,) = (each.value for each in readings if each.metric == metric)
    assert found is not None
    return found


def test_what_all_clips_share_is_found_on_the_one_left_out() -> None:
    """Phi(shift / sqrt 2); controls, fitted on other clips likewise, know nothing."""
    found = across_clips({str(n): film(n) for n in range(4)})
    assert set(found) == set("0123")
    means = {
        ending: np.mean([value(each, f"separation_auc{ending}_others") for each in found.values()])
        for ending in ("", "_control", "_rgb")
    }
    assert means[""] == pytest.approx(0.921, abs=0.02)
    assert means["_control"] == pytest.approx(0.5, abs=0.08)
    assert means["_rgb"] == pytest.approx(0.5, abs=0.05)
    stages = {each.metric: each.stage for each in found["0"]}
    assert stages["separation_ap_others"] == stages["separation_auc_control_others"] == "image_embedding"
    assert stages["separation_auc_position_others"] is None
    assert all(each.frame is None and each.object == 1 for each in found["0"])


def test_a_clip_that_is_the_other_way_round_is_pointed_away_from() -> None:
    """Within that clip a read-out would do as well as in the others; what the others know of it is wrong."""
    found = across_clips({"0": film(0), "1": film(1), "2": film(2), "odd": film(3, sign=-1.0)})
    assert value(found["odd"], "separation_auc_others") == pytest.approx(1 - 0.921, abs=0.03)
    alien = across_clips({"0": film(0), "1": film(1), "2": film(2), "odd": film(3, channel=5)})
    assert value(alien["odd"], "separation_auc_others") == pytest.approx(0.5, abs=0.05)


def test_the_left_out_clip_does_not_help_itself() -> None:
    clips = {"0": film(0), "1": film(1), "odd": film(3, channel=5)}
    alone = across_clips(clips)["0"]
    louder = across_clips({**clips, "0": [*clips["0"], *film(0)]})["0"]
    assert value(alone, "separation_auc_others") == pytest.approx(value(louder, "separation_auc_others"))


def test_little_is_kept_and_ap_is_that_of_all_cells() -> None:
    kept = film(0)
    assert {each.frame for each in kept} == sampled_frames(NUM_FRAMES)
    assert max(len(each.object_nc) for each in kept) == CELLS
    assert max(len(each.background_nc) for each in kept) == CELLS
    one = next(each for each in kept if each.place == "image_embedding")
    assert one.counts == (144, GRID[0] * GRID[1] - 144)
    ours, theirs = [3.0, 1.0], [2.0, 0.0]
    repeated = average_precision(np.repeat(ours, 2), np.repeat(theirs, 5))
    assert average_precision(ours, theirs, 2, 5) == pytest.approx(repeated)
    assert sampled_frames(1) == frozenset()
    assert 0 not in sampled_frames(2)


def test_a_clip_without_cells_says_so_and_one_clip_is_no_comparison() -> None:
    found = across_clips({"0": film(0), "1": film(1), "never": []})
    assert [(each.metric, each.state) for each in found["never"]] == [("separation_auc_others", "no cells kept")]
    with pytest.raises(MaskscopeError, match="two or more"):
        across_clips({"0": film(0), "never": []})


def test_cells_survive_a_file_and_become_rows(tmp_path: Path) -> None:
    write_cells(tmp_path / "cells.npz", film(0))
    kept = read_cells(tmp_path / "cells.npz")
    assert np.array_equal(kept[0].object_nc, film(0)[0].object_nc)
    assert kept[0].counts == film(0)[0].counts
    common = {"metric": "j", "value": 0.5, "model": "m"}
    like = [Record(run=f"r{n}", clip=str(n), frame=None, **common) for n in range(2)]  # type: ignore[arg-type]
    rows = list(rows_across_clips({"0": kept, "1": film(1)}, like))
    assert {(row.clip, row.run, row.model) for row in rows} == {("0", "r0", "m"), ("1", "r1", "m")}
    assert not list(rows_across_clips({"0": kept, "1": []}, like))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    write_cells(tmp_path / "cells.npz", film(0))
    (tmp_path / "cells.npz").write_bytes((tmp_path / "cells.npz").read_bytes()[:500])
    for name in ("cells.npz", "missing.npz"):
        with pytest.raises(RecordError, match="no whole file of cells"):
            read_cells(tmp_path / name)
