"""Decoding, caching and holding out."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from maskscope.errors import DatasetError
from maskscope.training.corpus import Corpus, held_out_sequences, open_corpus
from maskscope.training.store import open_store, write_store


def test_every_kind_is_found_and_the_validation_sequence_is_not_trained_on(corpus: Corpus) -> None:
    assert corpus.videos == ("video/own/square",)
    assert held_out_sequences(corpus) == ["video/own/swing"]
    assert corpus.objects == ("image/things/a",)
    assert set(corpus.regions) == {"image/bsds500/b_0", "image/bsds500/b_1"}
    assert set(corpus.cutouts) == {"cutouts/round/disk", "cutouts/moving/disk"}
    assert corpus.backgrounds == ("backgrounds/plain",)


def test_pixels_and_labels_come_back_as_written(corpus: Corpus) -> None:
    frames, masks = corpus.store["video/own/square/frames"], corpus.store["video/own/square/masks"]
    assert frames.shape == (8, 64, 96, 3)
    assert tuple(frames[1, 28, 20]) == (200, 30, 30)
    assert tuple(frames[1, 28, 60]) == (90, 90, 90)
    assert masks[1, 28, 20] == 1
    assert masks[1, 28, 60] == 0
    assert set(np.unique(corpus.store["image/things/a/mask"])) == {0, 1}, "255 becomes label 1"
    assert corpus.store["cutouts/moving/disk"].shape == (3, 48, 48, 4)


def test_a_store_crosses_processes_by_its_path(corpus: Corpus) -> None:
    wire = pickle.dumps(corpus.store)
    assert len(wire) < 1000
    name = "backgrounds/plain"
    np.testing.assert_array_equal(pickle.loads(wire)[name], corpus.store[name])


def test_a_root_without_examples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(DatasetError, match="no video/, image/ or cutouts/"):
        open_corpus(tmp_path / "root", tmp_path / "cache")


def test_a_video_with_a_missing_mask_is_refused(tmp_path: Path, training_root: Path) -> None:
    sequence = tmp_path / "video" / "own" / "short"
    (sequence / "frames").mkdir(parents=True)
    (sequence / "masks").mkdir()
    source = training_root / "video" / "own" / "square" / "frames" / "00000.png"
    (sequence / "frames" / "0.png").write_bytes(source.read_bytes())
    with pytest.raises(DatasetError, match="a mask for every frame, got 1 and 0"):
        open_corpus(tmp_path, tmp_path / "cache")


def test_a_cut_store_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path, [("a", np.zeros((4, 4), np.uint8))])
    (tmp_path / "arrays.bin").write_bytes(b"123")
    with pytest.raises(DatasetError, match="should have 16 bytes, got 3"):
        open_store(tmp_path)
