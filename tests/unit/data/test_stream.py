from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from video_clips import make_clip, shown

from maskscope.data.stream import camera_address, without_password
from maskscope.data.video import open_video, prefetch
from maskscope.errors import VideoError


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def test_a_stream_is_read_forwards(tmp_path: Path, server: str) -> None:
    make_clip(tmp_path / "clip.mp4", container_options={"movflags": "faststart"}, rotation=90)
    video = open_video(f"{server}/clip.mp4", timeout_s=5)
    assert (video.num_frames, video.height, video.width, video.fps) == (None, 64, 48, 10.0)
    frames = list(prefetch(video))
    assert [frame.index for frame in frames] == list(range(30))
    assert shown(frames[12].rgb) == 12
    assert frames[12].time_s == pytest.approx(1.2)
    with pytest.raises(VideoError, match=r"is a live stream and can only be read forwards, got frame\(3\); save it"):
        video.frame(3)
    with pytest.raises(VideoError, match="can only be read forwards"):
        video.frames(reverse=True)


def test_a_stream_that_is_not_there_says_so_without_the_password(server: str) -> None:
    address = server.replace("http://", "http://user:secret@") + "/none.mp4"
    with pytest.raises(VideoError, match=r"cannot open http://\*\*\*@127.0.0.1:\d+/none.mp4 \(.*404") as caught:
        open_video(address, timeout_s=5)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "blanked"),
    [
        ("rtsp://me:pw@host:554/a?b=c", "rtsp://***@host:554/a?b=c"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
        ("camera:0", "camera:0"),
    ],
)
def test_passwords_are_blanked(address: str, blanked: str) -> None:
    assert without_password(address) == blanked


def test_protocols_are_a_closed_list() -> None:
    with pytest.raises(VideoError, match="protocol 'gopher'; expected a path or one of http, https"):
        open_video("gopher://host/x.mp4")


def test_cameras_are_addressed_as_each_system_does() -> None:
    assert camera_address(2, "linux") == "/dev/video2"
    assert camera_address(0, "darwin") == "0:none"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no path to look for")
@pytest.mark.parametrize("source", [63, "camera:63"])
def test_a_missing_camera_is_named(source: int | str) -> None:
    with pytest.raises(VideoError, match=r"no camera 63 \(/dev/video63 is not there\); connect it"):
        open_video(source)


def test_camera_numbers_start_at_zero() -> None:
    with pytest.raises(VideoError, match="start at 0, got -1"):
        open_video(-1)
