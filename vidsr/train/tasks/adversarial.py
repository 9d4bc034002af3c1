"""Task `adversarial`: train a generator against a discriminator, for perceptual quality.

SRGAN (Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017). Its
content loss compares features of VGG19, and so does a recipe that names a file of those weights. They cannot be
shipped, so without them the content loss compares features of the discriminator (as in pix2pixHD, Wang et al. 2018).
The recipe's pixel losses are added.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.errors import InputError, ModelError
from vidsr.models.layers import crop_border
from vidsr.train.checkpoint import DiscriminatorState, State
from vidsr.train.data.patches import Patches
from vidsr.train.recipe import Adversarial, Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, learning_rate, weighted_loss

VGG_LAYERS = 36  # of torchvision's vgg19().features, up to the ReLU after the last convolution: VGG5.4 of the paper
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Discriminator(nn.Module):
    """The discriminator of SRGAN, for luma patches of any size.

    Eight 3x3 convolutions, every second one with stride 2 and twice the channels after it; LeakyReLU 0.2; batch norm on
    all but the first; two dense layers on the mean over the patch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for out in (channels, 2 * channels, 4 * channels, 8 * channels):
            layers += [_conv_block(width, out, 1, norm=width > 1), _conv_block(out, out, 2, norm=True)]
            width = out
        self.layers = nn.ModuleList(layers)
        self.classifier = nn.Sequential(nn.Linear(width, 2 * width), nn.LeakyReLU(0.2), nn.Linear(2 * width, 1))

    def forward(self, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits of being a true HR patch, and the features of each layer.

        ``y``: N x 1 x H x W in [0, 1]. The logits are N float32.
        """
        features: list[Tensor] = []
        for layer in self.layers:
            y = layer(y)
            features.append(y)
        return self.classifier(y.mean((2, 3)))[:, 0].float(), features


def _conv_block(channels: int, out: int, stride: int, norm: bool) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, 3, stride, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(out) if norm else nn.Identity(), nn.LeakyReLU(0.2))


def make_discriminator(recipe: Recipe, device: torch.device) -> DiscriminatorState:
    """Return an untrained discriminator and its optimiser, from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    network = Discriminator(recipe.adversarial.channels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.adversarial.learning_rate, betas=recipe.betas)
    return DiscriminatorState(network, optimiser)


def train_step(recipe: Recipe, state: State, interior: Interior, patches: Patches) -> Losses:
    """Do one step of the discriminator, then one of the generator."""
    assert state.discriminator is not None
    lr, hr = patches.batch_at(state.step)
    truth = crop_border(hr, recipe.scale * state.network.halo)
    with autocast(recipe, state, lr.device):
        output = interior(lr).float()
    losses = discriminator_step(recipe, state, state.discriminator, output.detach(), truth)
    losses |= generator_step(recipe, state, state.discriminator, output, truth)
    return losses


def discriminator_step(
    recipe: Recipe, state: State, discriminator: DiscriminatorState, output: Tensor, truth: Tensor
) -> Losses:
    """Do one step of the discriminator towards telling ``output`` from ``truth``."""
    for group in discriminator.optimiser.param_groups:
        group["lr"] = recipe.adversarial.learning_rate * learning_rate(recipe, state) / recipe.learning_rate
    with autocast(recipe, state, truth.device):
        (true, _), (generated, _) = discriminator.network(truth), discriminator.network(output)
    loss = _cross_entropy(true, 1.0) + _cross_entropy(generated, 0.0)
    discriminator.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    discriminator.optimiser.step()
    return {
        "discriminator": loss.detach(),
        "probability_of_truth": torch.sigmoid(true).mean().detach(),
        "probability_of_output": torch.sigmoid(generated).mean().detach(),
    }


def generator_step(
    recipe: Recipe, state: State, discriminator: DiscriminatorState, output: Tensor, truth: Tensor
) -> Losses:
    """Do one step of the generator.

    It moves towards the truth in pixels and features, and towards a higher score by the discriminator.
    """
    settings = recipe.adversarial
    discriminator.network.requires_grad_(False)  # only the generator learns here
    with autocast(recipe, state, truth.device):
        score, features = discriminator.network(output)
        content = content_loss(settings, discriminator, output, truth, features)
    pixels = weighted_loss(recipe, state.step, output, truth)
    adversarial = _cross_entropy(score, 1.0)
    loss = pixels + settings.weight * adversarial + settings.content * content
    descend(recipe, state, loss)
    discriminator.network.requires_grad_(True)
    parts = {"loss": loss, "pixels": pixels, "adversarial": adversarial, "content": content}
    return {name: value.detach() for name, value in parts.items()}


def content_loss(
    settings: Adversarial, discriminator: DiscriminatorState, output: Tensor, truth: Tensor, features: list[Tensor]
) -> Tensor:
    """Return the distance between the features of ``output`` and of ``truth``.

    The features are those of VGG19 if the recipe names its weights, else those of the discriminator; ``features`` holds
    the latter for ``output``.
    """
    if settings.vgg:
        vgg = vgg_features(Path(settings.vgg), truth.device)
        return F.mse_loss(vgg(normalise_for_vgg(output)).float(), vgg(normalise_for_vgg(truth)).float())
    with torch.no_grad():
        _, true_features = discriminator.network(truth)
    pairs = zip(features, true_features, strict=True)
    return torch.stack([F.l1_loss(a.float(), b.float()) for a, b in pairs]).mean()


def normalise_for_vgg(luma: Tensor) -> Tensor:
    """Return limited-range luma as the normalised RGB input of VGG19.

    The three channels are equal, normalised with the mean and deviation of ImageNet.
    """
    grey = ((luma * 255 - 16) / 219).expand(-1, 3, -1, -1)
    mean, deviation = (torch.tensor(v, device=luma.device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (grey - mean) / deviation


@cache
def vgg_features(path: Path, device: torch.device) -> nn.Module:
    """Return the convolutions of VGG19 with the weights in ``path``.

    ``path``: a state dictionary of torchvision.

    Raises:
        ModelError: torchvision is absent.
        InputError: the file is absent or does not hold VGG19.
    """
    try:
        from torchvision.models import vgg19  # an optional extra
    except ImportError:
        raise ModelError(f"vgg = {str(path)!r} needs torchvision: pip install torchvision, or leave vgg out") from None
    network = vgg19(weights=None)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises half a dozen kinds of errors for other files
        raise InputError(f"{path}: not the weights of torchvision's VGG19: {str(error).splitlines()[0]}") from None
    features: nn.Module = network.features[:VGG_LAYERS]
    return features.to(device).eval().requires_grad_(False)


def _cross_entropy(score: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(score, torch.full_like(score, label))
