from __future__ import annotations

import functools
import http.server
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from video_clips import make_clip, shown

from maskscope.data.stream import LiveStream, camera_address, without_password
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
        ("rtsp://me:pw@host:554/a?channel=1&subtype=0", "rtsp://***@host:554/a?channel=1&subtype=0"),
        ("rtsp://u:p@ss@cam/x", "rtsp://***@cam/x"),
        ("rtsp://u:p/ss@cam", "rtsp://***@cam"),
        ("rtsp://u:p?ss@cam", "rtsp://***@cam"),
        ("rtsp://u:p#ss@cam", "rtsp://***@cam"),
        ("rtsp://secret@cam", "rtsp://***@cam"),
        ("http://host/x?token=SECRET", "http://host/x?token=***"),
        ("http://host/x?channel=1&token=SE@CRET&z=12345", "http://host/x?channel=1&token=***&z=***"),
        ("http://host:80/x?user=me@home&token=SECRET", "http://***@home&token=***"),
        ("http://host/x?SECRET", "http://host/x?***"),
        ("http://host/x?a?token=SECRET", "http://host/x?a?token=***"),
        ("dog.mp4?token=5", "dog.mp4?token=5"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
        ("camera:0", "camera:0"),
    ],
)
def test_passwords_are_blanked(address: str, blanked: str) -> None:
    assert without_password(address) == blanked


def test_what_cannot_be_decoded_is_passed_over(tmp_path: Path, server: str) -> None:
    clip = make_clip(tmp_path / "clip.mov", codec="png", pix_fmt="rgb24", container_options={"movflags": "faststart"})
    data = bytearray(clip.read_bytes())
    place = -1
    for _ in range(6):
        place = data.index(b"\x89PNG", place + 1)
    data[place + 8 : place + 40] = bytes(32)
    clip.write_bytes(data)
    frames = list(open_video(f"{server}/clip.mov", timeout_s=5))
    assert [frame.index for frame in frames] == list(range(29)), "a live source counts what it could show"
    assert [shown(frame.rgb) for frame in frames] == [i for i in range(30) if i != 5]


def test_a_stream_of_rubbish_ends(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mov", codec="png", pix_fmt="rgb24", container_options={"movflags": "faststart"})
    head, *pictures = clip.read_bytes().split(b"\x89PNG")
    clip.write_bytes(b"\x89PNG".join([head, *pictures[:4], *(bytes(8) + picture[8:] for picture in pictures[4:])]))
    monkeypatch.setattr("maskscope.data.stream.MAX_FAILURES", 10)
    video = open_video(f"{server}/clip.mov", timeout_s=5)
    came = []
    with pytest.raises(VideoError, match=r"broke off after 4 frames"):
        came.extend(frame.index for frame in video)
    assert came == [0, 1, 2, 3]


def test_late_frames_are_dropped_when_asked(tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture) -> None:
    make_clip(tmp_path / "clip.mp4", container_options={"movflags": "faststart"})
    assert not LiveStream(f"{server}/clip.mp4", "clip").drop_late, "its length is known"
    frames = []
    for frame in open_video(f"{server}/clip.mp4", timeout_s=5, drop_late=True):
        frames.append(frame)
        time.sleep(0.2)
    numbers = [frame.index for frame in frames]
    assert numbers[0] == 0
    assert numbers[-1] == 29
    assert len(numbers) < 20
    for frame in frames:
        assert shown(frame.rgb) == frame.index
        assert frame.time_s == pytest.approx(frame.index / 10)
    assert f"{30 - len(numbers)} of 30 frames were dropped to keep up" in caplog.text


def test_a_stream_without_an_end_drops_late_frames(tmp_path: Path, server: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with av.open(str(clip)) as source, av.open(str(tmp_path / "clip.h264"), "w", format="h264") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            packet.stream = stream
            if packet.size:
                target.mux(packet)
    video = open_video(f"{server}/clip.h264", timeout_s=5)
    assert isinstance(video, LiveStream)
    assert video.drop_late


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
