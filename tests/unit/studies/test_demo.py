"""The diagnosis that belongs to the demo, by a tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.errors import SettingError
from maskscope.model.checkpoints import save_checkpoint
from maskscope.records import read_records
from maskscope.studies import demo as demo_module
from maskscope.studies.demo import diagnose_demo
from maskscope.studies.track import TrackOptions
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TrackOptions:
    path = tmp_path_factory.mktemp("demo") / "small.safetensors"
    save_checkpoint(tiny_model(), path)
    return TrackOptions(str(path), device="cpu", precision="float32")


class SmallClip:
    """In place of the bundled clip, whose frames are large: two squares, of which the first is diagnosed."""

    name, num_frames, size, fps = "bundled", 5, (SIDE, SIDE), None

    def frame(self, index: int) -> NDArray[np.uint8]:
        return moving_square(index + 1, SIDE, SIDE)[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        labels = square_mask(index, SIDE, SIDE).astype(np.uint8)
        labels[:8, :8] = 2
        return labels


def test_the_first_animal_is_diagnosed_beside_the_other_results(
    small: TrackOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_module, "BundledClip", SmallClip)
    found = diagnose_demo(tmp_path, small, max_frames=3, families=("illumination:1",))
    assert found.finished
    assert found.annotated
    assert found.report == tmp_path / "diagnosis" / "report.html"
    assert found.report.exists()
    assert [each.family for each in found.conditions] == ["", "illumination"]
    rows = read_records(tmp_path / "diagnosis" / "records.parquet")
    assert {row.object for row in rows if row.metric == "j"} == {1}
    assert {row.frame for row in rows if row.metric == "j"} == {0, 1, 2}


def test_a_missing_package_is_named_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, extra: str, purpose: str) -> None:
        raise SettingError(f"{purpose} need {module}, which is not installed", f"pip install 'maskscope[{extra}]'")

    monkeypatch.setattr(demo_module, "load_extra", missing)
    with pytest.raises(SettingError, match="pyarrow"):
        diagnose_demo(tmp_path)
    assert not (tmp_path / "diagnosis").exists()
