"""Names of the released models, and getting them: against a stand-in hub on the loopback interface."""

from __future__ import annotations

import errno
import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from stand_in_hub import COMMIT, StandInHub, stand_in_hub
from tiny import TINY, tiny_model

from maskscope.errors import CheckpointError
from maskscope.model import PRESETS, hub
from maskscope.model.checkpoints import list_models, load_model
from maskscope.model.keymap import from_ours

NAME, REPO, FILE = "sam2.1-hiera-tiny", "facebook/sam2.1-hiera-tiny", "sam2.1_hiera_tiny.pt"


def official_bytes() -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": from_ours(tiny_model().state_dict(), "official")}, buffer)
    return buffer.getvalue()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A hub with one repository, an empty cache, and no waiting between attempts."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    with stand_in_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        server.files[REPO, FILE] = official_bytes()
        yield server


def message_of(error: CheckpointError) -> str:
    assert "\n" not in str(error)
    assert error.remedy
    return str(error)


# -- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("sam2.1-hiera-tiny", "sam2.1-hiera-tiny"),
        ("facebook/sam2.1-hiera-tiny", "sam2.1-hiera-tiny"),
        ("sam2.1_hiera_base_plus", "sam2.1-hiera-base-plus"),
        ("sam2_hiera_base_plus.pt", "sam2-hiera-base-plus"),
        ("sam2.1_hiera_b+.yaml", "sam2.1-hiera-base-plus"),
        ("SAM2.1-Hiera-L", "sam2.1-hiera-large"),
        ("compact", "compact"),
        ("sam2.2-hiera-tiny", None),
        ("other/sam2.1-hiera-tiny", None),
        ("tiny", None),
        ("", None),
    ],
)
def test_spellings(spelling: str, name: str | None) -> None:
    assert hub.canonical_name(spelling) == name


def test_files_of_the_eight_released_models() -> None:
    assert {hub.repository(name): hub.official_file(name) for name in hub.RELEASED} == {
        "facebook/sam2-hiera-tiny": "sam2_hiera_tiny.pt",
        "facebook/sam2-hiera-small": "sam2_hiera_small.pt",
        "facebook/sam2-hiera-base-plus": "sam2_hiera_base_plus.pt",
        "facebook/sam2-hiera-large": "sam2_hiera_large.pt",
        "facebook/sam2.1-hiera-tiny": "sam2.1_hiera_tiny.pt",
        "facebook/sam2.1-hiera-small": "sam2.1_hiera_small.pt",
        "facebook/sam2.1-hiera-base-plus": "sam2.1_hiera_base_plus.pt",
        "facebook/sam2.1-hiera-large": "sam2.1_hiera_large.pt",
    }
    assert {*hub.RELEASED, "compact"} == set(PRESETS)


# -- getting them -----------------------------------------------------------------------------------------------------


def test_a_name_becomes_a_model(served: StandInHub) -> None:
    model = load_model("facebook/sam2.1-hiera-tiny", device="cpu", config=TINY)
    expected = tiny_model().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert ("GET", f"/{REPO}/resolve/main/{FILE}", None) in served.requests


def test_the_second_time_asks_nobody(served: StandInHub, tmp_path: Path) -> None:
    first = hub.fetch(NAME)
    assert first.is_relative_to(tmp_path / "cache")
    served.requests.clear()
    assert hub.fetch(NAME) == first
    assert hub.fetch(NAME, offline=True) == first
    assert served.requests == []
    assert [line.name for line in list_models() if line.cached] == [NAME]


def test_an_interrupted_download_goes_on_where_it_stopped(served: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 250)  # whole chunks are kept; usually 10 MB
    served.cut_after = 1000
    path = hub.fetch(NAME)
    assert path.read_bytes() == served.files[REPO, FILE]
    ranges = [wanted for method, _, wanted in served.requests if method == "GET"]
    assert ranges == [None, "bytes=1000-"]


def test_where_there_is_no_official_file_the_other_is_taken(served: StandInHub) -> None:
    served.files = {(REPO, "model.safetensors"): b"safetensors"}
    path = hub.fetch(NAME)
    assert (path.name, path.read_bytes()) == ("model.safetensors", b"safetensors")
    assert hub.fetch(NAME, offline=True) == path


def test_a_revision_is_asked_for_and_cached_apart(served: StandInHub) -> None:
    path = hub.fetch(NAME, revision=COMMIT)
    assert f"/{REPO}/resolve/{COMMIT}/{FILE}" in {asked for _, asked, _ in served.requests}
    assert hub.fetch(NAME, revision=COMMIT, offline=True) == path
    with pytest.raises(CheckpointError, match="has no revision 'v9'; leave the revision out"):
        hub.fetch(NAME, revision="v9")


def test_another_cache_can_be_given(served: StandInHub, tmp_path: Path) -> None:
    assert hub.fetch(NAME, cache_dir=tmp_path / "mine").is_relative_to(tmp_path / "mine")
    assert hub.find_cached(NAME) is None


# -- when it fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_without_a_cached_file(served: StandInHub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"not in the cache .* and offline mode is on") as caught:
        hub.fetch(NAME, offline=True if how == "argument" else None)
    assert f"hf download {REPO} {FILE}" in message_of(caught.value)
    assert served.requests == []


def test_nobody_answers(served: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nothing listens
    with pytest.raises(CheckpointError, match=r"http://127\.0\.0\.1:9 did not deliver it") as caught:
        hub.fetch(NAME)
    message = message_of(caught.value)
    for hint in (f"hf download {REPO} {FILE}", "HF_ENDPOINT", "HF_HUB_CACHE", "give its path instead"):
        assert hint in message


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_that_is_down(served: StandInHub, status: int) -> None:
    served.status = status
    with pytest.raises(CheckpointError, match=f"answered HTTP {status}; try again later") as caught:
        hub.fetch(NAME)
    message_of(caught.value)


def test_a_hub_without_the_repository(served: StandInHub) -> None:
    with pytest.raises(CheckpointError, match=r"sam2-hiera-large at http://.* does not exist \(HTTP 404\)") as caught:
        hub.fetch("sam2-hiera-large")
    message_of(caught.value)


def test_a_hub_that_is_none(served: StandInHub) -> None:
    served.status = 404
    with pytest.raises(CheckpointError, match=r"does not exist \(HTTP 404\); check HF_ENDPOINT"):
        hub.fetch(NAME)


def test_a_repository_without_weights(served: StandInHub) -> None:
    served.files = {(REPO, "README.md"): b""}
    with pytest.raises(CheckpointError, match=f"but neither {FILE} nor model.safetensors") as caught:
        hub.fetch(NAME)
    message_of(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_wants_a_login(served: StandInHub, status: int) -> None:
    served.status = status
    with pytest.raises(CheckpointError, match=rf"refuses access \(HTTP {status}\); log in"):
        hub.fetch(NAME)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, f"the disk is full: {FILE} does not fit into .*cache; free some room"),
        (errno.EACCES, "cache .* cannot be written; set HF_HUB_CACHE"),
    ],
)
def test_a_disk_that_takes_no_more(
    served: StandInHub, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    """The write itself fails, in the middle of the library's download."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", fail)
    with pytest.raises(CheckpointError, match=message) as caught:
        hub.fetch(NAME)
    message_of(caught.value)
    assert hub.find_cached(NAME) is None
