"""Where state lives: in the session, in its file, never on the model and never in the observers' way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from maskscope.errors import CheckpointError
from maskscope.model import SAM2
from maskscope.model.layers.position import rotary_angles, sine_grid
from maskscope.stages import STAGES
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.saving import load_tracker, save_tracker
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from random_models import moving_square, random_model, small_config, square_mask

FRAMES = moving_square(22)
PROMPTS = [Prompt(1, points_xy_px=[(45, 45)]), Prompt(-4, mask=square_mask(0))]


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model()


def steps(tracker: Tracker, start: int, stop: int) -> list[FrameResult]:
    return [tracker.step(FRAMES[t], PROMPTS if t == 0 else ()) for t in range(start, stop)]


def assert_identical(a: list[FrameResult], b: list[FrameResult]) -> None:
    for x, y in zip(a, b, strict=True):
        assert x.frame_index == y.frame_index
        assert x.object_ids == y.object_ids
        assert torch.equal(x.mask_logits_nhw, y.mask_logits_nhw), f"frame {x.frame_index}"


# -- the model ----------------------------------------------------------------------------------------------------


def attributes(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What every part holds beside tensors, and which tensors."""
    return {
        name: {
            key: sorted(value) if isinstance(value, dict) else value
            for key, value in vars(part).items()
            if key not in ("_parameters", "_buffers", "_modules")
        }
        | {key: {k: id(v) for k, v in vars(part)[key].items()} for key in ("_parameters", "_buffers", "_modules")}
        for name, part in model.named_modules()
    }


def test_tracking_leaves_nothing_on_the_model() -> None:
    model = random_model()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = attributes(model)
    tracker = Tracker(model)
    steps(tracker, 0, 4)
    tracker.correct([Prompt(1, points_xy_px=[(60, 60)], labels=[0])])
    steps(tracker, 4, 6)
    assert attributes(model) == before
    after = model.state_dict()
    assert list(after) == list(weights)
    for name, tensor in weights.items():
        assert torch.equal(after[name], tensor), name


def test_each_object_has_a_policy_of_its_own(model: SAM2) -> None:
    trackers = [Tracker(model), Tracker(model)]
    for tracker in trackers:
        steps(tracker, 0, 2)
    policies = [track.policy for tracker in trackers for track in tracker.session.tracks.values()]
    assert len({id(policy) for policy in policies}) == 4


def test_tracking_does_not_spoil_training() -> None:
    """Constants that tracking made first, under inference mode, are used by training afterwards."""
    model = random_model(small_config(image_size=(64, 352)))
    steps(Tracker(model), 0, 3)
    model.train().requires_grad_(True)
    features = model.encode_image(torch.randn(1, 3, 64, 352))
    memory = model.encode_memory(features, torch.randn(1, 1, 16, 88), torch.ones(1), binarize=False)
    tokens = model.lay_out_memory(memory[:, None], [[0]], torch.randn(1, 1, 128), torch.ones(1, 1))
    conditioned = model.condition_on_memory(features, tokens)
    prompt = model.encode_prompts(None, None, None, batch=1, image_size=(64, 352))
    model.decode_masks(conditioned, prompt, multimask=True).mask_logits_bmhw.sum().backward()
    for name in ("image_encoder.trunk.pos_embed", "memory_tokens.temporal_encoding", "memory_encoder.out_proj.weight"):
        gradient = model.get_parameter(name).grad
        assert gradient is not None, name
        assert gradient.abs().sum() > 0, name


@torch.inference_mode()
def constants() -> list[torch.Tensor]:
    cpu = torch.device("cpu")
    return [sine_grid(32, 3, 7, cpu, torch.float32), *rotary_angles(16, 3, 7, 10000.0, cpu, torch.float32)]


def test_cached_constants_are_ordinary_tensors() -> None:
    assert not any(constant.is_inference() for constant in constants())


# -- observers ----------------------------------------------------------------------------------------------------


def test_observers_see_every_stage_in_order(model: SAM2) -> None:
    seen: list[Observation] = []
    tracker = Tracker(model, observers=[seen.append])
    steps(tracker, 0, 3)
    tracked = [o.stage for o in seen if o.frame_index == 2]
    assert tracked == list(STAGES)
    assert [o.frame_index for o in seen] == sorted(o.frame_index for o in seen)
    shapes = {o.stage: tuple(o.output.shape) for o in seen if o.frame_index == 2}
    assert shapes == {
        "image_embedding": (1, 128, 8, 8),
        "memory_conditioned": (2, 128, 8, 8),
        "prompt_attended": (2, 128, 8, 8),
        "object_pointer": (2, 128),
        "memory_features": (2, 64, 8, 8),
    }


