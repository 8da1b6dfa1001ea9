"""Files of weights: what is written comes back, every format is told by content, every misfit is one clear line."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny import TINY, tiny_model
from torch import Tensor

from maskscope.errors import CheckpointError, MaskscopeError, OutputError, ShapeError
from maskscope.model import PRESETS, SAM2, catalogue
from maskscope.model.checkpoints import (
    export_checkpoint,
    list_models,
    load_model,
    locate,
    read_checkpoint,
    save_checkpoint,
)
from maskscope.model.fit import check_fit, expected_shapes, nearest_preset
from maskscope.model.keymap import from_ours

State = dict[str, Tensor]


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def one_line(error: MaskscopeError) -> str:
    """Errors for users fit on one line and say what to do."""
    assert "\n" not in str(error)
    assert error.remedy
    return str(error)


# -- our own files --------------------------------------------------------------------------------------------------


def test_saved_model_comes_back_with_its_configuration(tmp_path: Path) -> None:
    model = tiny_model()
    path = save_checkpoint(model, tmp_path / "new" / "tiny.safetensors", {"trained on": "noise"})
    found = read_checkpoint(path)
    assert found.config == TINY
    assert found.preset is None
    assert found.naming == "maskscope"
    assert found.metadata == {"trained on": "noise"}
    assert same(found.state, model.state_dict())
    assert [file.name for file in path.parent.iterdir()] == ["tiny.safetensors"]


def test_loaded_model_computes_what_the_saved_one_does(tmp_path: Path) -> None:
    model = tiny_model()
    loaded = load_model(save_checkpoint(model, tmp_path / "w"), device="cpu")
    images = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        assert torch.equal(loaded.encode_image(images).embedding_bchw, model.encode_image(images).embedding_bchw)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.memory_encoder.fuser.layers[0].gamma.fill_(1e-6)
    full = save_checkpoint(model, tmp_path / "full.safetensors")
    half = save_checkpoint(model, tmp_path / "half.safetensors", dtype=dtype)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    state = read_checkpoint(half).state
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    weight = "mask_decoder.conv_s0.weight"
    assert torch.equal(state[weight], model.state_dict()[weight].to(dtype).float())
    for kept in ("memory_encoder.fuser.layers.0.gamma", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"):
        assert torch.equal(state[kept], model.state_dict()[kept])


def test_float64_stays(tmp_path: Path) -> None:
    path = save_checkpoint(tiny_model().double(), tmp_path / "w.safetensors")
    assert read_checkpoint(path).state["mask_decoder.conv_s0.weight"].dtype == torch.float64
    assert load_model(path, device="cpu").fine_dtype == torch.float32
    assert load_model(path, device="cpu", dtype=torch.float64).heavy_dtype == torch.float64


def test_precision_and_input_size_of_a_loaded_model(tmp_path: Path) -> None:
    path = save_checkpoint(tiny_model(), tmp_path / "w.safetensors")
    model = load_model(path, device="cpu", dtype=torch.bfloat16, image_size=(64, 96))
    assert (model.heavy_dtype, model.fine_dtype) == (torch.bfloat16, torch.float32)
    assert model.config == dataclasses.replace(TINY, image_size=(64, 96))


def test_weights_do_not_depend_on_their_file(tmp_path: Path) -> None:
    path = save_checkpoint(tiny_model(), tmp_path / "w.safetensors")
    state = read_checkpoint(path).state
    path.write_bytes(b"\0" * path.stat().st_size)
    assert same(state, tiny_model().state_dict())


def test_a_file_of_a_later_format_is_not_guessed_at(tmp_path: Path) -> None:
    config = json.dumps(TINY.to_dict())
    save_file(tiny_model().state_dict(), tmp_path / "w", {"maskscope.format": "2", "maskscope.config": config})
    with pytest.raises(CheckpointError, match="format '2', expected 1; update"):
        read_checkpoint(tmp_path / "w")


def test_an_unreadable_configuration(tmp_path: Path) -> None:
    save_file(tiny_model().state_dict(), tmp_path / "w", {"maskscope.format": "1", "maskscope.config": "[1"})
    with pytest.raises(CheckpointError, match="unreadable configuration"):
        read_checkpoint(tmp_path / "w")


# -- writing ----------------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_checkpoint(tiny_model(seed=1), tmp_path / "w.safetensors")
    before = path.read_bytes()

    def full(_state: State, partial: Path, _metadata: dict[str, str]) -> None:
        partial.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maskscope.model.checkpoints.save_file", full)
    with pytest.raises(OutputError, match="cannot be written \\(No space left on device\\)") as caught:
        save_checkpoint(tiny_model(seed=2), path)
    one_line(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_writing_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tiny_model(), tmp_path / "file" / "w.safetensors")


def test_files_are_as_readable_as_others(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = save_checkpoint(tiny_model(), tmp_path / "w.safetensors")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


# -- other people's formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("naming", ["official", "transformers"])
@pytest.mark.parametrize("file", ["w.pt", "w.safetensors", "w.bin"])
def test_exports_come_back(tmp_path: Path, file: str, naming: str) -> None:
    model = tiny_model()
    found = read_checkpoint(export_checkpoint(model, tmp_path / file, naming), config=TINY)
    assert found.naming == naming
    assert same(found.state, model.state_dict())


def test_official_export_is_laid_out_as_the_released_files(tmp_path: Path) -> None:
    path = export_checkpoint(tiny_model(), tmp_path / "w.pt")
    loaded = torch.load(path, weights_only=True)
    assert list(loaded) == ["model"]
    assert loaded["model"]["maskmem_tpos_enc"].shape == (7, 1, 1, 16)


def test_transformers_export_says_what_transformers_asks_for(tmp_path: Path) -> None:
    path = export_checkpoint(tiny_model(), tmp_path / "w.safetensors", "transformers")
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_compact_trunk_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="efficientnet_lite, and only hiera trunks have official names"):
        export_checkpoint(SAM2(PRESETS["compact"]), tmp_path / "w.pt")


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("zipped", [True, False])
def test_format_is_told_by_content_and_not_by_name(tmp_path: Path, wrapper: str | None, zipped: bool) -> None:
    state = from_ours(tiny_model().state_dict(), "official")
    path = tmp_path / "sam2.1_hiera_large.safetensors"
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, path, _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(path, config=TINY).state, tiny_model().state_dict())


# -- size and family ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("naming", ["maskscope", "official", "transformers"])
@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "compact"])
def test_size_and_family_are_read_off_the_tensors(preset: str, naming: str) -> None:
    shapes = expected_shapes(PRESETS[preset], naming)
    assert nearest_preset(shapes, naming) == preset
    check_fit(shapes, PRESETS[preset], naming, "it")


def test_the_compact_model_is_recognised() -> None:
    assert nearest_preset(expected_shapes(PRESETS["compact"], "maskscope"), "maskscope") == "compact"


def test_misfits_are_named_and_counted(tmp_path: Path) -> None:
    state = from_ours(tiny_model().state_dict(), "official")
    lost = [name for name in state if name.startswith("memory_attention.layers.0.")]
    for name in lost:
        del state[name]
    state["head.weight"] = torch.zeros(2)
    state["maskmem_tpos_enc"] = state["maskmem_tpos_enc"][:6].clone()
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "w.pt", config=TINY)
    message = one_line(caught.value)
    assert f"{len(lost)} missing ({', '.join(lost[:3])} and {len(lost) - 3} more)" in message
    assert "1 unexpected (head.weight)" in message
    assert "maskmem_tpos_enc is (6, 1, 1, 16) instead of (7, 1, 1, 16)" in message
    assert len(message) < 900


def test_half_a_sam21_is_no_sam2(tmp_path: Path) -> None:
    """A tensor of SAM 2.1 makes the family; the other one is then missing."""
    shapes = dict(expected_shapes(PRESETS["sam2.1-hiera-small"], "official"))
    del shapes["no_obj_embed_spatial"]
    preset = nearest_preset(shapes, "official")
    assert preset == "sam2.1-hiera-small"
    with pytest.raises(CheckpointError, match=r"sam2\.1-hiera-small: .* 1 missing \(no_obj_embed_spatial\)"):
        check_fit(shapes, PRESETS[preset], "official", "it")


def test_a_model_of_ones_own_needs_its_configuration(tmp_path: Path) -> None:
    path = export_checkpoint(tiny_model(), tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"nearest known model is sam2\.1-hiera-tiny"):
        read_checkpoint(path)
    assert load_model(path, config=TINY, device="cpu").config == TINY


# -- files that are something else ----------------------------------------------------------------------------------


class Evil:
    """Runs a command when a careless reader unpickles it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, witness = tmp_path / "w.pt", tmp_path / "ran"
    state = from_ours(tiny_model().state_dict(), "official")
    torch.save({"model": state, "extra": Evil(witness)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"only weights are read.*\(posix\.system\)") as caught:
        read_checkpoint(path)
    one_line(caught.value)
    assert not witness.exists()


def write_truncated_zip(path: Path) -> None:
    torch.save(from_ours(tiny_model().state_dict(), "official"), path)
    path.write_bytes(path.read_bytes()[:-5000])


def write_truncated_pickle(path: Path) -> None:
    torch.save(from_ours(tiny_model().state_dict(), "official"), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-5000])


