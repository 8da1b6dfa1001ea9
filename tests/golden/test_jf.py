"""J and F against what the official DAVIS tool gives, to 1e-9."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.evaluate.boundary import boundary_f
from maskscope.evaluate.protocol import ALL_FRAMES, DAVIS, evaluate_sequence
from maskscope.evaluate.region import region_similarity

Official = dict[str, dict[str, list[float]]]

AGREEMENT = 1e-9
SEQUENCES = (
    "blackswan", "bmx-trees", "camel", "car-shadow", "cows", "dance-twirl", "dog", "goat", "libby", "soapbox"
)  # fmt: skip


def masks(folder: Path) -> list[np.ndarray]:
    return [np.array(Image.open(path)) > 0 for path in sorted(folder.glob("*.png"))]


def pairs(shared: Path, sequence: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    predictions = masks(shared / "golden" / "osvos" / sequence)
    return predictions, masks(shared / "davis2016" / "Annotations" / "480p" / sequence)


@pytest.fixture(scope="module")
def official(shared: Path) -> Official:
    return json.loads((shared / "golden" / "jf_osvos.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_real_predictions_on_every_frame(shared: Path, official: Official, sequence: str) -> None:
    predictions, truths = pairs(shared, sequence)
    expected = official[sequence]
    score = evaluate_sequence(predictions, truths, ALL_FRAMES)
    assert len(score.frames) == len(expected["F"]) > 30
    np.testing.assert_allclose(score.region[0], expected["J"], rtol=0, atol=AGREEMENT)
    np.testing.assert_allclose(score.boundary[0], expected["F"], rtol=0, atol=AGREEMENT)


def test_davis_mean_is_that_of_the_inner_frames(shared: Path, official: dict) -> None:
    predictions, truths = pairs(shared, "car-shadow")
    score = evaluate_sequence(predictions, truths, DAVIS)
    assert score.j.mean == pytest.approx(np.mean(official["car-shadow"]["J"][1:-1]), abs=AGREEMENT)
    assert score.f.mean == pytest.approx(np.mean(official["car-shadow"]["F"][1:-1]), abs=AGREEMENT)


def test_synthetic_pairs_with_every_edge_case(shared: Path) -> None:
    with np.load(shared / "golden" / "jf_synthetic.npz") as golden:
        count, height, width = golden["shape"]
        packed = golden["prediction"], golden["annotation"]
        predictions, truths = (np.unpackbits(bits, axis=-1)[..., :width].astype(bool) for bits in packed)
        assert truths.shape == (count, height, width) == (64, 120, 160)
        np.testing.assert_allclose(region_similarity(predictions, truths), golden["J"], rtol=0, atol=AGREEMENT)
        np.testing.assert_allclose(boundary_f(predictions, truths), golden["F"], rtol=0, atol=AGREEMENT)
        assert len(np.unique(golden["F"])) > 20  # the file is no trivial table
