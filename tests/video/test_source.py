"""Opening a source: one file or pipe, and nothing that the file refers to."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.clips import make_clip
from vidsr.errors import InputError
from vidsr.video import VideoReader, carried_streams, inspect_file, packet_sizes, probe, streams
from vidsr.video.source import CLIP_FORMATS, closed

SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="0" bandwidth="9"><BaseURL>secret.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>'
)


@pytest.mark.parametrize("function", [VideoReader, probe, streams, inspect_file, packet_sizes])
@pytest.mark.parametrize("kind", ["concat", "hls", "hls_absolute", "dash", "sdp"])
def test_a_playlist_named_like_a_clip_opens_no_other_file(
    tmp_path: Path, kind: str, function: Callable[[Path], object]
) -> None:
    secret = make_clip(tmp_path / "secret.mp4", 3)
    make_clip(tmp_path / "secret.ts", 3)
    texts = {
        "concat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "hls": HLS.format("secret.ts"),
        "hls_absolute": HLS.format(f"file://{tmp_path / 'secret.ts'}"),
        "dash": DASH,
        "sdp": SDP,
    }
    clip = tmp_path / "clip.mp4"
    clip.write_text(texts[kind])
    with pytest.raises(InputError, match=r"clip\.mp4 is a playlist, which opens other files: name the clips") as error:
        function(clip)
    assert "\n" not in str(error.value)


def test_a_link_to_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    make_clip(tmp_path / "secret.mp4", 3)
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    (tmp_path / "clip.mp4").symlink_to("list.txt")
    with pytest.raises(InputError, match="is a playlist"):
        carried_streams(tmp_path / "clip.mp4", tmp_path / "b.mkv")


def test_formats_that_open_other_files_or_devices_are_not_listed() -> None:
    opens_more = {"concat", "dash", "hls", "imf", "mlv", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"}
    devices = {"alsa", "fbdev", "kmsgrab", "lavfi", "oss", "v4l2", "video4linux2", "x11grab"}
    assert not (opens_more | devices) & set(CLIP_FORMATS.split(","))
    known = {name for names in av.formats_available for name in names.split(",")}
    assert len(known & set(CLIP_FORMATS.split(","))) > 100


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|a.mp4", "subfile,,start,0,end,9,,:a.mp4", "data:video/mp4,x",
             "crypto:a.mp4", "async:a.mp4", "pipe:0", "cache:a.mp4", "fd:"]
)  # fmt: skip
def test_addresses_of_other_protocols_are_names_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mp4", 1)
    with pytest.raises(InputError, match="does not exist: check the path"):
        VideoReader(Path(name))
    assert closed("file")["protocol_whitelist"] == "file", "so no file can name another protocol"
