"""Publishing: weights get their scores, and a model card."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidsr.cli.models import print_models
from vidsr.evaluate import model_cards as cards
from vidsr.evaluate.publish import main as publish_main
from vidsr.evaluate.publish import publish
from vidsr.models import build_network, list_models, load_model, weight_files
from vidsr.options.weights_index import INDEX, read_index


def test_published_weights_carry_their_scores_and_get_a_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    (tmp_path / "run").mkdir()
    (tmp_path / "squares").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "squares" / "a.png"), image)
    config = {"scale": 2, "channels": 8, "layers": 1}
    weights = tmp_path / "run" / "tiny-clean-x2.safetensors"
    recipe = 'name = "tiny"\ninit = "somewhere/other-clean-x2.safetensors"\n'
    metadata = {"architecture": "plain", "config": json.dumps(config), "recipe": recipe}
    metadata |= {"data": "squares", "steps": "3 of 4", "minutes": "0.1", "note": "for the eye"}
    weight_files.write(weights, build_network("plain", config), metadata)

    scores = publish(weights, [tmp_path / "squares"], tmp_path / "shipped")
    words = ["publish", str(weights), str(tmp_path / "squares"), "-o", str(tmp_path / "again")]
    monkeypatch.setattr("sys.argv", words)
    publish_main()
    assert (tmp_path / "again" / "README.md").exists() and str(scores) in capsys.readouterr().out
    model = load_model("tiny", 2, folder=tmp_path / "shipped")
    assert json.loads(model.metadata["scores"]) == scores
    assert scores["squares"].keys() == {"psnr_y", "ssim", "bicubic_psnr_y"}
    print_models(False, tmp_path / "shipped")
    assert "tiny x2: for the eye" in capsys.readouterr().out
    text = cards.write(tmp_path / "shipped").read_text()
    for part in (
        "tiny-clean-x2.safetensors",
        "Trained 3 of 4 steps",
        "other-clean-x2",
        "**For the eye.**",
        f"{scores['squares']['psnr_y']:.2f}",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("data", "task", "words"),
    [
        ("blur", "upscale", "Gaussian blur"),
        ("codec, codec-h264", "upscale", "libx264"),
        ("noise", "upscale", "noise of"),
        ("photos2", "deblur", "Gaussian blur"),
    ],
)
def test_a_restoration_network_is_scored_on_what_it_undoes(data: str, task: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "squares").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (64, 66, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "squares" / "a.png"), image)
    network = build_network("unshuffled", {"scale": 1, "channels": 8, "layers": 1})
    for parameter in network.parameters():
        parameter.data.zero_()  # leaves everything as it is
    metadata = {"architecture": "unshuffled", "config": json.dumps({"scale": 1, "channels": 8, "layers": 1})}
    recipe = f'name = "tiny"\ntask = "{task}"'
    metadata |= {"recipe": recipe, "data": data, "steps": "3 of 4", "minutes": "0.1"}
    weight_files.write(tmp_path / "run" / "tiny-any-x1.safetensors", network, metadata)
    scores = publish(tmp_path / "run" / "tiny-any-x1.safetensors", [tmp_path / "squares"], tmp_path / "shipped")
    assert scores["squares"]["psnr_y"] == scores["squares"]["input_psnr_y"] < 40
    assert words in cards.write(tmp_path / "shipped").read_text()


def test_the_shipped_cards_are_those_of_the_shipped_weights(tmp_path: Path) -> None:
    written = weight_files.WEIGHTS / "README.md"
    committed = written.read_text()
    for entry in weight_files.list_weights():
        model = load_model(entry.name, entry.scale, domain=entry.domain)
        assert cards.card(model).splitlines()[2] in committed, (
            f"run python -m vidsr.evaluate.model_cards: {entry.path.name}"
        )


def test_the_index_that_vidsr_models_prints_fits_the_shipped_weights(tmp_path: Path) -> None:
    assert read_index() == list_models(), "run python -m vidsr.evaluate.model_cards"
    assert read_index(tmp_path) is None  # no index
    (tmp_path / INDEX).write_text((weight_files.WEIGHTS / INDEX).read_text())
    assert read_index(tmp_path) is None  # an index of other files


def test_vidsr_models_does_not_import_pytorch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['vidsr', 'models']; from vidsr.cli.app import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "in int8 on a CPU with VNNI or AMX: balanced, best, fast\n" in done.stdout
    assert "balanced x4 clean" in done.stdout and "lanczos" in done.stdout and "wiener" in done.stdout


def test_the_checksums_of_the_shipped_weights_are_listed() -> None:
    assert (weight_files.WEIGHTS / weight_files.CHECKSUMS).read_text() == cards.checksums(), (
        "run python -m vidsr.evaluate.model_cards"
    )
