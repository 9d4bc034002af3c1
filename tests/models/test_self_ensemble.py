"""Self-ensembles of networks."""

from pathlib import Path

import pytest
import torch

from tests.models.test_model import write_weights
from vidsr.errors import ModelError
from vidsr.models import Model, available_scales, load_model
from vidsr.models.architectures import recurrent
from vidsr.models.architectures.unshuffled import Config, Unshuffled
from vidsr.models.equivariant import SYMMETRIES, apply_symmetry, is_equivariant
from vidsr.models.self_ensemble import SelfEnsemble, ensemble_mean
from vidsr.train.methods.equivariance import tie


def test_the_self_ensemble_of_an_equivariant_function_is_the_function() -> None:
    image = torch.rand(1, 1, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(ensemble_mean(lambda x: 2 * x, image), 2 * image)


@pytest.mark.parametrize("symmetry", range(SYMMETRIES))
def test_a_self_ensemble_is_equivariant(tmp_path: Path, symmetry: int) -> None:
    write_weights(tmp_path)
    model = load_model("tiny+", 2, folder=tmp_path)
    image = torch.rand(2, 1, 20, 14)
    expected = apply_symmetry(model(image), symmetry)
    torch.testing.assert_close(model(apply_symmetry(image, symmetry)), expected, atol=1e-6, rtol=0)


def test_the_output_is_the_mean_over_all_symmetries(tmp_path: Path) -> None:
    write_weights(tmp_path)
    one, ensemble = (load_model(name, 2, folder=tmp_path) for name in ("tiny", "tiny+"))
    image = torch.rand(1, 1, 9, 11)
    torch.testing.assert_close(ensemble(image), ensemble_mean(one, image), atol=1e-6, rtol=0)


def test_a_plus_after_a_name_means_self_ensemble(tmp_path: Path) -> None:
    write_weights(tmp_path)
    one, model = (load_model(name, 2, folder=tmp_path) for name in ("tiny", "tiny+"))
    assert (model.name, model.scale, model.halo, model.domain) == ("tiny+", 2, one.halo, "clean")
    assert model.parameters_count == one.parameters_count
    assert model.kmac_per_pixel == pytest.approx(SYMMETRIES * one.kmac_per_pixel)
    assert model.bytes_per_pixel == one.bytes_per_pixel
    assert available_scales("tiny+", folder=tmp_path) == (2,)
    with pytest.raises(ModelError, match="no model is called 'bicubic'"):
        load_model("bicubic+", 2, folder=tmp_path)


def test_an_equivariant_network_has_no_self_ensemble(tmp_path: Path) -> None:
    write_weights(tmp_path)
    model = load_model("tiny", 2, folder=tmp_path)
    assert not is_equivariant(model.network)
    tie(model.network)
    assert is_equivariant(model.network)
    with pytest.raises(ModelError, match=r"tiny x2 is equivariant already: leave out the \+"):
        model.self_ensemble()


def test_a_restoration_network_has_no_self_ensemble() -> None:
    with pytest.raises(ModelError, match="which is for upscaling"):
        SelfEnsemble(Unshuffled(Config()))


def test_a_temporal_model_has_no_self_ensemble() -> None:
    model = Model(
        "small-t", "clean", Path("none"), recurrent.Recurrent(recurrent.Config(2, channels=8, layers=1, hidden=8)), {}
    )
    with pytest.raises(ModelError, match="small-t has a state"):
        model.self_ensemble()
