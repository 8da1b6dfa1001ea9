"""A sequence appears whole or not at all, and removing one removes nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.data.sequence_writer import SequenceWriter, copyable, remove_sequence
from maskscope.errors import OutputError

RGB = np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)
LABELS = np.full((12, 16), 3, np.uint8)
WHOLE = np.full((12, 16), 4, np.uint8)


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def write(root: Path, frames: int = 2, **options: bool) -> SequenceWriter:
    with SequenceWriter(root, "480p", "dog", **options) as writer:
        for _ in range(frames):
            writer.write(RGB, LABELS, WHOLE)
        writer.commit()
    return writer


def test_three_files_a_frame_with_their_digests(tmp_path: Path) -> None:
    writer = write(tmp_path, lossless=True)
    assert names(tmp_path) == sorted(path for frame in writer.sha256 for path in frame)
    assert list(writer.sha256[1]) == [
        "JPEGImages/480p/dog/00001.png",
        "Annotations/480p/dog/00001.png",
        "Amodal/480p/dog/00001.png",
    ]
    for path, digest in writer.sha256[1].items():
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == digest
    for part, expected in (("JPEGImages", RGB), ("Annotations", LABELS), ("Amodal", WHOLE)):
        with Image.open(tmp_path / part / "480p" / "dog" / "00000.png") as picture:
            np.testing.assert_array_equal(np.array(picture), expected)


def test_without_resolution_and_with_files_to_copy(tmp_path: Path) -> None:
    original = tmp_path / "photo.JPEG"
    Image.fromarray(RGB).save(original, quality=40)
    with SequenceWriter(tmp_path / "out", ".", "dog") as writer:
        writer.write(original, LABELS, WHOLE)
        writer.commit()
    assert (tmp_path / "out" / "JPEGImages" / "dog" / "00000.jpg").read_bytes() == original.read_bytes()
    assert [copyable(Path(name)) for name in ("a.jpg", "a.PNG", "a.jpeg", "a.webp")] == [True, True, True, False]


def test_nothing_is_left_without_commit(tmp_path: Path) -> None:
    def fail() -> None:
        with SequenceWriter(tmp_path, "480p", "dog") as writer:
            writer.write(RGB, LABELS, WHOLE)
            assert len(names(tmp_path)) == 3
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert names(tmp_path) == []
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    write(tmp_path, lossless=True)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(OutputError, match="dog exists already"):
        write(tmp_path, frames=1)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_removing_a_sequence_leaves_other_files(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Amodal" / "480p" / "dog" / "notes.txt").write_text("mine")
    (tmp_path / "Annotations" / "480p" / "cow").mkdir()
    remove_sequence(tmp_path, "480p", "dog")
    assert names(tmp_path) == ["Amodal/480p/dog/notes.txt"]
    assert not (tmp_path / "JPEGImages" / "480p" / "dog").exists()
    assert (tmp_path / "Annotations" / "480p" / "cow").is_dir()
    remove_sequence(tmp_path, "480p", "bird")  # nothing to do
