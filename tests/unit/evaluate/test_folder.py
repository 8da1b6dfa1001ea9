from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.errors import DatasetError
from maskscope.evaluate.folder import MaskFolder, MaskPair
from maskscope.evaluate.metadata import Metadata, read_metadata
from maskscope.evaluate.rules import DAVIS, LVOS, MOSE, YTVOS


def picture(*values: int) -> np.ndarray:
    """A row of blocks of these values, 4 pixels high."""
    return np.repeat(np.repeat(np.array([values], dtype=np.uint8), 4, axis=0), 3, axis=1)


def write(root: Path, files: Mapping[str, np.ndarray]) -> Path:
    for name, pixels in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def pair_of(truth: Path, prediction: Path, name: str = "dog", **options: bool) -> MaskPair:
    return MaskPair(name, MaskFolder.open(truth)[name], MaskFolder.open(prediction)[name], **options)


@pytest.mark.parametrize(
    "place", ["dog", "Annotations/dog", "Annotations/480p/dog", "Annotations_6fps/dog", "480p/dog", "dog/masks"]
)
def test_masks_are_found_in_every_layout(tmp_path: Path, place: str) -> None:
    folder = MaskFolder.open(
        write(tmp_path, {f"{place}/00000.png": picture(0, 1), f"{place}/00001.png": picture(1, 0)})
    )
    assert folder.sequences == ("dog",)
    assert folder["dog"].frames == [0, 1]
    frame = folder["dog"].read(1)
    assert isinstance(frame, np.ndarray)
    np.testing.assert_array_equal(frame, picture(1, 0))


def test_frames_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    files = {f"dog/{name}.png": picture(1) for name in ("1", "10", "2", "last")}
    assert MaskFolder.open(write(tmp_path, files))["dog"].frames == [1, 2, 10, "last"]


def test_frames_match_by_number_however_many_zeros(tmp_path: Path) -> None:
    truth = write(tmp_path / "true", {f"dog/{n:08d}.png": picture(0, 1) for n in (1, 6, 11)})
    prediction = write(tmp_path / "mine", {f"dog/{n:05d}.png": picture(n, 1) for n in range(1, 12)})
    pair = pair_of(truth, prediction)
    assert pair.frame_numbers == [1, 6, 11]
    assert [frame[0, 0] for frame in pair.predictions() if isinstance(frame, np.ndarray)] == [1, 6, 11]
    assert pair.extra_frames == 8


def test_a_folder_for_each_object_counts_from_one_where_truth_does_so_too(tmp_path: Path) -> None:
    files = {
        "dog/000/00000.png": picture(0, 1), "dog/001/00000.png": picture(255, 255),
        "dog/001/00004.png": picture(0, 0),
    }  # fmt: skip
    truth = write(tmp_path / "true", files)
    pair = pair_of(truth, truth)
    first, second = pair.truths()
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert sorted(first) == [1, 2]
    np.testing.assert_array_equal(first[1], picture(0, 1) > 0)
    assert first[2].all()
    assert list(second) == [2]
    assert not second[2].any()
    # Object folders beside true label maps are named as the labels are.
    maps = write(tmp_path / "maps", {"dog/00000.png": picture(0, 1)})
    mine = write(tmp_path / "mine", {"dog/001/00000.png": picture(0, 1)})
    [predicted] = pair_of(maps, mine).predictions()
    assert isinstance(predicted, dict)
    assert list(predicted) == [1]


def test_black_and_white_truth_is_one_object(tmp_path: Path) -> None:
    truth = write(tmp_path / "true", {"dog/0.png": picture(0, 255), "dog/1.png": picture(0, 0)})
    white = write(tmp_path / "white", {"dog/0.png": picture(255, 0), "dog/1.png": picture(0, 255)})
    pair = pair_of(truth, white)
    assert [np.unique(frame).tolist() for frame in pair.truths()] == [[0, 1], [0]]
    assert [np.unique(frame).tolist() for frame in pair.predictions()] == [[0, 1], [0, 1]]


def test_a_white_prediction_means_the_only_object_and_no_other(tmp_path: Path) -> None:
    white = write(tmp_path / "white", {"dog/0.png": picture(255, 0)})
    one = write(tmp_path / "one", {"dog/0.png": picture(0, 7)})
    two = write(tmp_path / "two", {"dog/0.png": picture(1, 7)})
    assert np.unique(next(pair_of(one, white).predictions())).tolist() == [0, 7]
    assert np.unique(next(pair_of(two, white).predictions())).tolist() == [0, 255]


def test_void_stays_void_beside_objects(tmp_path: Path) -> None:
    truth = write(tmp_path, {"dog/0.png": picture(1, 2, 255)})
    assert np.unique(next(pair_of(truth, truth).truths())).tolist() == [1, 2, 255]
    assert np.unique(next(pair_of(truth, truth, single_object=True).truths())).tolist() == [1, 255]


