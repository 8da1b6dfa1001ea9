"""The folder of results is named after the input, without its secrets."""

from __future__ import annotations

import pytest

from maskscope.cli.track import default_folder


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("videos/dog.mp4", "dog-tracked"),
        ("frames/", "frames-tracked"),
        ("camera:0", "camera-0-tracked"),
        ("rtsp://u:p@ss@cam:554/door", "cam-554-door-tracked"),
        ("rtsp://u:p/ss@cam", "cam-tracked"),
        ("http://host/x.m3u8?token=SECRET", "host-x.m3u8-token-tracked"),
    ],
)
def test_name(source: str, name: str) -> None:
    assert default_folder(source).name == name
