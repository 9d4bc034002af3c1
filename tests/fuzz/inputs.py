"""Campaign 1: damaged inputs with random options."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

from tests.fuzz.process import Findings, changed, contents, leftovers, run_forked

MINE = {"mine.txt": "precious", "old.mkv": "an existing file", "old.mkv.report.json": "mine", "s/00002.png": "mine"}
SIZES = ("--scale 2", "--scale 1/2", "--scale 1", "--scale 1.5", "--height 30", "--size 50x40")
EXTRAS = (
    *("--fps 2x --interpolation blend", "--fps 30", "--fps 24000/1001 --interpolation blend", "--repeats interpolate"),
    *("--slow-motion 2x --interpolation blend", "--slow-motion 2x --slow-audio", "--video-track 1", "--input-fps 10"),
    *("--start 0.1", "--start 0.15 --end 0.4", "--end 0.2", "--frames 3", "--frames 1", "--alpha drop"),
    *("--restore auto", "--denoise auto", "--deblur auto", "--denoise 0.5 --denoise-model nlm", "--domain compressed"),
    *("--deinterlace force", "--deinterlace off", "--square-pixels", "--chroma 444", "--chroma 422", "--batch 3"),
    *("--log none", "--no-verify", "--overwrite", "--overwrite", "--quiet", "--verbose", "--memory 900M", "--tile 32"),
    *("--codec ffv1", "--codec libx265", "--codec null", "--crf 30", "--device cpu"),
)
MODELS = ("nearest", "bicubic", "bilinear", "lanczos", "fast")
OUTPUTS = ("new.mp4", "new.mkv", "new.mov", "new.webm", "new.y4m", "old.mkv", "s/%05d.png", "-", "new/deep.mp4", None)
OTHER_COMMANDS = (
    *("info SOURCE", "info SOURCE --json", "verify SOURCE SOURCE", "verify WHOLE SOURCE"),
    "compare SOURCE --models nearest,bicubic --scale 2 -o new",
    "compare SOURCE --fps 2x --models blend -o new",
    "degrade SOURCE -o new.mp4 --scale 1/2 --preset ultrafast",
    "dataset SOURCE -o new.safetensors --every 2 --split 100,0,0",
)
ENCODERS = {"webm": ("--codec", "libvpx"), ".png": (), ".y4m": (), "-": ()}  # by the end of the output's name
IMAGES = (".png", ".jpg", ".webp", ".tiff", ".bmp")
TOUCHED = re.compile(
    r"new.*|source\.[^/]*\.(mp4|mkv|webm|mov|png|jpg|webp|tiff|bmp)(\..*)?|s|s/.*|old\.failed\d*\.mkv.*|\.vidsr(/.*)?"
)
REPLACED = re.compile(r"old\.mkv.*|s/.*")  # by --overwrite


def damaged(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one to three kinds of damage."""
    mutable = bytearray(data)
    if rng.random() < 0.08:  # the options alone
        return data
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutable = rng.choice(DAMAGES)(mutable, other, rng) or bytearray(b"\0")
    return bytes(mutable)


def _bytes(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 40)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def _bits(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _header(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(min(len(data), 600))] = rng.randrange(256)
    return data


def _garbage(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    fill = rng.randbytes(rng.randint(1, 400))
    data[at : at + len(fill)] = fill
    return data


def _zeros(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at, length = rng.randrange(len(data)), rng.randint(1, max(2, len(data) // 12))
    data[at : at + length] = bytes(min(length, len(data) - at))
    return data


def _cut(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    return data[: int(len(data) * rng.random() ** 0.4)]


def _without_a_part(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, max(2, len(data) // 12))]
    return data


def _with_a_part_twice(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    part = data[at : at + rng.randint(1, max(2, len(data) // 2))]
    return data[:at] + part + data[at:]


def _huge_number(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at = rng.randrange(min(len(data), rng.choice((200, 2000, 10**9))))
    number = rng.choice(
        (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\0", b"\xff" * 8)
    )
    data[at : at + len(number)] = number
    return data[: max(len(data), 1)]


def _joined(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    return data + bytearray(other)


def _begins_late(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    return data[int(len(data) * rng.random() ** 2.5) :]


DAMAGES = (
    *(_bytes, _bits, _bits, _header, _garbage, _zeros, _cut, _without_a_part, _with_a_part_twice, _huge_number),
    *(_joined, _begins_late),
)


def random_words(source: str, whole: str, rng: random.Random) -> list[str]:
    """Return the words of a command that reads ``source``; ``whole`` is its undamaged file."""
    if rng.random() < 0.15:
        names = {"SOURCE": source, "WHOLE": whole}
        return [names.get(word, word) for word in rng.choice(OTHER_COMMANDS).split()]
    words = ["enhance", source, *rng.choice(SIZES).split(), "--model", rng.choice(MODELS)]
    for extra in rng.sample(EXTRAS, rng.choice((0, 0, 1, 1, 2, 3))):
        flags = [word for word in extra.split() if word.startswith("--")]
        if not set(flags) & set(words):
            words += extra.split()
    target = rng.choice(OUTPUTS)
    if target is not None and source.endswith(IMAGES) and rng.random() < 0.8:
        target = f"new{Path(source).suffix}"
    if "--codec" not in words:
        words += ENCODERS.get((target or "")[-4:], ("--preset", "ultrafast"))
    return words if target is None else [*words, "-o", target]


def fuzz_inputs(wholes: list[Path], numbers: range, seed: int, place: Path) -> Findings:
    """Run on a damaged copy of a file for each of ``numbers``, in folders below ``place``."""
    findings = Findings.none()
    for number in numbers:
        rng = random.Random(f"inputs {seed} {number}")
        whole = wholes[number % len(wholes)]
        folder = place / "inputs"
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in MINE.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        source = folder / f"source{whole.suffix}"
        source.write_bytes(damaged(whole.read_bytes(), rng.choice(wholes).read_bytes(), rng))
        words = random_words(source.name, str(whole), rng)
        before = contents(folder)
        outcome = run_forked(words, folder)
        faults = [f"leftovers: {name}" for name in leftovers(folder)]
        for name in sorted(changed(before, contents(folder))):
            replaced = "--overwrite" in words and REPLACED.fullmatch(name)
            if not (replaced or (name not in before and TOUCHED.fullmatch(name))):
                kind = "files changed" if name in before else "leftovers"
                faults.append(f"{kind}: {name}")
        findings.add(outcome, f"inputs {number} ({whole.suffix})", *faults)
    return findings