def write_truncated_safetensors(path: Path) -> None:
    save_checkpoint(tiny_model(), path)
    path.write_bytes(path.read_bytes()[:-5000])


def write_truncated_header(path: Path) -> None:
    save_checkpoint(tiny_model(), path)
    path.write_bytes(path.read_bytes()[:500])


def write_first_sam(path: Path) -> None:
    names = ("image_encoder.pos_embed", "image_encoder.blocks.0.norm1.weight", "mask_decoder.iou_token.weight")
    torch.save({name: torch.zeros(2) for name in names}, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: p.write_bytes(b""), "holds no weights: it is empty"),
        (lambda p: p.write_text("<!DOCTYPE html><html>log in</html>"), "text that begins with '<!DOCTYPE html>"),
        (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0"), "run `git lfs pull`"),
        (lambda p: p.write_bytes(bytes(range(200, 256)) * 9), "no known format \\(first bytes c8 c9"),
        (write_truncated_zip, "is cut off after \\d+ bytes; fetch"),
        (write_truncated_pickle, "is cut off, damaged.*unexpected EOF"),
        (write_truncated_safetensors, "is cut off or damaged after \\d+ bytes"),
        (write_truncated_header, "is cut off or damaged after 500 bytes"),
        (write_first_sam, "another Segment Anything model"),
        (lambda p: torch.save({"conv1.weight": torch.zeros(1)}, p), "1 tensors \\(conv1.weight"),
        (lambda p: torch.save({}, p), "holds empty"),
        (lambda p: torch.save([torch.zeros(1)], p), "a list of something else, expected tensors by name"),
        (lambda p: torch.save({"epoch": 3}, p), "a dict of something else"),
        (lambda p: p.write_bytes(pickle.dumps({"a": 1}, protocol=4)), "cut off, damaged, or no PyTorch|something else"),
    ],
)
def test_what_is_no_weights_is_said_in_one_line(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "w.pt"
    write(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert len(one_line(caught.value)) < 400
    assert str(path) in caught.value.problem


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    state = from_ours(tiny_model().state_dict(), "official")
    state["no_mem_embed"] = state["no_mem_embed"].to(torch.int8)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"is torch\.int8, expected floating point"):
        read_checkpoint(tmp_path / "w.pt", config=TINY)


# -- names and paths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sam2.1-hiera-tinny", r"no model or file called 'sam2.1-hiera-tinny'; did you mean sam2.1-hiera-tiny, "),
        ("base", "no model or file called 'base'; did you mean sam2-hiera-base-plus, sam2.1-hiera-base-plus"),
        ("huge", "no model or file called 'huge'; did you mean sam2-hiera-tiny, .*, compact"),
        ("facebook/sam2.1-hiera-b", "no model or file called .*; did you mean sam2.1-hiera-base-plus"),
        ("weights/mine.pt", "there is no file weights/mine.pt; check the path"),
        (
            "weights/sam2.1_hiera_tiny.pt",
            r"no file .* or give the name sam2\.1-hiera-tiny to download",
        ),
    ],
)
def test_what_is_not_there(given: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(given)
    one_line(caught.value)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no weights and no model\.safetensors"):
        locate(tmp_path)
    (tmp_path / "a.pt").touch()
    assert locate(tmp_path) == tmp_path / "a.pt"
    (tmp_path / "b.bin").touch()
    with pytest.raises(CheckpointError, match=r"holds 2 files of weights \(a.pt, b.bin\)"):
        locate(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert locate(str(tmp_path)) == tmp_path / "model.safetensors"


def test_files_come_before_other_spellings_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    (tmp_path / "compact").mkdir()
    assert locate("sam2.1_hiera_tiny.pt") == Path("sam2.1_hiera_tiny.pt")
    monkeypatch.setattr(catalogue, "bundled_file", lambda: tmp_path / "sam2.1_hiera_tiny.pt")
    assert locate("compact") == tmp_path / "sam2.1_hiera_tiny.pt"


def test_missing_bundled_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "bundled_file", lambda: tmp_path / "compact.safetensors")
    with pytest.raises(CheckpointError, match="compact model's weights are not in this installation") as caught:
        load_model()
    one_line(caught.value)


@pytest.mark.parametrize("size", [(100, 96), (0, 32), (-32, 32)])
def test_input_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="multiples of 32"):
        load_model(image_size=size)


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_devices(device: str) -> None:
    with pytest.raises(MaskscopeError, match=f"device '{device}' is not available") as caught:
        load_model(device=device)
    one_line(caught.value)


def test_list_of_models(tmp_path: Path) -> None:
    lines = {line.name: line for line in list_models(cache_dir=tmp_path)}
    assert next(iter(lines)) == "compact"
    assert lines.keys() == PRESETS.keys()
    tiny = lines["sam2.1-hiera-tiny"]
    assert (tiny.repo, tiny.file) == ("facebook/sam2.1-hiera-tiny", "sam2.1_hiera_tiny.pt")
    assert round(tiny.parameters / 1e6, 1) == 39.0  # the paper's table says 38.9 without the object pointer's parts
    assert round(lines["sam2.1-hiera-large"].parameters / 1e6, 1) == 224.4
    assert not any(line.cached for line in lines.values())
    assert lines["compact"].repo is None
    assert not tiny.bundled
