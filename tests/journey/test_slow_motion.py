"""Slow motion: exact times, and audio in sync."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import make_clip
from vidsr import enhance
from vidsr.errors import Notes, OptionError, OutputError
from vidsr.options.enhance import parse_options
from vidsr.video.slow_audio import speeds


def slowed(source: Path, target: Path, **options: object) -> list[str]:
    """Return the notes of a run."""
    notes = Notes()
    enhance(source, target, on_note=notes.add, interpolation="blend", log=False, **options)
    return notes.texts


def frame_times(path: Path) -> list[Fraction]:
    with av.open(path) as file:
        stamps = [(frame.pts, frame.time_base) for frame in file.decode(video=0)]
    return [Fraction(stamp or 0) * Fraction(base or 0) for stamp, base in stamps]


def audible_range(path: Path) -> tuple[float, float]:
    """Return when the audible part of the audio begins and ends, in seconds."""
    heard: list[tuple[float, float]] = []
    with av.open(path) as file:
        for frame in file.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray().astype(np.float64)).max(0) > 0.02)
            if len(loud):
                heard += [(float(frame.time or 0) + n / frame.sample_rate) for n in (loud[0], loud[-1])]  # type: ignore[misc]
    return min(heard), max(heard)  # type: ignore[return-value]


def test_slow_motion_by_8_makes_8_times_as_many_frames_at_exact_times(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=5, fps=Fraction(25), audio=2, subtitles="ass", chapters=True)
    notes = slowed(source, tmp_path / "b.mp4", slow_motion="8x")
    assert frame_times(tmp_path / "b.mp4") == [Fraction(n, 25) for n in range(40)]
    with av.open(tmp_path / "b.mp4") as file:
        assert [stream.type for stream in file.streams] == ["video"]
    assert sum("(slow motion)" in note for note in notes) == 4  # two audio tracks, subtitles, chapters


def test_fps_is_the_rate_of_the_slow_clip(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=5, fps=Fraction(24))
    slowed(source, tmp_path / "b.mp4", slow_motion="2", fps="60")
    times = frame_times(tmp_path / "b.mp4")
    assert times == [Fraction(n, 60) for n in range(len(times))]
    assert len(times) == 25


@pytest.mark.parametrize(("factor", "suffix"), [(3, ".mp4"), (8, ".mkv"), (2, ".webm")])
def test_slowed_audio_stays_in_sync(tmp_path: Path, factor: int, suffix: str) -> None:
    late = Fraction(1, 2)
    source = make_clip(tmp_path / "a.mp4", frames=30, fps=Fraction(25), audio=1, audio_start=late)
    notes = slowed(
        source, tmp_path / f"b{suffix}", slow_motion=f"{factor}x", slow_audio=True,
        codec="libvpx-vp9" if suffix == ".webm" else "libx264",
    )  # fmt: skip
    assert any("slowed down and encoded again" in note for note in notes)
    began, ended = audible_range(source)
    after = audible_range(tmp_path / f"b{suffix}")
    assert after[0] == pytest.approx(began * factor, abs=0.04 * factor)
    assert after[1] == pytest.approx(ended * factor, abs=0.06 * factor)


def bursts(path: Path, layout: str = "mono", rate: int = 48000) -> Path:
    """Write a clip of three seconds with 1000 Hz from 0.9 to 1.1 s and from 1.9 to 2.1 s in PCM."""
    times = np.arange(3 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * times) * (np.abs(times - np.clip(np.round(times), 1, 2)) < 0.1)
    with av.open(path, "w") as file:
        video, audio = file.add_stream("libx264", rate=25), file.add_stream("pcm_s16le", rate=rate, layout=layout)
        video.width, video.height = 64, 48
        samples = np.repeat((tone * 32767).astype(np.int16), audio.layout.nb_channels)[None]
        heard = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        heard.sample_rate, heard.pts, heard.time_base = rate, 0, Fraction(1, rate)
        file.mux(audio.encode(heard) + audio.encode(None))
        for number in range(75):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    "factor", [Fraction(3, 2), *(pytest.param(Fraction(n), marks=pytest.mark.slow) for n in (2, 8))]
)
def test_slowed_audio_keeps_its_pitch_and_its_time_to_a_hundredth_of_a_source_second(
    tmp_path: Path, factor: Fraction
) -> None:
    slowed(bursts(tmp_path / "a.mkv"), tmp_path / "b.mp4", slow_motion=str(factor), slow_audio=True)
    with av.open(tmp_path / "b.mp4") as file:
        frames = [(float(frame.time or 0), frame.to_ndarray()[0]) for frame in file.decode(audio=0)]
    (start, _), rate = frames[0], 48000
    samples = np.concatenate([values for _, values in frames])
    power = samples.astype(np.float64) ** 2
    times = start + np.arange(len(power)) / rate
    for second in (1, 2):
        near = np.abs(times - second * factor) < factor / 2
        assert np.average(times[near], weights=power[near]) == pytest.approx(second * factor, abs=0.01 * factor)
    assert np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples) == pytest.approx(1000, abs=10)
    assert times[-1] == pytest.approx(3 * factor, abs=0.04 * factor)


def test_audio_that_changes_rate_and_layout_on_the_way_is_slowed_to_its_end(tmp_path: Path) -> None:
    def part(number: int, rate: int, layout: str) -> bytes:
        path = tmp_path / f"{number}.ts"
        with av.open(str(path), "w") as file:
            video, audio = file.add_stream("mpeg2video", rate=25), file.add_stream("mp2", rate=rate, layout=layout)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            tone = (np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 9000).astype(np.int16)
            samples = np.repeat(tone, audio.layout.nb_channels)[None]
            sound = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            sound.sample_rate, sound.pts, sound.time_base = rate, number * rate, Fraction(1, rate)
            file.mux(audio.encode(sound) + audio.encode(None))
            for n in range(25):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts, frame.time_base = 25 * number + n, Fraction(1, 25)
                file.mux(video.encode(frame))
            file.mux(video.encode(None))
        return path.read_bytes()

    (tmp_path / "a.ts").write_bytes(part(0, 48000, "stereo") + part(1, 44100, "mono"))
    slowed(tmp_path / "a.ts", tmp_path / "b.mp4", slow_motion="2x", slow_audio=True)
    start, end = audible_range(tmp_path / "b.mp4")
    assert start == pytest.approx(0, abs=0.1)
    assert end == pytest.approx(4, abs=0.2)


def test_audio_that_the_encoder_does_not_support_is_one_clear_error_and_leaves_no_file(tmp_path: Path) -> None:
    source = bursts(tmp_path / "a.mkv", rate=192_000)
    with pytest.raises(OutputError, match=r"audio of mono at 192000 Hz is not supported.*leave out --slow-audio"):
        slowed(source, tmp_path / "b.mp4", slow_motion="2x", slow_audio=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_one_atempo_filter_at_most_halves_the_speed() -> None:
    for factor in (Fraction(3, 2), Fraction(2), Fraction(5), Fraction(8), Fraction(100)):
        steps = speeds(1 / factor)
        assert np.prod([float(step) for step in steps]) == pytest.approx(1 / float(factor))
        assert min(steps) >= Fraction(1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slow_motion": "0.5x"}, "is faster"),
        ({"slow_motion": "slow"}, "not a number"),
        ({"fps": "2x", "slow_audio": True}, "--slow-audio has no effect without --slow-motion"),
        ({"fps": "2x", "repeats": "drop"}, "choose keep, interpolate"),
        ({"fps": "2x", "interpolation": "rifle"}, "choose auto, flow, net"),
        ({"scale": 2, "interpolation": "flow"}, "has no effect, as no option asks for new frames: add --fps"),
    ],
)
def test_options_that_contradict_slow_motion_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_options(**options)  # type: ignore[arg-type]
