"""Training for the eye: a generator against a discriminator, with a loss on features instead of on pixels alone.

SRGAN (Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017). Its
content loss compares features of VGG19; a recipe that names a file of those weights gets just that. They cannot be
shipped, so without them the discriminator's own features are compared (as in pix2pixHD, Wang et al. 2018), beside the
recipe's pixel losses.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.errors import InputError, ModelError
from vidsr.models.layers import inside
from vidsr.train.checkpoint import Rival, State
from vidsr.train.data.patches import Patches
from vidsr.train.recipe import Adversarial, Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, learning_rate, weighted_loss

VGG_LAYERS = 36  # of torchvision's vgg19().features: up to the ReLU after the last convolution, VGG5.4 of the paper
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Discriminator(nn.Module):
    """Tells true luma from made luma: SRGAN's, its last layers taking the mean over the patch, so that any size goes.

    Eight 3x3 convolutions, every second one of stride 2 and the channels doubled after it; LeakyReLU 0.2, batch norm
    but on the first; two dense layers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for out in (channels, 2 * channels, 4 * channels, 8 * channels):
            layers += [_looker(width, out, 1, norm=width > 1), _looker(out, out, 2, norm=True)]
            width = out
        self.layers = nn.ModuleList(layers)
        self.judge = nn.Sequential(nn.Linear(width, 2 * width), nn.LeakyReLU(0.2), nn.Linear(2 * width, 1))

    def forward(self, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x 1 x H x W in [0, 1] -> N scores, large for true; and what each layer saw."""
        seen: list[Tensor] = []
        for layer in self.layers:
            y = layer(y)
            seen.append(y)
        return self.judge(y.mean((2, 3)))[:, 0].float(), seen


def _looker(channels: int, out: int, stride: int, norm: bool) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, 3, stride, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(out) if norm else nn.Identity(), nn.LeakyReLU(0.2))


def make_rival(recipe: Recipe, device: torch.device) -> Rival:
    """A fresh discriminator and its optimiser, from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    network = Discriminator(recipe.adversarial.channels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.adversarial.learning_rate, betas=recipe.betas)
    return Rival(network, optimiser)


def train_step(recipe: Recipe, state: State, interior: Interior, patches: Patches) -> Losses:
    """One step of the discriminator, then one of the generator."""
    assert state.rival is not None
    lr, hr = patches.batch_at(state.step)
    truth = inside(hr, recipe.scale * state.network.halo)
    with autocast(recipe, state, lr.device):
        output = interior(lr).float()
    losses = tell_apart(recipe, state, state.rival, output.detach(), truth)
    losses |= deceive(recipe, state, state.rival, output, truth)
    return losses


def tell_apart(recipe: Recipe, state: State, rival: Rival, output: Tensor, truth: Tensor) -> Losses:
    """One step of the discriminator towards telling ``output`` from ``truth``."""
    for group in rival.optimiser.param_groups:
        group["lr"] = recipe.adversarial.learning_rate * learning_rate(recipe, state) / recipe.learning_rate
    with autocast(recipe, state, truth.device):
        (true, _), (made, _) = rival.network(truth), rival.network(output)
    loss = _cross_entropy(true, 1.0) + _cross_entropy(made, 0.0)
    rival.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    rival.optimiser.step()
    return {
        "discriminator": loss.detach(),
        "trust_in_truth": torch.sigmoid(true).mean().detach(),
        "trust_in_output": torch.sigmoid(made).mean().detach(),
    }


def deceive(recipe: Recipe, state: State, rival: Rival, output: Tensor, truth: Tensor) -> Losses:
    """One step of the generator: near the truth in pixels and in features, and taken for true."""
    settings = recipe.adversarial
    rival.network.requires_grad_(False)  # it only judges here
    with autocast(recipe, state, truth.device):
        score, seen = rival.network(output)
        content = content_loss(settings, rival, output, truth, seen)
    pixels = weighted_loss(recipe, state.step, output, truth)
    fooling = _cross_entropy(score, 1.0)
    loss = pixels + settings.weight * fooling + settings.content * content
    descend(recipe, state, loss)
    rival.network.requires_grad_(True)
    parts = {"loss": loss, "pixels": pixels, "adversarial": fooling, "content": content}
    return {name: value.detach() for name, value in parts.items()}


def content_loss(settings: Adversarial, rival: Rival, output: Tensor, truth: Tensor, seen: list[Tensor]) -> Tensor:
    """How far the features of ``output`` are from those of ``truth``.

    VGG19's where there are weights, else the rival's; ``seen`` is what the rival saw in ``output``.
    """
    if settings.vgg:
        features = vgg_features(Path(settings.vgg), truth.device)
        return F.mse_loss(features(for_vgg(output)).float(), features(for_vgg(truth)).float())
    with torch.no_grad():
        _, expected = rival.network(truth)
    pairs = zip(seen, expected, strict=True)
    return torch.stack([F.l1_loss(a.float(), b.float()) for a, b in pairs]).mean()


def for_vgg(luma: Tensor) -> Tensor:
    """Limited-range luma as the three equal channels of a grey picture, normalised as ImageNet's pictures are."""
    grey = ((luma * 255 - 16) / 219).expand(-1, 3, -1, -1)
    mean, deviation = (torch.tensor(v, device=luma.device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (grey - mean) / deviation


@cache
def vgg_features(path: Path, device: torch.device) -> nn.Module:
    """The convolutions of VGG19 with the weights in ``path``, a state dictionary as torchvision has it.

    Raises:
        ModelError: torchvision is absent.
        InputError: the file is absent or does not hold VGG19.
    """
    try:
        from torchvision.models import vgg19  # an extra, and only here
    except ImportError:
        raise ModelError(f"vgg = {str(path)!r} needs torchvision: pip install torchvision, or leave vgg out") from None
    network = vgg19(weights=None)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises half a dozen kinds for a file that is not what it expects
        raise InputError(f"{path}: not the weights of torchvision's VGG19: {str(error).splitlines()[0]}") from None
    features: nn.Module = network.features[:VGG_LAYERS]
    return features.to(device).eval().requires_grad_(False)


def _cross_entropy(score: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(score, torch.full_like(score, label))
