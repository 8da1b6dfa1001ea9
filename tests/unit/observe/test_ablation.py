from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskscope.errors import SettingError, ShapeError
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.observe.ablation import ABLATIONS, AT, NOTHING_READ, Pool, ablate, ablated
from maskscope.observe.intervene import Intervened
from planted import course, tiny_model, truth


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


@pytest.fixture(scope="module")
def pool(model: SAM2) -> Pool:
    return Pool.of(course(model, length=4, first=9), num_frames=3)


def test_a_pool_holds_what_the_other_clip_gave(model: SAM2, pool: Pool) -> None:
    assert pool.pointers_nc.shape == (3, 128)
    assert pool.memories_nkhw.shape == (3, 64, 4, 4)
    assert len(pool.images) == 3


def reads(model: SAM2) -> dict[str, object]:
    torch.manual_seed(0)
    slots = [[6, 0, 1]]  # one prompted, two recent
    return {
        "spatial_bskhw": torch.randn(1, 3, 64, 4, 4),
        "slots_bs": slots,
        "pointers_bpc": torch.randn(1, 2, 128),
        "distances_bp": torch.ones(1, 2),
    }


@pytest.mark.parametrize(
    ("what", "changed"),
    [("prompted_memory", slice(0, 16)), ("recent_memory", slice(16, 48)), ("pointers", slice(48, 52))],
)
def test_only_the_source_is_resampled_and_from_the_pool(model: SAM2, pool: Pool, what, changed) -> None:
    plain = model.lay_out_memory(**reads(model)).values_bnk[0]
    standing_in = ablated(model, what, pool, seed=1)
    standing_in.frame_index = 5
    there = standing_in.lay_out_memory(**reads(model)).values_bnk[0]
    different = (there != plain).any(1).nonzero().flatten().tolist()
    assert different == list(range(52))[changed]
    again = ablated(model, what, pool, seed=1)
    again.frame_index = 5
    assert torch.equal(again.lay_out_memory(**reads(model)).values_bnk[0], there)
    if what == "pointers":
        known = {tuple(row) for pointer in pool.pointers_nc for row in pointer.reshape(-1, 64).tolist()}
    else:
        known = {tuple(row) for row in pool.memories_nkhw.permute(0, 2, 3, 1).reshape(-1, 64).tolist()}
    assert all(tuple(row) in known for row in there[changed].tolist())


def test_fine_levels_come_from_the_other_clip_and_the_embedding_stays(model: SAM2, pool: Pool) -> None:
    seen: list[ImageFeatures] = []

    class Watching(Intervened):
        def decode_candidates(self, conditioned, prompt, multimask):
            seen.append(conditioned.image)
            return super().decode_candidates(conditioned, prompt, multimask)

    watched = Watching(model)
    standing_in = ablated(watched.as_model, "fine_levels", pool)
    with torch.inference_mode():
        image = model.encode_image(torch.zeros(1, 3, 64, 64))
        conditioned = model.condition_on_memory(image, None)
        prompt = model.encode_prompts(None, None, None, batch=1, image_size=(64, 64))
        standing_in.decode_candidates(conditioned, prompt, True)
    assert torch.equal(seen[0].embedding_bchw, image.embedding_bchw)
    assert any(torch.equal(seen[0].fine_bchw, other.fine_bchw) for other in pool.images)


def test_losses_are_of_the_frames_and_nothing_is_left(model: SAM2, pool: Pool) -> None:
    readings = list(ablate(course(model, length=3), pool, truth, ablations=("pointers", "fine_levels")))
    by = {(r.metric, r.tap, r.frame): r.value for r in readings}
    for what in ("pointers", "fine_levels"):
        mean = sum(by["intact_j", "", t] - by["ablated_j", what, t] for t in (1, 2)) / 2
        assert by["ablation_loss", what, None] == pytest.approx(mean)
    assert {r.stage for r in readings if r.tap == "fine_levels"} == {AT["fine_levels"]}
    assert not any(r.frame == 0 for r in readings)  # given, not tracked


def test_a_source_that_is_never_read_is_a_state(model: SAM2, pool: Pool) -> None:
    (*_, last) = ablate(course(model, length=2), pool, truth, ablations=("recent_memory",))
    assert (last.metric, last.state) == ("ablation_loss", NOTHING_READ)  # frame 1 reads the prompted frame alone


def test_bad_input(model: SAM2, pool: Pool) -> None:
    with pytest.raises(SettingError, match=f"no source 'mask' .*{ABLATIONS[0]}"):
        ablated(model, "mask", pool)  # type: ignore[arg-type]
    other = replace(pool, memories_nkhw=pool.memories_nkhw[..., :3])
    with pytest.raises(ShapeError, match=r"are \(64, 4, 3\), this clip's are \(64, 4, 4\)"):
        list(ablate(course(model, length=2), other, truth, ablations=("prompted_memory",)))