def test_single_object_merges_both_sides(tmp_path: Path) -> None:
    truth = write(tmp_path / "true", {"dog/000/0.png": picture(1, 0, 0), "dog/001/0.png": picture(0, 1, 0)})
    prediction = write(tmp_path / "mine", {"dog/0.png": picture(0, 3, 255)})
    pair = pair_of(truth, prediction, single_object=True)
    np.testing.assert_array_equal(next(pair.truths()), picture(1, 1, 0))
    np.testing.assert_array_equal(next(pair.predictions()), picture(0, 1, 1))


def test_frames_that_do_not_count_are_not_read(tmp_path: Path) -> None:
    truth = write(tmp_path / "true", {f"dog/{n}.png": picture(1) for n in range(3)})
    prediction = write(tmp_path / "mine", {f"dog/{n}.png": picture(1) for n in range(3)})
    (prediction / "dog" / "0.png").write_bytes(b"torn")
    (prediction / "dog" / "2.png").unlink()
    frames = list(pair_of(truth, prediction).predictions(drops_first=True))
    assert [frame is None for frame in frames] == [True, False, True]
    with pytest.raises(DatasetError, match=r"cannot read .*0\.png"):
        list(pair_of(truth, prediction).predictions())


def test_a_half_written_mask_is_an_error_that_names_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8)
    path = write(tmp_path, {"dog/0.png": noise}) / "dog" / "0.png"
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(DatasetError, match=r"cannot read .*0\.png"):
        next(pair_of(tmp_path, tmp_path).truths())


def test_folders_that_hold_no_masks_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        MaskFolder.open(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"holds no folder of a sequence; expected <sequence>/00000\.png"):
        MaskFolder.open(tmp_path)
    write(tmp_path, {"dog/left/0.png": picture(1)})
    (tmp_path / "cat").mkdir()
    folder = MaskFolder.open(tmp_path)
    with pytest.raises(DatasetError, match="folders that are no object's: left"):
        folder["dog"]
    with pytest.raises(DatasetError, match="holds no mask"):
        folder["cat"]
    write(tmp_path, {"480p/dog/0.png": picture(1), "1080p/dog/0.png": picture(1)})
    with pytest.raises(DatasetError, match="several resolutions: 1080p, 480p"):
        MaskFolder.open(tmp_path)


class TestMetadata:
    def write(self, root: Path, objects: object, name: str = "meta.json") -> None:
        (root / name).write_text(json.dumps({"videos": {"dog": {"objects": objects}}}), encoding="utf-8")

    def test_lvos_gives_ranges_and_unseen_videos(self, tmp_path: Path) -> None:
        self.write(tmp_path, {"1": {"frame_range": {"start": "1", "end": "26", "frame_nums": "5"}}}, "valid_meta.json")
        (tmp_path / "unseen_videos.txt").write_text("dog\n\n", encoding="utf-8")
        metadata = read_metadata(tmp_path, LVOS)
        assert metadata.objects == {"dog": {1: range(1, 26, 5)}}
        assert metadata.is_unseen("dog", 1)
        assert not metadata.is_unseen("cat", 1)

    def test_youtube_vos_gives_categories(self, tmp_path: Path) -> None:
        self.write(tmp_path, {"1": {"category": "ape", "frames": ["00000"]}, "2": {"category": "dog", "frames": []}})
        (tmp_path / "list.txt").write_text("ape\n", encoding="utf-8")
        metadata = read_metadata(tmp_path, YTVOS, tmp_path / "list.txt")
        assert metadata.objects == {"dog": {1: None, 2: None}}
        assert [metadata.is_unseen("dog", number) for number in (1, 2)] == [True, False]

    def test_mose_lists_numbers_alone(self, tmp_path: Path) -> None:
        self.write(tmp_path, ["1", "2"])
        assert read_metadata(tmp_path, MOSE).objects == {"dog": {1: None, 2: None}}

    def test_others_go_by_masks(self, tmp_path: Path) -> None:
        (tmp_path / "meta.json").write_text("{", encoding="utf-8")
        assert read_metadata(tmp_path, DAVIS) == Metadata({}, {})

    @pytest.mark.parametrize("text", ["{", "[]", '{"videos": {"dog": {}}}', '{"videos": {"dog": {"objects": ["a"]}}}'])
    def test_files_laid_out_otherwise_are_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "meta.json").write_text(text, encoding="utf-8")
        with pytest.raises(DatasetError, match=r"meta\.json does not list objects of videos"):
            read_metadata(tmp_path, LVOS)

    def test_a_list_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"cannot read .*none\.txt"):
            read_metadata(tmp_path, LVOS, tmp_path / "none.txt")
