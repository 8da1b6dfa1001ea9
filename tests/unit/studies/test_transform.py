"""Transformed data sets: what is in them, how runs go on, and what is never destroyed."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davis_folder import FRAMES, SIZE, files_below, write_davis, write_labels
from numpy.typing import NDArray
from PIL import Image
from tiny_families import use_tiny_families
from video_clips import HEIGHT, WIDTH, make_clip, picture

from maskscope.data.davis import DavisDataset
from maskscope.errors import DatasetError, MaskscopeError, OutputError, SettingError
from maskscope.palette import davis_palette
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.transform import Progress, TransformOptions, TransformSummary, transform_dataset
from maskscope.studies.transform_folder import overlaps, plain
from maskscope.transforms.chain import parse_chain

CHAIN = "tint:1+cut:2"


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_families(monkeypatch)


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_davis(tmp_path_factory.mktemp("davis"))


def run(source: Path | str, out: Path, chain: str = CHAIN, **options: Any) -> TransformSummary:
    keywords = {name: options.pop(name) for name in ("overwrite", "progress", "stop") if name in options}
    return transform_dataset(source, out, TransformOptions(parse_chain(chain), **options), **keywords)


def truth(index: int) -> NDArray[np.uint8]:
    """A block that goes to the right, 0 and 255."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[10:30, 8 + 2 * index : 28 + 2 * index] = 255
    return labels


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        Image.fromarray(picture(index)).save(folder / f"{index:03d}.png")
    return folder


def manifest(out: Path, name: str = "") -> dict[str, Any]:
    path = out / "manifests" / f"{name}.json" if name else out / "manifest.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def asked(times: int) -> Callable[[], bool]:
    """True at the call of that number, and after."""
    calls = iter(range(1, 10_000))
    return lambda: next(calls) >= times


