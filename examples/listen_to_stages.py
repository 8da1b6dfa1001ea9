"""Watch the five positions inside the model while it tracks: an observer receives each stage's output.

python examples/listen_to_stages.py
"""

from maskscope import Prompt, Tracker, load_model, open_video
from maskscope.assets import demo_clip
from maskscope.tracking.observer import Observation


def tell(seen: Observation) -> None:
    shape = "x".join(map(str, seen.output.shape))
    print(f"frame {seen.frame_index}  {seen.stage:18}  {shape:14}  std {seen.output.std():.3f}")


def main() -> None:
    clip = demo_clip()
    tracker = Tracker(load_model(), observers=[tell])
    mask = clip.masks[0] == clip.object_ids[0]
    for frame in open_video(clip.video_path).frames(0, 3):
        tracker.step(frame.rgb, [Prompt(1, mask=mask)] if frame.index == 0 else [])


if __name__ == "__main__":
    main()
