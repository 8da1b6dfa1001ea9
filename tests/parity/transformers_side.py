"""transformers' SAM 2 with our weights, driven step by step, every stage of it written down.

Where transformers deviates from the official predictor, this driver does as the official one (and the tests say so):

1. It drops the earlier mask of a corrected frame; the official predictor feeds it to the decoder, clamped to +-32.
   `prompt` passes it to the method that accepts it.
2. It writes a prompted mask to memory at full resolution; the official predictor writes the low-resolution mask it
   keeps, brought to full size. `prompt` does the latter.
3. Prompting one object of a frame tracks the others there at once, and makes memories of all of them from thresholded
   masks. `prompt` runs the prompted object alone.
4. The pointer of a prompted mask is that of the best of three masks; in the official predictor, of the single mask.
   `prompt` asks for the single mask there.
5. The rotary positions, and the time of pointers, are computed in float32 even in a float64 model; memories rest in
   bfloat16 in any (as ours do by default).
6. A prompted frame never counts as tracked: prompting it again starts from the bare image. Ours does so too; the
   official predictor conditions on memory once it has propagated, and then forgets the refinement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Sam2VideoConfig, Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from maskscope.model import SAM2, SAM2Config
from maskscope.model.config import HieraConfig
from maskscope.model.keymap import from_ours
from maskscope.model.mask_decoder import NO_OBJECT_LOGIT
from maskscope.tracking.picture import RgbFrame, frame_tensor, mask_tensor
from maskscope.tracking.prompts import ClickSet, Prompt

Stages = dict[str, Tensor]
WRAPPED = ("_run_single_frame_inference", "_prepare_memory_conditioned_features", "_single_frame_forward")


def transformers_config(config: SAM2Config) -> Sam2VideoConfig:
    """Our configuration in transformers' words."""
    trunk, memory, attention, decoder = config.trunk, config.memory, config.memory_attention, config.mask_decoder
    assert isinstance(trunk, HieraConfig)
    side = config.image_size[0]
    assert config.image_size == (side, side), "transformers has squares only"
    assert memory.dim == 64, "transformers has this number written out"
    heads = [trunk.num_heads * 2**stage for stage in range(4)]
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": trunk.embed_dim,
                "num_attention_heads": trunk.num_heads,
                "image_size": [side, side],
                "window_positional_embedding_background_size": list(trunk.position_grid),
                "blocks_per_stage": list(trunk.stages),
                "embed_dim_per_stage": list(trunk.channels),
                "num_attention_heads_per_stage": heads,
                "window_size_per_stage": list(trunk.window_sizes),
                "global_attention_blocks": list(trunk.global_blocks),
            },
            "backbone_channel_list": list(reversed(trunk.channels)),
            "backbone_feature_sizes": [[side // stride] * 2 for stride in (4, 8, 16)],
            "fpn_hidden_size": config.dim,
        },
        prompt_encoder_config={
            "hidden_size": config.dim,
            "image_size": side,
            "mask_input_channels": config.mask_prompt_channels,
        },
        mask_decoder_config={
            "hidden_size": config.dim,
            "mlp_dim": decoder.hidden_dim,
            "num_hidden_layers": decoder.num_layers,
            "num_attention_heads": decoder.num_heads,
            "attention_downsample_rate": decoder.attention_downsample,
            "iou_head_hidden_dim": decoder.iou_hidden_dim,
        },
        image_size=side,
        num_maskmem=memory.num_frames,
        max_cond_frame_num=memory.max_prompted,
        enable_occlusion_spatial_embedding=memory.no_object_spatial,
        enable_temporal_pos_encoding_for_object_pointers=memory.pointer_time,
        memory_attention_hidden_size=config.dim,
        memory_attention_num_layers=attention.num_layers,
        memory_attention_feed_forward_hidden_size=attention.hidden_dim,
        memory_attention_rope_feat_sizes=[side // 16, side // 16],
        memory_encoder_hidden_size=config.dim,
        mask_downsampler_embed_dim=config.dim,
        memory_fuser_embed_dim=config.dim,
        memory_fuser_intermediate_dim=4 * config.dim,
    )


def transformers_model(ours: SAM2) -> Sam2VideoModel:
    """Their model with our weights, strictly, in our precision."""
    theirs = Sam2VideoModel(transformers_config(ours.config)).to(ours.fine_dtype)
    theirs.load_state_dict(from_ours(ours.state_dict(), "transformers"), strict=True)
    return theirs.requires_grad_(False).eval()


class TransformersTracker:
    """Prompts and frames in; out of each, for every object, the stages in the order in which they are computed."""

    def __init__(self, model: Sam2VideoModel, frames: Sequence[RgbFrame]) -> None:
        self.model, self.side, self.dtype = model, model.config.image_size, model.dtype
        self.video_size = (frames[0].shape[0], frames[0].shape[1])
        size, cpu = (self.side, self.side), torch.device("cpu")
        self.session = Sam2VideoInferenceSession(
            video=torch.cat([frame_tensor(frame, size, cpu, self.dtype) for frame in frames]),
            video_height=self.video_size[0],
            video_width=self.video_size[1],
            dtype=self.dtype,
        )
        self.clicks: dict[tuple[int, int], ClickSet] = {}
        self._listen()

    # -- what it does ---------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def prompt(self, frame_index: int, prompt: Prompt) -> dict[int, Stages]:
        """One object prompted or corrected on one frame; enters memory at once."""
        index = self.session.obj_id_to_idx(prompt.object_id)
        tracked = self.session.frames_tracked_per_obj[index].get(frame_index)
        outputs = self.session.output_dict_per_obj[index]
        known = outputs["cond_frame_outputs"].get(frame_index) or outputs["non_cond_frame_outputs"].get(frame_index)
        clicks = mask = None
        if prompt.mask is not None:
            self.clicks.pop((index, frame_index), None)
            mask = mask_tensor(prompt.mask, (self.side, self.side), torch.device("cpu"), self.dtype)
        else:
            given = ClickSet.of(prompt, self.clicks.get((index, frame_index)))
            self.clicks[index, frame_index] = given
            scale = torch.tensor((self.side / self.video_size[1], self.side / self.video_size[0]))
            clicks = {
                "point_coords": (torch.from_numpy(given.points_nxy_px) * scale)[None, None].to(self.dtype),
                "point_labels": torch.from_numpy(given.labels_n)[None, None],
            }
        self.single_mask = mask is not None
        output = self.model._run_single_frame_inference(
            inference_session=self.session,
            frame_idx=frame_index,
            obj_idx=index,
            batch_size=1,
            is_init_cond_frame=tracked is None,
            point_inputs=clicks,
            mask_inputs=mask,
            reverse=tracked is not None and tracked["reverse"],
            prev_sam_mask_logits=None if known is None or mask is not None else known["pred_masks"].clamp(-32, 32),
        )
        self.single_mask = False
        self.session.store_output(index, frame_index, output_value=output, is_conditioning_frame=tracked is None)
        full = F.interpolate(output["pred_masks"], size=(self.side, self.side), mode="bilinear", align_corners=False)
        self.model._batch_encode_memories(
            self.session, frame_index, [index], [full], [output["object_score_logits"]], [True]
        )
        stages = self._written_down(frame_index, index)
        if mask is not None:  # the mask itself is the answer, not what the decoder says of it
            del stages["candidate_logits"], stages["predicted_iou"]
        return {prompt.object_id: stages}

    @torch.inference_mode()
    def track(self, frame_index: int, reverse: bool = False) -> dict[int, Stages]:
        """All objects tracked on one frame."""
        self.model(self.session, frame_idx=frame_index, reverse=reverse)
        return {i: self._written_down(frame_index, n) for n, i in self.session._obj_idx_to_id.items()}

    # -- what it writes down --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Note inner results by (object, stage); the model's own attributes are wrapped, nothing is computed anew."""
        self.inner: dict[tuple[int, str], Tensor] = {}
        self.current = 0
        model: Any = self.model

        self.single_mask = False
        run, condition, decode = (getattr(model, name) for name in WRAPPED)

        def run_noting_the_object(*args: Any, **kwargs: Any) -> Any:
            self.current = kwargs["obj_idx"]
            return run(*args, **kwargs)

        def condition_noted(*args: Any, **kwargs: Any) -> Any:
            result = self.inner[self.current, "memory_conditioned"] = condition(*args, **kwargs)
            return result

        def decode_as_asked(*args: Any, **kwargs: Any) -> Any:
            return decode(*args, **kwargs | ({"multimask_output": False} if self.single_mask else {}))

        for name, wrapped in zip(WRAPPED, (run_noting_the_object, condition_noted, decode_as_asked), strict=True):
            setattr(model, name, wrapped)

        def decoded(_: Any, __: Any, output: Any) -> None:
            self.inner[self.current, "candidate_logits"] = output[0][0, 0]
            self.inner[self.current, "predicted_iou"] = output[1][0, 0]

        def attended(_: Any, __: Any, output: Any) -> None:
            tokens = output[1][:, 0]
            side = self.side // 16
            self.inner[self.current, "prompt_attended"] = tokens.transpose(1, 2).reshape(1, -1, side, side)

        self.hooks = [
            model.mask_decoder.register_forward_hook(decoded),
            model.mask_decoder.transformer.register_forward_hook(attended),
        ]

    def close(self) -> None:
        """Leave the model as it was."""
        for hook in self.hooks:
            hook.remove()
        for name in WRAPPED:
            delattr(self.model, name)

    def _stored(self, frame_index: int, index: int) -> dict[str, Tensor]:
        outputs = self.session.output_dict_per_obj[index]
        stored = outputs["cond_frame_outputs"].get(frame_index) or outputs["non_cond_frame_outputs"][frame_index]
        return dict(stored)

    def _written_down(self, frame_index: int, index: int) -> Stages:
        stored, side = self._stored(frame_index, index), self.side // 16
        features = self.session.cache.get_vision_features(frame_index)
        assert features is not None
        stages = {"image_embedding": features["vision_feats"][-1].permute(1, 2, 0).reshape(1, -1, side, side)}
        for stage in ("memory_conditioned", "prompt_attended", "candidate_logits", "predicted_iou"):
            inner = self.inner.pop((index, stage), None)
            if inner is not None:
                stages[stage] = inner
        if "candidate_logits" in stages and stored["object_score_logits"].item() <= 0:
            stages["candidate_logits"] = torch.full_like(stages["candidate_logits"], NO_OBJECT_LOGIT)
        stages["mask_logits"] = stored["pred_masks"][0, 0]
        stages["video_logits"] = F.interpolate(
            stored["pred_masks"], size=self.video_size, mode="bilinear", align_corners=False
        )[0, 0]
        stages["object_score"] = stored["object_score_logits"].reshape(1)
        stages["object_pointer"] = stored["object_pointer"].reshape(1, -1)
        stages["memory_features"] = stored["maskmem_features"].permute(1, 2, 0).reshape(1, -1, side, side)
        return stages