class TestFiles:
    def test_layout_and_pixels(self, davis: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        summary = run(davis, out, lossless=True)
        assert (summary.finished, summary.sequences, summary.complete) == (True, 2, 2)
        assert summary.num_frames == 2 * (FRAMES + 2)
        found, source = DavisDataset(out), DavisDataset(davis)
        assert (found.sequences, found.resolution) == (["cow", "dog"], "480p")
        for name in found.sequences:
            assert found[name].num_frames == FRAMES + 2
            assert (found[name].frame(1) == 128).all(), "a foreign frame"
            assert (found[name].masks(2) == 0).all()
            np.testing.assert_array_equal(found[name].frame(4), source[name].frame(2) + np.uint8(10))
            np.testing.assert_array_equal(found[name].masks(4), source[name].masks(2))
        # The source's void, and what the last frame's transformation says is void.
        np.testing.assert_array_equal(found["cow"].masks(3), source["cow"].masks(1))
        assert (found["cow"].masks(3)[0, :2] == 255).all()
        last = found["dog"].masks(FRAMES + 1)
        assert (last[:4, :4] == 255).all()
        assert (last == 255).sum() == 16
        with Image.open(out / "Amodal" / "480p" / "dog" / f"{FRAMES + 1:05d}.png") as picture:
            assert picture.mode == "P"
            assert picture.getpalette() == davis_palette().ravel().tolist()
            np.testing.assert_array_equal(np.array(picture), last)
        assert (out / "ImageSets" / "2017" / "val.txt").read_text() == "cow\ndog\n"
        assert not [name for name in files_below(out) if "/." in name or name.startswith(".")]

    def test_jpeg_is_the_default_and_close(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path / "out", "tint:2", sequences=("dog",))
        path = tmp_path / "out" / "JPEGImages" / "480p" / "dog" / "00002.jpg"
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert image.layer[0][1:3] == (1, 1), "no chroma subsampling"  # type: ignore[attr-defined]
            differences = np.asarray(image).astype(int) - (DavisDataset(davis)["dog"].frame(2).astype(int) + 20)
        assert 0 < np.abs(differences).mean() < 3
        assert manifest(tmp_path / "out")["frames_as"] == "JPEG, quality 95, 4:4:4"

    @pytest.mark.parametrize("lossless", [False, True])
    def test_severity_0_copies_every_byte(self, davis: Path, tmp_path: Path, lossless: bool) -> None:
        run(davis, tmp_path / "out", "tint:0", lossless=lossless)
        before, after = files_below(davis), files_below(tmp_path / "out")
        images = {name: data for name, data in before.items() if name.startswith("JPEGImages")}
        assert images == {name: data for name, data in after.items() if name.startswith("JPEGImages")}
        for name in ("cow", "dog"):
            for t in range(FRAMES):
                np.testing.assert_array_equal(
                    DavisDataset(tmp_path / "out")[name].masks(t), DavisDataset(davis)[name].masks(t)
                )

    def test_the_same_request_gives_the_same_bytes(self, davis: Path, tmp_path: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        run(davis, one)
        run(davis, two)
        assert files_below(one) == files_below(two)

    def test_sequences(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path / "out", sequences=("dog",))
        assert DavisDataset(tmp_path / "out").sequences == ["dog"]
        with pytest.raises(DatasetError, match=r"has no sequence 'dgo'.*dog"):
            run(davis, tmp_path / "other", sequences=("dgo",))
        assert not (tmp_path / "other").exists()

    def test_masks_on_some_frames_only(self, tmp_path: Path) -> None:
        """The layout of YouTube-VOS: videos directly in JPEGImages, masks on every other frame from the first on."""
        source = tmp_path / "source"
        davis = write_davis(tmp_path / "davis", ("dog",))
        for part in ("JPEGImages", "Annotations"):
            shutil.copytree(davis / part / "480p", source / part)
        for index in (1, 3):
            (source / "Annotations" / "dog" / f"{index:05d}.png").unlink()
        listed = {"objects": {label: {"frames": ["00000", "00002", "00004"]} for label in "12"}}
        (source / "meta.json").write_text(json.dumps({"videos": {"dog": listed}}))
        run(source, tmp_path / "out", "tint:0")
        (found,) = DavisDataset(tmp_path / "out")
        assert (found.num_frames, found.frame_paths[1].parent.parent.name) == (3, "480p")
        for place, number in enumerate((0, 2, 4)):
            assert found.frame_paths[place].read_bytes() == (source / f"JPEGImages/dog/{number:05d}.jpg").read_bytes()
            np.testing.assert_array_equal(found.masks(place), DavisDataset(davis)["dog"].masks(number))
        assert manifest(tmp_path / "out", "dog")["source_numbers"] == [0, 2, 4]


class TestManifest:
    def test_of_the_data_set(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path)
        said = manifest(tmp_path)
        assert (said["format"], said["status"]) == ("maskscope.transformed/1", "finished")
        assert said["request"]["source"] == str(davis)
        assert [one["recipe"] for one in said["request"]["recipes"]] == ["tint:1", "cut:2"]
        assert len(said["digest"]) == 64
        assert {"maskscope", "numpy", "python"} <= said["versions"].keys()
        assert said["sequences"]["cow"] == {"frames": FRAMES + 2, "size_hw": list(SIZE), "objects": [1, 2]}

    def test_of_a_sequence(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path)
        said = manifest(tmp_path, "dog")
        assert said["recipes"][0]["parameters"] == {"levels": 10, "pair": [1, 0.5]} | {
            "drawn": said["recipes"][0]["parameters"]["drawn"]
        }
        assert (said["recipes"][1]["severity"], said["recipes"][1]["seed"]) == (2, 0)
        frames = said["frames"]
        assert [frame["source_time"] for frame in frames] == [0.0, None, None, 1.0, 2.0, 3.0, 4.0]
        assert [frame["strengths"] for frame in frames[:2]] == [[10.0, 0.0], [None, None]], "NaN is null"
        assert frames[-1]["strengths"] == [10.0, 2.0]
        assert frames[0]["to_source"] is None
        assert frames[-1]["to_source"] == [[2, 0, 0], [0, 2, 0], [0, 0, 1]]
        assert frames[-1]["void_px"] == 16
        labels = DavisDataset(davis)["dog"].masks(0)
        assert frames[0]["visible_px"] == {"1": int((labels == 1).sum()), "2": int((labels == 2).sum())}
        assert frames[0]["amodal_px"] == frames[0]["visible_px"]
        for frame in frames:
            assert len(frame["sha256"]) == 3
            for path, digest in frame["sha256"].items():
                assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == digest

    def test_what_families_say_becomes_plain(self) -> None:
        came = {"a": np.float32(0.5), "b": np.arange(2), "c": (1, float("inf")), 3: np.bool_(True), "d": None}
        assert plain(came) == {"a": 0.5, "b": [0, 1], "c": [1, None], "3": True, "d": None}


class TestGoingOn:
    def test_stopped_in_a_sequence(self, davis: Path, tmp_path: Path) -> None:
        whole, out = tmp_path / "whole", tmp_path / "out"
        run(davis, whole)
        summary = run(davis, out, stop=asked(FRAMES + 2 + 3))  # after each frame but the last, and each sequence
        assert (summary.finished, summary.complete, summary.sequences) == (False, 1, 2)
        assert manifest(out)["status"] == "stopped"
        assert DavisDataset(out).sequences == ["cow"]
        assert "dog" not in " ".join(files_below(out)), "nothing half is left"
        drawn: list[Progress] = []
        assert run(davis, out, progress=drawn.append).num_frames == FRAMES + 2
        assert {each.stage for each in drawn} == {"dog (2 of 2)"}
        assert files_below(out) == files_below(whole)

    def test_stopped_between_sequences(self, davis: Path, tmp_path: Path) -> None:
        assert run(davis, tmp_path, stop=asked(FRAMES + 2)).complete == 1
        assert DavisDataset(tmp_path).sequences == ["cow"]

    @pytest.mark.parametrize("how", ["killed", "failed"])
    def test_ended_in_the_second_sequence(self, davis: Path, tmp_path: Path, how: str) -> None:
        whole, out = tmp_path / "whole", tmp_path / "out"
        run(davis, whole)
        error = KeyboardInterrupt() if how == "killed" else RuntimeError("out of memory")

        def fail(now: Progress) -> None:
            if now.stage.startswith("dog") and now.done == 2:
                raise error

        with pytest.raises(type(error)):
            run(davis, out, progress=fail)
        assert manifest(out)["status"] == {"killed": "running", "failed": "failed"}[how]
        assert run(davis, out).finished
        assert files_below(out) == files_below(whole)

    def test_what_a_kill_leaves_is_cleared_away(self, davis: Path, tmp_path: Path) -> None:
        """Killed between the frames of one sequence, and between the folders and the manifest of another."""
        whole, out = tmp_path / "whole", tmp_path / "out"
        run(davis, whole)
        shutil.copytree(whole, out)
        (out / "manifests" / "cow.json").unlink()
        (out / "Amodal" / "480p" / "dog" / "00001.png").unlink()
        (out / "JPEGImages" / "480p" / ".dog.part").mkdir()
        (out / "JPEGImages" / "480p" / ".dog.part" / "00000.jpg").touch()
        assert run(davis, out).num_frames == 2 * (FRAMES + 2)
        assert files_below(out) == files_below(whole)

    def test_done_is_done(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
        assert run(davis, tmp_path).num_frames == 0
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")} == before

    def test_sequences_can_be_added(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path, sequences=("dog",))
        run(davis, tmp_path, sequences=("cow",))
        assert DavisDataset(tmp_path).sequences == ["cow", "dog"]
        assert set(manifest(tmp_path)["sequences"]) == {"cow", "dog"}

    def test_another_request_is_refused_unless_overwritten(self, davis: Path, tmp_path: Path) -> None:
        run(davis, tmp_path)
        (tmp_path / "JPEGImages" / "480p" / "notes.txt").write_text("mine")
        before = files_below(tmp_path)
        with pytest.raises(OutputError, match=r"transformed otherwise \(other recipes\).*--overwrite"):
            run(davis, tmp_path, "tint:2")
        with pytest.raises(OutputError, match=r"\(other lossless\)"):
            run(davis, tmp_path, lossless=True)
        assert files_below(tmp_path) == before
        run(davis, tmp_path, "tint:2", overwrite=True, sequences=("dog",))
        assert DavisDataset(tmp_path).sequences == ["dog"]
        assert DavisDataset(tmp_path)["dog"].num_frames == FRAMES
        assert (tmp_path / "JPEGImages" / "480p" / "notes.txt").read_text() == "mine"

    def test_two_at_once_are_refused(self, davis: Path, tmp_path: Path) -> None:
        with folder_lock(tmp_path), pytest.raises(OutputError, match="is being written by another run"):
            run(davis, tmp_path)


class TestRefused:
    def test_somebody_elses_data_even_with_overwrite(self, davis: Path, tmp_path: Path) -> None:
        other = write_davis(tmp_path / "other", ("dog",), frames=2)
        before = files_below(other)
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=r"holds Annotations, JPEGImages that no run .* has written"):
                run(davis, other, overwrite=overwrite)
        assert files_below(other) == before

    def test_the_source_itself(self, davis: Path, tmp_path: Path) -> None:
        source = write_davis(tmp_path / "source", ("dog",), frames=2)
        before = files_below(source)
        for out in (source, source / "JPEGImages", source / "Annotations" / "480p", source / "x" / ".."):
            with pytest.raises(OutputError, match="written into the input"):
                run(source, out, overwrite=True)
        assert files_below(source) == before
        assert run(source, source / "transformed").finished
        assert run(source, source / "transformed").num_frames == 0

    def test_a_clip_inside_the_output(self, tmp_path: Path) -> None:
        assert overlaps(tmp_path, tmp_path / "JPEGImages" / "480p" / "dog")
        assert overlaps(tmp_path / "JPEGImages", tmp_path / "JPEGImages")
        assert not overlaps(tmp_path / "out", tmp_path / "dog")

    def test_no_recipe_or_none_that_is_known(self, davis: Path, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="no transformation is named"):
            transform_dataset(davis, tmp_path / "out", TransformOptions(()))
        with pytest.raises(SettingError, match="did you mean tint"):
            run(davis, tmp_path / "out", "tnit:2")
        assert not (tmp_path / "out").exists()

    def test_full_disk(self, davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole, out = tmp_path / "whole", tmp_path / "out"
        run(davis, whole)
        save, calls = Image.Image.save, iter(range(1000))

        def limited(self: Image.Image, *arguments: Any, **named: Any) -> None:
            if next(calls) > 3 * (FRAMES + 2) + 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            save(self, *arguments, **named)

        monkeypatch.setattr(Image.Image, "save", limited)
        with pytest.raises(OutputError, match=r"disk full while writing .*dog"):
            run(davis, out)
        monkeypatch.undo()
        use_tiny_families(monkeypatch)
        assert DavisDataset(out).sequences == ["cow"], "what was written before is readable"
        assert manifest(out)["status"] == "failed"
        assert run(davis, out).finished
        assert files_below(out) == files_below(whole)

    def test_a_sequence_that_cannot_be_transformed(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("maskscope"), "propagate", True)
        source = write_davis(tmp_path / "source")
        write_labels(source / "Annotations" / "480p" / "cow" / "00000.png", np.zeros(SIZE, np.uint8))
        out = tmp_path / "out"
        with pytest.raises(
            DatasetError, match=r"1 of 2 sequences cannot .* tint:1: cow: cow shows no object"
        ) as caught:
            run(source, out, "tint:1")
        assert f"the others are in {out}" in str(caught.value)
        assert "cow is left out" in caplog.text
        assert DavisDataset(out).sequences == ["dog"]
        assert manifest(out)["status"] == "incomplete"
        assert list(manifest(out)["refused"]) == ["cow"]
        with pytest.raises(DatasetError, match=r"^cow shows no object on its first frame; take another clip$"):
            run(source, tmp_path / "alone", "tint:1", sequences=("cow",))
        assert not (tmp_path / "alone").exists()


class TestClips:
    def masks(self, folder: Path, count: int) -> Path:
        folder.mkdir()
        for index in range(count):
            Image.fromarray(truth(index)).save(folder / f"{index:05d}.png")
        return folder

    @pytest.mark.parametrize("kind", ["video", "images"])
    def test_frames_and_masks(self, tmp_path: Path, kind: str) -> None:
        source = (
            make_clip(tmp_path / "my disk.mp4", frames=4) if kind == "video" else write_images(tmp_path / "my disk", 4)
        )
        run(source, tmp_path / "out", "tint:0", masks=self.masks(tmp_path / "masks", 4))
        (sequence,) = DavisDataset(tmp_path / "out")
        assert (sequence.name, sequence.num_frames, sequence.size) == ("my-disk", 4, (HEIGHT, WIDTH))
        assert sequence.frame_paths[0].suffix == (".jpg" if kind == "video" else ".png"), (
            "images are copied as they are"
        )
        for index in range(4):
            np.testing.assert_array_equal(sequence.masks(index), truth(index) // 255)

    @pytest.mark.parametrize(
        ("masks", "says"),
        [
            (None, "is a clip without masks, expected a mask for every frame; give --masks DIR"),
            ("first.png", "first.png is no folder, expected a mask for every frame"),
            (3, "has 4 frames, .* has 3 masks"),
            ("small", "is 64x48, the masks in .* are 32x24"),
        ],
    )
    def test_masks_that_do_not_fit(self, tmp_path: Path, masks: str | int | None, says: str) -> None:
        source, folder = write_images(tmp_path / "clip", 4), tmp_path / "masks"
        if masks == "first.png":
            folder = tmp_path / "first.png"
            Image.fromarray(truth(0)).save(folder)
        elif masks == "small":
            folder.mkdir()
            for index in range(4):
                Image.fromarray(truth(0)).resize((WIDTH // 2, HEIGHT // 2)).save(folder / f"{index}.png")
        elif masks:
            self.masks(folder, int(masks))
        with pytest.raises(MaskscopeError, match=says):
            run(source, tmp_path / "out", masks=None if masks is None else folder)
        assert not (tmp_path / "out").exists()

    def test_options_of_the_other_kind(self, davis: Path, tmp_path: Path) -> None:
        source, masks = write_images(tmp_path / "clip", 2), self.masks(tmp_path / "masks", 2)
        with pytest.raises(SettingError, match="is no data set, so it has no sequences"):
            run(source, tmp_path / "out", masks=masks, sequences=("dog",))
        with pytest.raises(SettingError, match="has its own masks; leave --masks out"):
            run(davis, tmp_path / "out", masks=masks)
        with pytest.raises(DatasetError, match="no such folder"):
            run(tmp_path / "nothing", tmp_path / "out")
