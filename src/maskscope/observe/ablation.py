"""Ablations: how much a run needs what is read from memory, and the finer levels of the image.

Each source is taken away by resampling: in its place the model reads what another clip had there. Zeros would take it
away, too, but no model has ever read zeros, and what it does with them says little of what the source is good for
(Zhang and Nanda, arXiv 2309.16042; Wang et al., arXiv 2211.00593, on mean and resample ablation).

    loss = mean success of the intact run - mean success without the source

Success is J, or on frames without the object 1 for an empty mask and 0 for a false alarm. Range -1..1, higher is more
needed; a loss near 0 says that the source is not needed *here*, where the others stand in for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from maskscope.errors import SettingError, ShapeError
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.observe.intervene import Intervened, MemoryReads
from maskscope.observe.patching import Activations, EncodedOnce, Run, Side, the_object
from maskscope.observe.probe import Truth
from maskscope.observe.reading import Reading
from maskscope.observe.recovery import FrameScore, score
from maskscope.stages import Stage
from maskscope.tracking.session import SessionOptions

Ablation = Literal["pointers", "recent_memory", "prompted_memory", "fine_levels"]
"""What is taken away: the object pointers; the spatial memories of recent frames, or of prompted ones; the stride-4 and
stride-8 levels that the mask decoder reads past memory attention."""

ABLATIONS: Final[tuple[Ablation, ...]] = get_args(Ablation)
AT: Final[dict[Ablation, Stage]] = {
    "pointers": "memory_conditioned",
    "recent_memory": "memory_conditioned",
    "prompted_memory": "memory_conditioned",
    "fine_levels": "prompt_attended",
}
"""The position whose input each is."""

NOTHING_READ: Final = "nothing of it is read"


@dataclass(frozen=True, eq=False)
class Pool:
    """Activations of another clip, to resample from.

    Attributes:
        pointers_nc: (n, c) object pointers.
        memories_nkhw: (n, k + a, h, w) memory features.
        images: features of some frames, batch 1.
    """

    pointers_nc: Tensor
    memories_nkhw: Tensor
    images: tuple[ImageFeatures, ...]

    @classmethod
    def of(
        cls,
        side: Side,
        *,
        num_frames: int = 16,
        policy: str = "stock",
        options: SessionOptions | None = None,
    ) -> Pool:
        """Track the beginning of another clip and keep what it gave.

        Args:
            side: the other clip, of the same frame size.
            num_frames: how much of it; features of all these frames are held in memory.
            policy: memory policy.
            options: of the session.

        Raises:
            PromptError: prompts of several objects, or of none.
            SettingError: nothing was written to memory on those frames.
        """
        the_object(side)
        held = Activations(keep=None)
        stages: tuple[Stage, ...] = ("image_embedding", "object_pointer", "memory_features")
        run = Run(side, Intervened(side.model, held.recorders(stages)), policy, options)
        for _ in range(min(num_frames, side.num_frames)):
            run.step()
        pointers, memories = ([output for t in held.frames for output in held.at(stage, t)] for stage in stages[1:])
        if not (pointers and memories):
            raise SettingError("the other clip wrote nothing to memory", "prompt its object on the first frame")
        images = tuple(image for t in held.frames for image in held.at("image_embedding", t))
        return cls(torch.cat(pointers), torch.cat(memories), images)


def ablated(model: SAM2, what: Ablation, pool: Pool, seed: int = 0) -> Intervened:
    """The model without one of its sources.

    Args:
        model: the model, or another stand-in.
        what: is taken away.
        pool: what is read instead; which of it is drawn anew for each frame, from `seed` and the frame's number alone.
        seed: of the draws.

    Raises:
        SettingError: there is no such source.
    """
    if what not in ABLATIONS:
        raise SettingError(f"there is no source {what!r} to take away", f"there are: {', '.join(ABLATIONS)}")
    if what == "fine_levels":
        return Intervened(model, fine=partial(_other_levels, pool, seed))
    return Intervened(model, reads=partial(_other_reads, what, pool, seed))


def _other_reads(what: Ablation, pool: Pool, seed: int, frame_index: int, reads: MemoryReads) -> MemoryReads:
    rng = np.random.default_rng([seed, frame_index + 1])
    if what == "pointers":
        if not reads.pointers_bpc.shape[1]:
            return reads
        drawn = _drawn(rng, pool.pointers_nc, reads.pointers_bpc)
        return replace(reads, pointers_bpc=drawn)
    prompted = torch.tensor(reads.prompted_bs, device=reads.spatial_bskhw.device)
    chosen = prompted if what == "prompted_memory" else ~prompted
    if not chosen.any():
        return reads
    drawn = _drawn(rng, pool.memories_nkhw, reads.spatial_bskhw)
    return replace(reads, spatial_bskhw=torch.where(chosen[..., None, None, None], drawn, reads.spatial_bskhw))


def _drawn(rng: np.random.Generator, pool: Tensor, like: Tensor) -> Tensor:
    """As many of the pool as there are: (n, ...) and (b, s, ...) -> (b, s, ...)."""
    if pool.shape[1:] != like.shape[2:]:
        raise ShapeError(
            f"the other clip's activations are {tuple(pool.shape[1:])}, this clip's are {tuple(like.shape[2:])}",
            "resample from a clip of the same frame size, tracked by the same model",
        )
    picks = torch.from_numpy(rng.integers(0, len(pool), tuple(like.shape[:2])))
    return pool[picks.to(pool.device)].to(like.device, like.dtype)


def _other_levels(pool: Pool, seed: int, frame_index: int, image: ImageFeatures) -> ImageFeatures:
    other = pool.images[int(np.random.default_rng([seed, frame_index + 1]).integers(len(pool.images)))]
    if other.fine_bchw.shape[1:] != image.fine_bchw.shape[1:]:
        raise ShapeError(
            f"the other clip's finest level is {tuple(other.fine_bchw.shape[1:])}, this clip's is "
            f"{tuple(image.fine_bchw.shape[1:])}",
            "resample from a clip of the same frame size, tracked by the same model",
        )
    other = other.expand(len(image.fine_bchw))
    return replace(image, fine_bchw=other.fine_bchw, middle_bchw=other.middle_bchw)


def ablate(
    side: Side,
    pool: Pool,
    truth: Truth,
    *,
    ablations: Sequence[Ablation] = ABLATIONS,
    seed: int = 0,
    policy: str = "stock",
    options: SessionOptions | None = None,
) -> Iterator[Reading]:
    """Track a clip as it is and without each source, side by side.

    Metrics: `intact_j` and `ablated_j` of each frame and, last, `ablation_loss` of the clip; the latter two at the
    position whose input was taken away, with the source's name as tap. Where truth does not show the object a J is the
    state "absence" or "false alarm"; where nothing of a source was ever read, its loss is a state.

    Args:
        side: the clip; every frame is encoded once.
        pool: of another clip.
        truth: the masks.
        ablations: each costs a tracking pass without the image encoder.
        seed: of the draws.
        policy: memory policy of all runs.
        options: of all sessions.

    Yields:
        Readings, frame by frame. Prompted frames read nothing and are left out.

    Raises:
        PromptError: prompts of several objects, or of none.
        SettingError: there is no such source.
        ShapeError: the pool is of another frame size or model.
    """
    object_id = the_object(side)
    encoded = EncodedOnce(side.model)
    intact = Run(side, Intervened(encoded.as_model), policy, options)
    bare = replace(side, observers=())  # observers see one run
    models = {what: ablated(encoded.as_model, what, pool, seed) for what in ablations}
    runs = {what: Run(bare, model, policy, options) for what, model in models.items()}
    differences: dict[Ablation, list[float]] = {what: [] for what in ablations}
    for t in range(side.num_frames):
        picture = side.frame(t)
        result = intact.step(picture)
        others = {what: run.step(picture) for what, run in runs.items()}
        masks = truth(t)
        mask = None if masks is None else masks.get(object_id)
        if mask is None or t in side.prompts:
            continue
        whole = score(result, object_id, mask)
        yield _said("intact_j", whole, t, object_id)
        for what, other in others.items():
            without = score(other, object_id, mask)
            yield replace(_said("ablated_j", without, t, object_id), stage=AT[what], tap=what)
            differences[what].append(whole.success - without.success)
    for what, lost in differences.items():
        say = partial(Reading, metric="ablation_loss", stage=AT[what], tap=what, object=object_id)
        yield say(value=float(np.mean(lost))) if lost and models[what].fired else say(state=NOTHING_READ)


def _said(metric: str, scored: FrameScore, frame: int, object_id: int) -> Reading:
    return Reading(metric=metric, value=scored.j, state=scored.state, frame=frame, object=object_id)
