"""JSON of plans and reports: nothing is lost, and real output matches the documented schemas."""

import json
import re
from dataclasses import FrozenInstanceError
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from tests.clips import make_clip
from vidsr import enhance
from vidsr.frames import ColorInfo, HdrInfo, VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.options.paths import OutputKind
from vidsr.pipeline.estimate import estimate_all
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.pipeline.schema import DOCUMENTS, schema
from vidsr.stages.build import build_stages
from vidsr.stages.diagnosis import ClipSamples

REPO = Path(__file__).parents[2]
CLIP = VideoInfo(64, 48, Fraction(24000, 1001), codec="h264", bit_rate=10_000, time_base=Fraction(1, 24000), frames=9)
HDR = VideoInfo(
    66,
    50,
    Fraction(25),
    "422",
    10,
    ColorInfo("bt2020nc", "bt2020", "smpte2084", "limited", "left"),
    Fraction(4, 3),
    (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
    HdrInfo(((Fraction(1, 3),) * 2,) * 3, (Fraction(1, 3),) * 2, (Fraction(1, 10000), Fraction(1000)), 1000, 400),  # type: ignore[arg-type]
    "progressive",
    Fraction(7, 2),
)
STILL = VideoInfo(33, 17, None, "444")
SAMPLES = ClipSamples((torch.randint(0, 256, (1, 1, 48, 64), dtype=torch.uint8),), 31.0)

CASES: list[tuple[dict[str, Any], VideoInfo, OutputKind]] = [
    ({"scale": 2}, CLIP, "clip"),
    ({"scale": "5/2", "model": "fast+", "precision": "fp32", "tile": 32, "batch": 2}, CLIP, "clip"),
    ({"scale": 8, "model": "fast", "device": "cpu,cpu", "memory": "2G"}, CLIP, "clip"),
    ({"scale": "1/2", "fps": "60", "codec": "prores_ks"}, CLIP, "clip"),
    ({"height": 108, "square_pixels": True, "codec": "libx265", "crf": 20.5, "encoder_options": ["a=b"]}, HDR, "clip"),
    ({"size": "99x77", "model": "nearest", "chroma": "420"}, HDR, "clip"),
    ({"fps": "5/2x", "interpolation": "net", "repeats": "interpolate"}, CLIP, "clip"),
    ({"slow_motion": "8x", "slow_audio": True}, CLIP, "clip"),
    ({"restore": "auto", "denoise": "auto", "deblur": "0.5", "deblur_model": "wiener:1.6"}, CLIP, "clip"),
    ({"denoise": 1.0, "denoise_model": "nlm", "temporal_denoise": False, "log": "none"}, CLIP, "clip"),
    ({"scale": 2, "start": "0.5", "end": "1:02.5", "frames": 7, "deinterlace": "off", "alpha": "drop"}, CLIP, "planes"),
    ({"scale": 2, "reference": "truth.mkv", "log": "log.csv", "input_fps": "24"}, CLIP, "images"),
    ({"scale": 4, "deblur": True}, STILL, "clip"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "info", "output_kind"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_a_plan_survives_the_round_trip_through_json_text(
    options: dict[str, Any], info: VideoInfo, output_kind: OutputKind
) -> None:
    plan = make_plan(parse_options(**options), info, SAMPLES, output_kind, logged=True)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json(), allow_nan=False)))
    assert again == plan
    assert again.words == plan.words and again.weights == plan.weights and again.log_columns == plan.log_columns


def test_a_plan_is_frozen_and_builds_fresh_stages_each_time() -> None:
    plan = make_plan(parse_options(scale=2, model="fast", fps="2x"), CLIP)
    with pytest.raises(FrozenInstanceError):
        plan.frames_per_batch = 1  # type: ignore[misc]
    first, second = (build_stages(plan.stages, plan.source).in_order for _ in range(2))
    assert [stage.name for stage in first] == [stage.name for stage in second]
    assert not {id(stage) for stage in first} & {id(stage) for stage in second}


def written(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((REPO / "docs" / "schemas" / f"{name}.schema.json").read_text())
    return data


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documented_schemas_are_those_of_the_code(name: str) -> None:
    kind, title = DOCUMENTS[name]
    assert written(name) == json.loads(json.dumps(schema(kind, title))), "run scripts/write_schemas"
    jsonschema.Draft202012Validator.check_schema(written(name))


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2, "fps": "2x"},
        {"restore": "auto", "deblur": "0.5", "deblur_model": "unsharp", "verify": False},
        {"scale": "1/2", "slow_motion": "2x", "model": "fast", "log": "none"},
    ],
)
def test_real_output_matches_the_schemas(tmp_path: Path, options: dict[str, Any]) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=4, audio=1, subtitles="ass")
    report = enhance(source, tmp_path / "b.mp4", preset="ultrafast", **options)
    record = json.loads((tmp_path / ".vidsr" / "b.mp4.report.json").read_text())
    jsonschema.validate(record, written("report"))
    assert Plan.from_json(record["plan"]) == report.plan
    assert all(key.isidentifier() for key in record["counts"])
    assert all(note["code"].isidentifier() and note["text"] for note in record["notes"])
    planned = estimate_all([source], tmp_path / "c.mp4", parse_options(preset="ultrafast", **options)).to_json()
    jsonschema.validate(json.loads(json.dumps(planned)), written("plan"))


def test_output_with_an_unknown_field_does_not_match(tmp_path: Path) -> None:
    plan = estimate_all([make_clip(tmp_path / "a.mp4", frames=2)], None, parse_options(scale=2, model="bicubic"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plan.to_json() | {"unknown": 1}, written("plan"))


def test_every_note_code_and_count_is_documented() -> None:
    document = (REPO / "docs" / "json.md").read_text()
    code = "\n".join(path.read_text() for path in (REPO / "vidsr").rglob("*.py"))
    codes = set(re.findall(r"""(?:notes\.(?:info|warn)|\bNote)\(\s*"(\w+)",""", code))
    build = (REPO / "vidsr" / "stages" / "build.py").read_text()
    counts = set(re.findall(r"""problems\["(\w+)"\]""", code)) | set(re.findall(r"""counts\["(\w+)"\]""", build))
    assert len(codes) > 20 and len(counts) > 10
    elsewhere = {"undecodable_packets", "damaged_frames", "damaged_packets_left_out"}  # in a verification, in a note
    assert [name for name in codes | counts - elsewhere if f"`{name}`" not in document] == []
