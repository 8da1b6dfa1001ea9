"""Follow objects through a video and write what comes of it: the door to `maskscope track`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import torch

from maskscope import __version__
from maskscope.data.source import VideoSource
from maskscope.data.video import open_video
from maskscope.errors import CheckpointError, OutputError, PromptError, VideoError
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import preferred_dtype
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.input_identity import identity
from maskscope.studies.passes import Direction, Pass, Traversal, plan_passes
from maskscope.studies.recorder import Written, from_json
from maskscope.studies.result_folder import Json, ResultFolder
from maskscope.studies.run import Progress, Run, TrackSummary
from maskscope.studies.run_facts import describe, facts
from maskscope.tracking.prompts import POSITIVE, Prompt
from maskscope.tracking.saving import SavedSession, read_session

__all__ = ["Progress", "TrackOptions", "TrackSummary", "check_prompts", "track_video"]

Precision = Literal["auto", "float32", "bfloat16"]
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MAX_OBJECT_ID = 255  # of an indexed PNG


@dataclass(frozen=True)
class TrackOptions:
    """What is wanted of a run; together with video and prompts it decides the masks.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        device: PyTorch's name of it; None is the GPU if there is one, else the CPU.
        precision: of the heavy parts; `auto` is bfloat16 where that is measured to be faster.
        image_size: (height, width) of the model's input in multiples of 32; None is what the model was trained with.
        policy: memory policy, NAME or NAME:key=value,... as in "gated:warm_up=8"; see `maskscope policies`.
        frame: number of the frame that the prompts are for.
        direction: from there towards the end, towards the beginning, or both.
        max_frames: at most so many frames in each direction, the prompted one included; of a live stream those that
            it left out count, too.
        non_overlapping: give each pixel to one object.
        overlay: also write `overlay.mp4`.
        masks: also write a picture for each frame; `masks.jsonl`, which holds the same, is always written.
    """

    model: str = "compact"
    device: str | None = None
    precision: Precision = "auto"
    image_size: tuple[int, int] | None = None
    policy: str = "stock"
    frame: int = 0
    direction: Direction = "forward"
    max_frames: int | None = None
    non_overlapping: bool = False
    overlay: bool = True
    masks: bool = True


def track_video(
    source: str | Path,
    prompts: Sequence[Prompt],
    out: str | Path,
    options: TrackOptions | None = None,
    *,
    video: VideoSource | None = None,
    model: SAM2 | None = None,
    overwrite: bool = False,
    save_every_s: float = 30.0,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrackSummary:
    """Track objects through a video and write overlay, masks and `run.json` into a folder.

    Decoding, the model and writing overlap. An interrupted run (by `stop`, an exception or the end of the process)
    leaves readable results; the same call goes on after the last state saved. Live streams cannot be taken up again.

    Mask pictures are named by frame in five digits, or as many as the last frame of a longer video needs; of a stream
    frames past 99999 get longer names.

    Args:
        source: what `open_video` takes; with `video`, only what `run.json` calls it.
        prompts: one for each object, all for `options.frame`.
        out: the folder; made if need be.
        options: see `TrackOptions`.
        video: used instead of opening `source`.
        model: used instead of loading `options.model`, whose name is still what `run.json` says.
        overwrite: remove earlier results there first, those of an unfinished run, too.
        save_every_s: how often the state is saved, in seconds.
        command: how the program was called, for `run.json`.
        progress: called after each frame.
        stop: asked after each frame; True saves and returns.

    Raises:
        VideoError: the video cannot be read, or has no such frame.
        PromptError: a prompt that cannot mean an object there, or an unknown policy.
        CheckpointError: the model cannot be had.
        ShapeError: an input size that is no multiple of 32.
        OutputError: the folder holds other results, is in use by another run, was begun with other weights, or cannot
            be written.
    """
    options = options or TrackOptions()
    folder = ResultFolder(out)
    video = video or open_video(source)
    passes = check_request(prompts, video, options)
    name = str(source)
    if "://" not in name and folder.holds(Path(name)):
        raise OutputError(f"the results would be written over the input {name}", "name another folder with --out")
    request: Json = {
        "input": identity(name),
        "frames_in_input": video.num_frames,
        "prompts": [describe(prompt) for prompt in prompts],
        **asdict(options),
        "model": identity(options.model),
        "maskscope_version": __version__,
    }
    earlier = folder.examine(request, overwrite)
    if model is None:
        model = _load(options, earlier)
    with folder_lock(folder.path):
        if folder.examine(request, overwrite) != earlier:
            raise OutputError(f"another run has written to {folder.path} meanwhile", "run the same command again")
        content = facts(request, command, model, video, earlier["runs"] if earlier else [])
        saved = None
        written = Written()
        if earlier:
            _check_same_weights(folder, earlier, content)
            saved, written = _take_up(folder)
        try:
            traversal = Traversal(
                model, video, prompts, options.frame, passes, options.policy, options.non_overlapping, saved
            )
        except CheckpointError as error:
            raise _dead_end(folder, error) from error
        if saved is None:
            folder.clear()
        counts = [p.count for p in passes if p.count is not None]
        return Run(
            folder=folder,
            video=video,
            traversal=traversal,
            in_order=options.direction == "forward",
            overlay=options.overlay,
            masks=options.masks,
            total=sum(counts) if len(counts) == len(passes) else None,
            facts=content,
            written=written,
            save_every_s=save_every_s,
            progress=progress,
            stop=stop,
        ).go()


def check_request(prompts: Sequence[Prompt], video: VideoSource, options: TrackOptions) -> list[Pass]:
    """The passes that are to be made; raises, before anything is loaded, what `track_video` would raise of them."""
    check_prompts(prompts, video)
    registry.policy(options.policy)
    return _passes(video, options)


def check_prompts(prompts: Sequence[Prompt], video: VideoSource) -> None:
    """Raise `PromptError` unless the prompts can mean objects of that video, and their masks can be written."""
    if not prompts:
        raise PromptError("nothing says which object to follow", "give a point, a box or a mask")
    for prompt in prompts:
        if not 1 <= prompt.object_id <= MAX_OBJECT_ID:
            raise PromptError(
                f"object number {prompt.object_id} cannot be written to a mask picture", f"use 1 to {MAX_OBJECT_ID}"
            )
        prompt.check(video.height, video.width)
        if prompt.mask is None and prompt.box_xyxy_px is None and prompt.labels and POSITIVE not in prompt.labels:
            raise PromptError(
                f"object {prompt.object_id} has only negative points", "give a point on the object, label 1"
            )


def _passes(video: VideoSource, options: TrackOptions) -> list[Pass]:
    if options.max_frames is not None and options.max_frames < 1:
        raise VideoError(f"at most {options.max_frames} frames leave nothing to do", "give 1 or more")
    if video.num_frames is None:
        if options.direction != "forward":
            raise VideoError(f"{video.name} is a live stream and goes only forwards", "save it to a file first")
        if options.frame < 0:
            raise VideoError(f"frame {options.frame} is before the first", "frames count from 0")
    elif not 0 <= options.frame < video.num_frames:
        raise VideoError(
            f"{video.name} has no frame {options.frame}: it has {video.num_frames} frames",
            f"give a number from 0 to {video.num_frames - 1}",
        )
    return plan_passes(options.frame, options.direction, video.num_frames, options.max_frames)


def _check_same_weights(folder: ResultFolder, earlier: Json, now: Json) -> None:
    before, after = earlier["resolved"].get("weights_sha256"), now["resolved"]["weights_sha256"]
    if before != after:
        raise OutputError(
            f"{folder.path} holds a run begun with other weights (sha256 {str(before)[:12]}, now {after[:12]})",
            "give the weights it was begun with, or add --overwrite to start over",
        )


def _take_up(folder: ResultFolder) -> tuple[SavedSession, Written]:
    """What an unfinished run has left."""
    try:
        saved = read_session(folder.session)
        return saved, from_json(saved.note["written"])
    except (CheckpointError, KeyError, TypeError, ValueError) as error:
        raise _dead_end(folder, error) from error


def _dead_end(folder: ResultFolder, error: Exception) -> OutputError:
    problem = error.problem if isinstance(error, CheckpointError) else f"{folder.session} is damaged"
    return OutputError(f"the run in {folder.path} cannot be gone on with: {problem}", "add --overwrite to start over")


def _load(options: TrackOptions, earlier: Json | None) -> SAM2:
    """The model; a resumed run keeps the precision it was begun with."""
    model = load_model(options.model, device=options.device, image_size=options.image_size)
    if earlier is not None:
        return model.set_precision(DTYPES[earlier["resolved"]["precision"]])
    return model.set_precision(
        preferred_dtype(model.device) if options.precision == "auto" else DTYPES[options.precision]
    )