def test_observers_are_called_one_after_the_other(model: SAM2) -> None:
    calls: list[tuple[str, str]] = []

    def note(name: str) -> Callable[[Observation], None]:
        return lambda seen: calls.append((name, seen.stage))

    tracker = Tracker(model, observers=[note("first"), note("second")])
    steps(tracker, 0, 2)
    assert calls[0::2] == [("first", stage) for _, stage in calls[1::2]]
    assert {name for name, _ in calls[1::2]} == {"second"}


def test_masks_are_identical_with_observers(model: SAM2) -> None:
    watched = Tracker(model, observers=[lambda seen: None, lambda seen: seen.output.float().mean().item()])
    assert_identical(steps(watched, 0, 8), steps(Tracker(model), 0, 8))


def test_an_observer_that_fails_stops_the_step_and_leaves_the_model(model: SAM2) -> None:
    def fail(seen: Observation) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        Tracker(model, observers=[fail]).step(FRAMES[0], PROMPTS)
    assert_identical(steps(Tracker(model), 0, 3), steps(Tracker(model), 0, 3))


# -- on disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 5, 19])
def test_a_saved_tracker_goes_on_where_it_stopped(model: SAM2, tmp_path: Path, stop: int) -> None:
    whole = steps(Tracker(model), 0, 22)
    interrupted = Tracker(model)
    steps(interrupted, 0, stop)
    save_tracker(interrupted, tmp_path / "session.safetensors")
    resumed = load_tracker(tmp_path / "session.safetensors", model)
    assert resumed.frame_index == stop - 1
    assert_identical(steps(resumed, stop, 22), whole[stop:])


def test_saving_disturbs_nothing_and_settles_corrections(model: SAM2, tmp_path: Path) -> None:
    correction = [Prompt(1, points_xy_px=[(60, 60)], labels=[0])]
    plain, saved = Tracker(model), Tracker(model)
    for tracker in (plain, saved):
        steps(tracker, 0, 4)
        tracker.correct(correction)
    save_tracker(saved, tmp_path / "session")
    rest = steps(plain, 4, 9)
    assert_identical(steps(saved, 4, 9), rest)
    assert_identical(steps(load_tracker(tmp_path / "session", model), 4, 9), rest)


def test_clicks_and_directions_are_saved(model: SAM2, tmp_path: Path) -> None:
    """A later correction on a frame before the interrupt finds what was clicked there, and that it was tracked."""
    tracker = Tracker(model)
    steps(tracker, 0, 4)
    tracker.correct([Prompt(1, points_xy_px=[(60, 60), (20, 20)], labels=[0, 1])])
    save_tracker(tracker, tmp_path / "session")
    resumed = load_tracker(tmp_path / "session", model)
    for object_id, track in tracker.session.tracks.items():
        again = resumed.session.tracks[object_id]
        assert again.directions == track.directions
        assert sorted(again.clicks) == sorted(track.clicks)
        for t, clicks in track.clicks.items():
            assert (again.clicks[t].points_nxy_px == clicks.points_nxy_px).all()
            assert (again.clicks[t].labels_n == clicks.labels_n).all()
            assert again.clicks[t].labels_n.dtype == clicks.labels_n.dtype
    assert list(resumed.session.tracks) == [1, -4]


def test_options_are_saved(model: SAM2, tmp_path: Path) -> None:
    options = SessionOptions(
        num_frames=22,
        non_overlapping=True,
        corrections_are_prompts=True,
        keep_all=True,
        memory_dtype=torch.float32,
    )
    tracker = Tracker(model, options=options)
    steps(tracker, 0, 2)
    save_tracker(tracker, tmp_path / "session")
    assert load_tracker(tmp_path / "session", model).options == options


def test_a_session_of_another_model_is_refused(model: SAM2, tmp_path: Path) -> None:
    tracker = Tracker(model)
    steps(tracker, 0, 1)
    save_tracker(tracker, tmp_path / "session")
    with pytest.raises(CheckpointError, match="saved with another model"):
        load_tracker(tmp_path / "session", random_model(small_config("sam2")))


@pytest.mark.parametrize("content", [b"", b"not a session", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_session_is_refused(model: SAM2, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "session").write_bytes(content)
    with pytest.raises(CheckpointError, match="is no saved session"):
        load_tracker(tmp_path / "session", model)


def test_a_missing_session_is_an_error_of_ours(model: SAM2, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no saved session"):
        load_tracker(tmp_path / "none", model)
