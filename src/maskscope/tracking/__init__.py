"""The loop: prompts in, masks out, one frame at a time or over a whole video."""
