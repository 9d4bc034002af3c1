"""ffprobe reports the same streams for an unusual clip and for its upscaled copy."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.clips import make_clip
from vidsr import enhance
from vidsr.options.output_names import report_path
from vidsr.pipeline.verify import verify_files

pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe program")

SAMPLES = Path(__file__).parents[2] / "samples"
FRAMES = 50
HLG = {"colorspace": 9, "color_primaries": 9, "color_trc": 18, "color_range": 1}
PQ = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
X265_HDR = (
    "log-level=none:pools=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    ":max-cll=1000,400"
)
CLIPS: dict[str, tuple[str, dict[str, Any]]] = {
    "mkv_with_ass_subtitles_and_a_font": (".mkv", {"audio": 1, "subtitles": "ass", "font": b"font" * 99}),
    "mp4_with_rotation": (".mp4", {"rotation": -90, "audio": 1}),
    "10_bit_hlg": (".mp4", {"pix_fmt": "yuv420p10le", "tags": HLG}),
    "10_bit_hdr10": (
        ".mkv",
        {"pix_fmt": "yuv420p10le", "codec": "libx265", "tags": PQ, "options": {"x265-params": X265_HDR}},
    ),
    "interlaced_mpeg2": (".ts", {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme", "field_order": "tt"}}),
    "anamorphic_dvd_size": (".mkv", {"codec": "mpeg2video", "size": (720, 576), "sar": Fraction(16, 15)}),
    "late_audio": (".mp4", {"audio": 1, "audio_start": Fraction(1, 2)}),
    "two_audio_tracks": (".mkv", {"audio": 2}),
    "chapters": (".mp4", {"chapters": True}),
    "cover_art": (".mp4", {"cover": True, "audio": 1}),
    "grey": (".mkv", {"pix_fmt": "gray"}),
    "444": (".mp4", {"pix_fmt": "yuv444p"}),
    "full_range_709": (".mp4", {"tags": {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 2}}),
    "variable_rate": (".mp4", {"times": [Fraction(i * i, 1000) for i in range(FRAMES)]}),
    "ntsc_601": (
        ".mov",
        {"fps": Fraction(30000, 1001), "tags": {"colorspace": 6, "color_primaries": 6, "color_trc": 6}, "audio": 1},
    ),
    "late_start": (".mkv", {"times": [Fraction(7, 5) + Fraction(i, 25) for i in range(FRAMES)], "audio": 1}),
}
COMMON_FIELDS = ("codec_type",)
COPIED_FIELDS = ("codec_name", "sample_rate", "channels", "width", "height")
VIDEO_FIELDS = ("width", "height", "pix_fmt", "color_range", "color_space", "color_transfer", "color_primaries",
               "chroma_location")  # fmt: skip


def table(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_chapters", "-show_format"]
    return json.loads(subprocess.run([*command, str(path)], capture_output=True, check=True).stdout)  # type: ignore[no-any-return]


def row(stream: dict[str, Any], is_video: bool) -> dict[str, Any]:
    keys = COMMON_FIELDS + (VIDEO_FIELDS if is_video else COPIED_FIELDS)
    words = {key: stream[key] for key in keys if stream.get(key, "unknown") not in ("unknown", "0/0")}
    if is_video and stream.get("sample_aspect_ratio", "1:1") != "1:1":
        words["sar"] = stream["sample_aspect_ratio"]
    if is_video and stream["avg_frame_rate"] == stream["r_frame_rate"]:  # for variable rates they are guesses
        words["rate"] = stream["r_frame_rate"]
    words["default"] = stream["disposition"]["default"], stream["disposition"]["attached_pic"]
    words["language"] = stream.get("tags", {}).get("language", "und")
    words["rotation"] = [data["rotation"] for data in stream.get("side_data_list", []) if "rotation" in data]
    return words


def source_of(oddity: str, folder: Path) -> Path:
    """Return the unusual clip: synthetic, or from the samples."""
    if oddity == "phone_clip_of_variable_rate":
        return SAMPLES / "phone_dog.mp4"
    suffix, options = CLIPS[oddity]
    return make_clip(folder / f"a{suffix}", **{"frames": FRAMES, **options})


def differences(oddity: str, folder: Path) -> list[str]:
    """Return the differences that ffprobe reports between the clip and its x2 upscale, except its size."""
    return upscale_and_compare(source_of(oddity, folder), folder, 2, "libx265" if "hdr10" in oddity else "libx264")


def upscale_and_compare(source: Path, folder: Path, scale: int, codec: str) -> list[str]:
    target = folder / f"b{'.mkv' if source.suffix == '.ts' else source.suffix}"
    enhance(source, target, scale=scale, model="nearest", codec=codec, preset="ultrafast", log="none")
    verify_files(source, target).raise_if_failed()
    report_path(target).unlink()
    verify_files(source, target).raise_if_failed()  # without the report
    before, after = table(source), table(target)
    for one in (before, after):  # video first: some files begin with audio, the output never does
        one["streams"].sort(key=lambda stream: stream["codec_type"] != "video")
    found = [] if len(before["streams"]) == len(after["streams"]) else ["number of streams"]
    start = [Fraction(one["streams"][0]["start_time"]) for one in (before, after)]
    for i, (a, b) in enumerate(zip(before["streams"], after["streams"], strict=False)):
        expected, got = row(a, i == 0), row(b, i == 0)
        if i == 0:
            expected |= {key: scale * expected[key] for key in ("width", "height")}
        found += [f"#{i} {key}: {got.get(key)} for {value}" for key, value in expected.items() if got.get(key) != value]
        lateness = [Fraction(one["start_time"]) - begin for one, begin in ((a, start[0]), (b, start[1]))]
        if abs(lateness[0] - lateness[1]) > Fraction(1, 1000):
            found.append(f"#{i} begins {float(lateness[1] - lateness[0])} s later")
    titles = [[chapter["tags"] for chapter in one["chapters"]] for one in (before, after)]
    found += [] if titles[0] == titles[1] else ["chapters"]
    longer = Fraction(after["format"]["duration"]) - Fraction(before["format"]["duration"])
    return found + ([] if abs(longer) < Fraction(1, 20) else [f"{float(longer)} s longer"])


@pytest.mark.parametrize("oddity", [*CLIPS, "phone_clip_of_variable_rate"])
def test_ffprobe_reports_the_same_streams_of_the_upscaled_clip(tmp_path: Path, oddity: str) -> None:
    assert differences(oddity, tmp_path) == []


@pytest.mark.parametrize("name", ["phone_dog_vfr.mp4", "motion.mov"])
def test_ffprobe_reports_the_same_streams_of_a_real_clip(data: Path, tmp_path: Path, name: str) -> None:
    """One of them is a phone clip of variable rate."""
    assert upscale_and_compare(data / "clips" / name, tmp_path, 1, "libx264") == []
