"""Items 4 to 8: geometry, streams, verification, the plan, bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np
import torch

from tests import fuzz
from tests.clips import make_clip, read_number
from tests.exactness.table import REPO, Finding, Unmeasured, ffprobe, folder, row, run, stream_facts
from tests.journey import test_image_sequences
from tests.video import test_alpha, test_streams
from tests.video.test_deinterlace import FLAGGED, combing, woven
from vidsr import enhance
from vidsr.cli.enhance import enhance_all
from vidsr.cli.progress import Reporter, Verbosity
from vidsr.errors import Notes, VidsrError
from vidsr.options.enhance import parse_options
from vidsr.pipeline.verify import verify_files
from vidsr.video import VideoReader, inspect_file, lost_streams, streams

PLAN_RESULTS = REPO / "benchmarks" / "results" / "plan.json"
VARIANTS = 30  # of each clip in the fuzzer


def numbers(path: Path) -> list[int]:
    """Those that the frames show."""
    with VideoReader(path) as reader:
        return [read_number(y[0].numpy()) for batch in reader.batches(16) for y in batch.y]


@row("3 Depth", tested_in="tests/video/test_alpha.py")
def transparent_clips(tmp_path: Path) -> Finding:
    """Transparency in use (ffv1, png, qtrle): refused in one line; --alpha drop drops it and says so."""
    refused, said, count = 0, 0, 0
    for name, pix_fmt, codec in test_alpha.CLIPS:
        place = folder(tmp_path, count)
        source = test_alpha.coded(place / name, [test_alpha.frame_with_alpha(pix_fmt, 200)], codec)
        try:
            run(source, place / "out.mkv")
        except VidsrError as error:
            refused += "transparent" in str(error)
        notes = Notes()
        run(source, place / "out.mkv", alpha="drop", on_note=notes.add)
        said += any("--alpha drop" in note for note in notes.texts)
        count += 1
    return Finding(f"{refused} of {count} refused, {said} of {count} dropped and said", refused == said == count)


@row("4 Geometry")
def rotated_clips(tmp_path: Path) -> Finding:
    """Rotation by the display matrix, three quarters, through x2 into mp4, mov and mkv, as ffprobe reads it."""
    equal, count = 0, 0
    for degrees, suffix in product((90, 180, -90), (".mp4", ".mov", ".mkv")):
        source, target = tmp_path / f"{degrees}.mp4", tmp_path / f"{degrees}-out{suffix}"
        run(make_clip(source, 2, (64, 48), rotation=degrees), target, scale=2)
        equal += rotation(source) == rotation(target) != 0
        count += 1
    return Finding(f"{equal} of {count} equal", equal == count)


def rotation(path: Path) -> float:
    """In degrees, as ffprobe reads it."""
    (stream,) = ffprobe(path, "-show_streams")["streams"]
    return next((float(data["rotation"]) for data in stream.get("side_data_list", []) if "rotation" in data), 0.0)


@row("4 Geometry")
def anamorphic_clips(tmp_path: Path) -> Finding:
    """Sample aspect ratio (16/15, 64/45, 8/9) through x2 into mp4, mov and mkv, as ffprobe reads it."""
    equal, count = 0, 0
    for sar, suffix in product(("16/15", "64/45", "8/9"), (".mp4", ".mov", ".mkv")):
        source = make_clip(folder(tmp_path, count) / "a.mp4", 2, (72, 48), sar=Fraction(sar))
        target = source.with_name(f"b{suffix}")
        run(source, target, scale=2)
        equal += stream_facts(target, "sample_aspect_ratio")["sample_aspect_ratio"] == sar.replace("/", ":")
        count += 1
    return Finding(f"{equal} of {count} equal", equal == count)


@row("4 Geometry")
def dvd_sizes_made_square(tmp_path: Path) -> Finding:
    """--square-pixels: DVD sizes become square by enlarging one side, as ffprobe reads them."""
    cases = {((720, 576), "16/15"): "768x576", ((720, 576), "64/45"): "1024x576", ((720, 480), "8/9"): "720x540"}
    found = []
    for (size, sar), expected in cases.items():
        source = make_clip(tmp_path / f"{expected}.mp4", 2, size, sar=Fraction(sar))
        run(source, tmp_path / f"{expected}-out.mp4", square_pixels=True)
        said = stream_facts(tmp_path / f"{expected}-out.mp4", "width,height,sample_aspect_ratio")
        found.append((f"{said['width']}x{said['height']}", said["sample_aspect_ratio"], expected))
    words = ", ".join(f"{size} at {sar}" for size, sar, _ in found)
    return Finding(words, all(size == expected and sar == "1:1" for size, sar, expected in found))


@row("4 Geometry")
def odd_sizes(tmp_path: Path) -> Finding:
    """Odd sizes 65x49, 63x48, 64x47 in 4:2:0, 4:2:2 and 4:4:4: exact size after x2 and x3, every frame in its place."""
    right, count = 0, 0
    for size, pix_fmt, scale in product(((65, 49), (63, 48), (64, 47)), ("yuv420p", "yuv422p", "yuv444p"), (2, 3)):
        source = make_clip(folder(tmp_path, count) / "a.mkv", 3, size, pix_fmt=pix_fmt, codec="ffv1")
        run(source, source.with_name("b.mkv"), scale=scale, codec="ffv1", preset=None)
        with VideoReader(source.with_name("b.mkv")) as reader:
            shape = reader.info.width, reader.info.height
        right += shape == (size[0] * scale, size[1] * scale) and numbers(source.with_name("b.mkv")) == [0, 1, 2]
        count += 1
    return Finding(f"{right} of {count}", right == count)


@row("4 Geometry")
def padded_edges(tmp_path: Path) -> Finding:
    """Where an encoder takes no odd size: padded by repeating the edge, the rest identical, lossless x264, 4:2:0."""
    worst = 0
    for size in ((65, 49), (63, 48), (64, 47)):
        source = make_clip(tmp_path / f"{size[0]}x{size[1]}.mkv", 2, size, codec="ffv1")
        target = source.with_name(f"{source.stem}.mp4")
        run(source, target, crf=0)
        with VideoReader(source) as before, VideoReader(target) as after:
            (old,), (new,) = before.batches(9), after.batches(9)
        width, height = size[0] % 2, size[1] % 2
        padded = torch.from_numpy(np.pad(old.y.numpy(), ((0, 0), (0, 0), (0, height), (0, width)), mode="edge"))
        assert old.uv is not None and new.uv is not None
        worst = max(
            worst, int((padded.int() - new.y.int()).abs().max()), int((old.uv.int() - new.uv.int()).abs().max())
        )
    return Finding(f"largest difference {worst} code values", worst == 0)


@row("4 Geometry")
def interlaced_clips(tmp_path: Path) -> Finding:
    """Interlaced MPEG-2, flagged or not, either field first: recognised, made progressive, said; --deinterlace off
    leaves it; a progressive clip of that height is left alone.
    """
    right = []
    for number, (top_first, options) in enumerate([(True, FLAGGED), (True, None), (False, None)]):
        source = woven(tmp_path / f"{number}.mkv", top_first, options=options)
        notes = Notes()
        run(source, tmp_path / f"{number}-out.mkv", on_note=notes.add)
        run(source, tmp_path / f"{number}-off.mkv", deinterlace="off")
        combs = [combing(luma(tmp_path / f"{number}-{kind}.mkv")) for kind in ("out", "off")]
        said = any(f"{'top' if top_first else 'bottom'} field first" in note for note in notes.texts)
        right.append(said and combs[0] < combs[1] / 2)
    notes = Notes()
    run(make_clip(tmp_path / "p.mp4", 30, (64, 576)), tmp_path / "p-out.mp4", on_note=notes.add)
    right.append(not any("field" in note for note in notes.texts))
    return Finding(f"{sum(right)} of {len(right)} as told", all(right))


def luma(path: Path) -> np.ndarray:
    """Of the sixth frame."""
    with VideoReader(path) as reader:
        (batch,) = reader.batches(100)
    return batch.y[5, 0].numpy()


@row("5 Streams", tested_in="tests/video/test_streams.py")
def tables_of_odd_clips(tmp_path: Path) -> Finding:
    """Stream, chapter and format tables of ffprobe for odd clips and their x2: the same but for the size."""
    wrong = {}
    oddities = [*test_streams.CLIPS, "phone_clip_of_variable_rate"]
    for oddity in oddities:
        if found := test_streams.differences(oddity, folder(tmp_path, oddity)):
            wrong[oddity] = found
    words = f": {wrong}" if wrong else f" ({', '.join(name.replace('_', ' ') for name in oddities)})"
    return Finding(f"{len(oddities) - len(wrong)} of {len(oddities)} clips{words}", not wrong)


@row("5 Streams")
def packet_for_packet(tmp_path: Path) -> Finding:
    """Copied sound, subtitles, fonts and covers: packets equal and at their time within 1 ms, mp4, mov and mkv out."""
    sources = [
        make_clip(tmp_path / "a.mkv", 50, audio=2, subtitles="ass", font=b"font" * 99, chapters=True),
        make_clip(tmp_path / "b.mp4", 50, audio=1, subtitles="mov_text", cover=True, chapters=True),
        make_clip(tmp_path / "c.ts", 50, audio=1),
        make_clip(tmp_path / "d.webm", 50, codec="libvpx-vp9", audio=1),
    ]
    packets, worst = 0, Fraction(0)
    for source, suffix in product(sources, (".mp4", ".mov", ".mkv")):
        target = tmp_path / f"{source.stem}-out{suffix}"
        run(source, target)
        before, after = inspect_file(source, target, decode=False), inspect_file(target)
        shift = after.times[0] - before.times[0]
        for old, new in zip(before.tracks, after.tracks, strict=True):
            assert [digest for _, digest in old.packets] == [digest for _, digest in new.packets], (
                f"{target.name} {old}"
            )
            packets += len(new.packets)
            drifts = [abs(a + shift - b) for (a, _), (b, _) in zip(old.packets, new.packets, strict=True) if new.timed]
            worst = max([worst, *drifts])
    words = f"{packets} packets in {len(sources) * 3} files, all equal; largest change {float(worst * 1000):.3g} ms"
    return Finding(words, worst <= Fraction(1, 1000))


@row("5 Streams", tested_in="tests/journey/test_image_sequences.py")
def numbered_pictures(tmp_path: Path) -> Finding:
    """Numbered PNG pictures of noise in and out, 8 and 16 bits, grey and RGB, --scale 1: every sample as it was."""
    worst, count = 0, 0
    for dtype, grey in product((np.uint8, np.uint16), (False, True)):
        source = test_image_sequences.pictures(tmp_path / f"{count}", 4, dtype=dtype, grey=grey)
        target = folder(tmp_path, f"{count}-out") / "%05d.png"
        enhance(source, target, **test_image_sequences.SCALE_1)
        for number in range(1, 5):
            before, after = (
                test_image_sequences.read(path.with_name(f"{number:05d}.png")) for path in (source, target)
            )
            worst = max(worst, int(np.abs(before.astype(int) - after).max()))
            count += 1
    return Finding(f"{count} pictures: largest difference {worst} code values", worst == 0)


@row("5 Streams", tested_in="tests/video/test_y4m.py")
def y4m_through_a_pipe(tmp_path: Path) -> Finding:
    """Y4m on the standard input and output, --scale 1, 4:2:0 to 4:4:4 and grey, 8 and 10 bits: planes and rate."""
    worst, count = 0, 0
    for pix_fmt in ("yuv420p", "yuv422p10le", "yuv444p", "gray"):
        clip = make_clip(tmp_path / f"{pix_fmt}.mkv", 4, (66, 49), Fraction(24000, 1001), pix_fmt, codec="ffv1")
        source, target = tmp_path / f"{pix_fmt}.y4m", tmp_path / f"{pix_fmt}-out.y4m"
        enhance(clip, source, **test_image_sequences.SCALE_1)
        command = [sys.executable, "-m", "vidsr", "enhance", "-", "--scale", "1", "-o", "-"]
        with source.open("rb") as given, target.open("wb") as taken:
            subprocess.run(command, stdin=given, stdout=taken, stderr=subprocess.DEVNULL, check=True)
        with VideoReader(clip) as before, VideoReader(target) as after:
            assert before.info.fps == after.info.fps
            (old,), (new,) = before.batches(9), after.batches(9)
        worst = max(worst, int((old.y.int() - new.y.int()).abs().max()))
        if old.uv is not None and new.uv is not None:
            worst = max(worst, int((old.uv.int() - new.uv.int()).abs().max()))
        count += 1
    return Finding(f"{count} streams: largest difference {worst} code values", worst == 0)


@row("5 Streams")
def announced_losses(tmp_path: Path) -> Finding:
    """What a container cannot hold is announced before the first frame, with the one that can; nothing else is lost."""
    source = make_clip(tmp_path / "a.mkv", 10, audio=2, subtitles="ass", font=b"font" * 99, cover=True, chapters=True)
    total, lost, said = len(streams(source)), [], []
    for suffix in (".mkv", ".mp4", ".mov", ".webm"):
        target = tmp_path / f"b{suffix}"
        codec: dict[str, Any] = {"codec": "libvpx-vp9", "preset": "8"} if suffix == ".webm" else {}
        announced = [
            note for note in map(str, lost_streams(source, target)) if "#" in note and "cannot hold it" in note
        ]
        run(source, target, **codec)
        lost.append(total - sum(stream.type != "data" for stream in streams(target)))  # MP4 keeps chapters in one
        said.append(len(announced))
        assert all(".mkv can" in note for note in announced)
    return Finding(f"of {total} streams lost in mkv, mp4, mov, webm: {lost}; announced: {said}", lost == said)


def damage_one_frame(path: Path) -> None:
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    at, size = packets[15]
    data = bytearray(path.read_bytes())
    data[at + 5 : at + size] = bytes(size - 5)
    path.write_bytes(data)


@row("6 Verification")
def named_differences(tmp_path: Path) -> Finding:
    """A frame too few, other times, another turn, a frame that does not decode, other sound, late sound: each is named
    by vidsr verify.
    """
    clip: dict[str, Any] = {"frames": 40, "audio": 1, "gop": 10, "tags": {"colorspace": 1}}
    source = make_clip(tmp_path / "a.mp4", **clip)
    changed: dict[str, dict[str, Any]] = {
        "frames|frame times|copied": {"frames": 39},
        "frame times": {"times": [Fraction(i, 25) + (Fraction(1, 50) if i == 20 else 0) for i in range(40)]},
        "rotation": {"rotation": 90},
        "every frame decodes": {},
        "copied streams": {"audio": 2},
        "drift": {"audio_start": Fraction(1, 10)},
        "matrix": {"tags": {"colorspace": 9}},
    }
    named = 0
    for number, (name, change) in enumerate(changed.items()):
        target = make_clip(tmp_path / f"{number}.mp4", **{**clip, **change})
        if name == "every frame decodes":
            damage_one_frame(target)
        named += any(re.search(name, check.name) for check in verify_files(source, target).failures)
    assert verify_files(source, source).ok
    return Finding(f"{named} of {len(changed)} named", named == len(changed))


@row("7 Plan", varies=True)
def plan_beside_the_run(tmp_path: Path) -> Finding:
    """A plan: under 20 s, nothing written; its figures beside those of the run (`python benchmarks/plan.py`)."""
    if not PLAN_RESULTS.exists():
        raise Unmeasured(f"no {PLAN_RESULTS.name}")
    results = json.loads(PLAN_RESULTS.read_text())
    longest = max(case["plan_seconds"] for case in results["cases"])
    words = "; ".join(
        f"{case['name']}: {case['estimate']['seconds']:.1f} s for {case['run']['seconds']:.1f} s, "
        f"{case['estimate']['bytes'] / 1e6:.2f} MB for {case['run']['bytes'] / 1e6:.2f} MB"
        for case in results["cases"]
    )
    return Finding(
        f"longest plan {longest:.1f} s; {words}", longest < 20 and all(case["untouched"] for case in results["cases"])
    )


@row("8 Bad input")
def bad_input(tmp_path: Path) -> Finding:
    """Odd and broken files: done, or one clear line (exit code 2), nothing half-written."""
    outcomes = Counter()
    for name, (make, expected) in BAD.items():
        place = folder(tmp_path, name)
        source = make(place)
        before = {path.name for path in place.iterdir()}
        try:
            run(source, place / "out.mkv", scale=1)
            said = "done"
            assert (place / "out.mkv").exists()
        except VidsrError as error:
            said = str(error)
            assert "\n" not in said.replace(str(source), "") and {path.name for path in place.iterdir()} == before
        assert re.search(expected, said), f"{name}: {said}"
        outcomes["done" if said == "done" else "refused"] += 1
    names = ", ".join(name.replace("_", " ") for name in BAD)
    return Finding(f"{outcomes['done']} done, {outcomes['refused']} refused in one line ({names})", True)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def shortened(path: Path) -> Path:
    return written(path, path.read_bytes()[: path.stat().st_size * 2 // 3])


def with_garbage(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    return written(path, bytes(data))


def without_times(folder: Path) -> Path:
    """A bare H.264 stream, which has none."""
    source = make_clip(folder / "a.ts", 20, options={"bf": "0"})
    with av.open(str(source)) as old:
        data = b"".join(bytes(packet) for packet in old.demux(video=0))
    source.unlink()
    return written(folder / "a.h264", data)


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated_mp4": (lambda f: shortened(make_clip(f / "a.mp4", 60)), "cannot be read"),
    "truncated_matroska": (lambda f: shortened(make_clip(f / "a.mkv", 60, gop=10)), "^done"),
    "garbage_in_the_middle": (lambda f: with_garbage(make_clip(f / "a.mkv", 60, (128, 96), crf=10, gop=10)), "^done"),
    "zero_length": (lambda f: written(f / "a.mp4", b""), "is empty"),
    "text": (lambda f: written(f / "a.mp4", b"text\n" * 99), "cannot be read"),
    "wrong_extension": (lambda f: make_clip(f / "a.mkv", 5).rename(f / "a.mp4"), "^done"),
    "changing_resolution": (
        lambda f: written(
            f / "c.ts",
            make_clip(f / "a.ts", 5).read_bytes() + make_clip(f / "b.ts", 5, (96, 48)).read_bytes(),
        ),
        "changes from 64x48 to 96x48",
    ),
    "1x1": (lambda f: make_clip(f / "a.mkv", 3, (1, 1), codec="ffv1"), "^done"),
    "7680x4320": (lambda f: make_clip(f / "a.mkv", 1, (7680, 4320), crf=40), "^done"),
    "0_fps": (lambda f: written(f / "a.y4m", b"YUV4MPEG2 W4 H2 F0:1 C420\nFRAME\n" + bytes(12)), "^done"),
    "missing_times": (without_times, "^done"),
    "huge_metadata": (lambda f: make_clip(f / "a.mkv", 3, metadata={"comment": "x" * 2_000_000}), "^done"),
    "odd_path": (lambda f: make_clip(f / "a.mkv", 3).rename(f / "a 'b' \"c\"\n%03d ö字.mkv"), "^done"),
}  # fmt: skip


@row("8 Bad input")
def symlink_loop(tmp_path: Path) -> Finding:
    """A loop of links in a folder: every clip enhanced once."""
    clips = folder(tmp_path, "clips")
    for name in ("a", "b"):
        make_clip(folder(clips, name) / f"{name}.mp4", 3)
        (clips / name / "loop").symlink_to(clips, target_is_directory=True)
    options = parse_options(scale=1, preset="ultrafast", log=False)
    with Reporter(Verbosity.QUIET) as reporter:
        code = enhance_all([clips], tmp_path / "out", options, reporter)
    made = list((tmp_path / "out").rglob("*.mp4"))
    return Finding(f"{len(made)} of 2 clips, exit code {int(code)}", len(made) == 2 and code == 0)


@row("8 Bad input", varies=True, tested_in="tests/video/test_fuzz.py")
def fuzzed_clips(tmp_path: Path) -> Finding:
    """Seeded damage (bytes, garbage, cut, header) of whole clips in mp4, mkv, ts, webm, avi, mov, nut and y4m: done or
    one clear line, in time, nothing half-written, an existing file untouched, no thread left.
    """
    outcomes: Counter[str] = Counter()
    begun, slowest = perf_counter(), 0.0
    clips = fuzz.whole_clips(folder(tmp_path, "whole"))
    places = [folder(tmp_path, number) for number in range(len(clips))]
    for (number, whole), seed in product(enumerate(clips), range(VARIANTS)):
        started = perf_counter()
        outcomes[fuzz.outcome(whole, places[number], number, seed)] += 1
        left = [
            thread.name for thread in threading.enumerate() if thread.name.startswith(("vidsr-decode", "vidsr-stages"))
        ]
        assert not left, f"{whole.name}, seed {seed}: {left}"
        slowest = max(slowest, perf_counter() - started)
    words = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    return Finding(
        f"{len(clips) * VARIANTS} variants, {VARIANTS} of each clip: {words}; slowest {slowest:.1f} s, "
        f"{perf_counter() - begun:.0f} s in all",
        True,
    )
