"""The task of making frames between frames: crops of triples, and PSNR on those set aside.

A shard (`train/windows.py`) holds triples and what optical flow makes of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidsr.errors import InputError, OptionError
from vidsr.models.frame_network import Field, FrameNetwork, Scene, apart, mixed
from vidsr.train.checkpoint import State
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, is_finishing, weighted_loss

MARGIN = 40  # pixels around a crop that motion may reach into
BLOCK = 16  # pixels a side of the blocks whose error is known
VALIDATED = 48  # crops
SIDE = 192  # of a validation crop
EASY = 4.0  # units of a block's error that are next to none: half a code value
SELDOM = 0.1  # chance of a triple that optical flow makes that well, against that of others
BEST = 48.0  # dB; a better crop counts as no better: it is a still one

Luma = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Triple:
    """Two frames, the one between them, and how optical flow makes it; views of the mapped file."""

    first: Luma  # h x w
    second: Luma
    truth: Luma
    phase: float
    ways: npt.NDArray[np.float16]  # 4 x h/2 x w/2
    shares: Luma  # 2 x h/2 x w/2: of the second frame and of the plain mean, 255 for 1
    error: Luma  # of optical flow in each block, in eighths of a code value


class Frames:
    """Crops of the triples of a recipe's shards, and how well a network makes those set aside."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if not recipe.data:
            raise OptionError(
                f"recipe {recipe.name}: data = [] names no shard; make one with vidsr.train.prepare.windows"
            )
        self.recipe, self.device = recipe, device
        self.triples = [t for name in recipe.data for t in read_triples(Path(name), spare=False)]
        self.triples = [t for t in self.triples if min(t.truth.shape) >= recipe.patch]
        spare = [t for name in recipe.data for t in read_triples(Path(name), spare=True)]
        chosen = np.linspace(0, len(spare) - 1, min(VALIDATED, len(spare))).astype(int)
        self.validation = [centre(spare[n]) for n in chosen]
        self.chances = np.array([1.0 if t.error.mean() > EASY else SELDOM for t in self.triples])
        self.chances /= self.chances.sum()
        self.baseline = self._psnr(None)

    def forward(self, network: FrameNetwork) -> FrameNetwork:
        """What a step calls."""
        return network

    def batch_at(self, step: int) -> tuple[Scene, Field, Tensor]:
        """The crops of ``step``: flipped, turned, backwards in time; the same for a given seed and step."""
        rng = np.random.default_rng((self.recipe.seed, step))
        drawn = rng.choice(len(self.triples), self.recipe.batch, p=self.chances)
        crops = [varied(crop(self.triples[n], self.recipe.patch, rng), rng) for n in drawn]
        return stacked(crops, MARGIN, self.device)

    def psnr(self, network: FrameNetwork) -> float:
        """Of ``network`` on the validation crops, dB."""
        return self._psnr(network)

    @torch.no_grad()
    def _psnr(self, network: FrameNetwork | None) -> float:
        """Mean over the crops; None: of optical flow alone."""
        values = []
        for part in self.validation:
            scene, prior, truth = stacked([part], 0, self.device)
            output = made(network, scene, prior)
            mse = F.mse_loss((output * 255).round().clamp(0, 255), truth * 255).item()
            values.append(min(BEST, 10 * math.log10(255**2 / max(mse, 1e-10))))
        return sum(values) / max(1, len(values))

    @torch.no_grad()
    def picture(self, network: FrameNetwork) -> npt.NDArray[np.uint8]:
        """Rows of optical flow | output | truth."""
        rows = []
        for part in self.validation[:4]:
            scene, prior, truth = stacked([part], 0, self.device)
            columns = [mixed(scene, prior), made(network, scene, prior), truth]
            rows.append(torch.cat(columns, -1)[0, 0, :SIDE])
        width = min(row.shape[1] for row in rows)
        picture = torch.cat([row[:, :width] for row in rows])
        return np.asarray((picture * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())


def train_step(recipe: Recipe, state: State, forward: Interior, data: Frames) -> Losses:
    """One step of the optimiser."""
    scene, prior, truth = data.batch_at(state.step)
    with autocast(recipe, state, truth.device):
        output, field = forward(scene, prior)
    loss = weighted_loss(recipe, state.step, output.float(), truth)
    if recipe.flow_loss and not is_finishing(recipe, state.step):
        loss = loss + recipe.flow_loss * apart(field, prior)
    descend(recipe, state, loss)
    return {"loss": loss.detach()}


def made(network: FrameNetwork | None, scene: Scene, prior: Field) -> Tensor:
    """What ``network`` makes, or optical flow alone."""
    if network is None:
        return mixed(scene, prior)
    picture: Tensor = network(scene, prior)[0]
    return picture


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a triple as it is stacked: luma of codes, fields in float32."""

    first: Luma  # with the margin around
    second: Luma
    truth: Luma
    phase: float
    field: Array  # 6 x h/2 x w/2


def read_triples(path: Path, spare: bool) -> list[Triple]:
    """The triples of a shard that are for validation (``spare``) or not.

    Raises:
        InputError: the file is absent or no such shard.
    """
    try:
        with safe_open(path, framework="np") as file:
            if (file.metadata() or {}).get("kind") != "triples":
                raise InputError(f"{path}: no shard of triples; make one with vidsr.train.prepare.windows")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable shard: {error}") from None
    frames = [tensors["luma"][at : at + h * w].reshape(h, w) for at, h, w in tensors["frames"]]
    found = []
    for a, b, between, numerator, denominator, field_at, error_at, is_spare in tensors["triples"].tolist():
        if bool(is_spare) is not spare:
            continue
        h, w = frames[between].shape
        area, blocks = (h // 2) * (w // 2), (max(1, h // BLOCK), max(1, w // BLOCK))
        ways = tensors["ways"][4 * field_at : 4 * (field_at + area)].reshape(4, h // 2, w // 2)
        shares = tensors["shares"][2 * field_at : 2 * (field_at + area)].reshape(2, h // 2, w // 2)
        errors = tensors["errors"][error_at : error_at + blocks[0] * blocks[1]].reshape(blocks)
        found.append(Triple(frames[a], frames[b], frames[between], numerator / denominator, ways, shares, errors))
    return found


def crop(triple: Triple, side: int, rng: np.random.Generator) -> Crop:
    """A crop of ``side`` pixels around a block drawn by its share of the squared error of optical flow.

    A hundredth of the pixels makes half of a frame's error. Drawn so, the mean over crops of the logarithm of their
    error follows the PSNR of whole frames.
    """
    chances = np.square(triple.error.reshape(-1), dtype=np.float64) + EASY**2
    block = int(rng.choice(chances.size, p=chances / chances.sum()))
    row, column = divmod(block, triple.error.shape[1])
    jitter = rng.integers(-side // 2, side // 2 + 1, 2)
    h, w = triple.truth.shape
    top = int(np.clip(row * BLOCK + jitter[0] - side // 2, 0, h - side)) // 2 * 2
    left = int(np.clip(column * BLOCK + jitter[1] - side // 2, 0, w - side)) // 2 * 2
    return _part(triple, top, left, side, side, MARGIN)


def centre(triple: Triple) -> Crop:
    """The middle of a triple."""
    h, w = (min(SIDE, n) for n in triple.truth.shape)
    top, left = ((n - side) // 4 * 2 for n, side in zip(triple.truth.shape, (h, w), strict=True))
    return _part(triple, top, left, h, w, 0)


def _part(triple: Triple, top: int, left: int, h: int, w: int, margin: int) -> Crop:
    rows = np.arange(top - margin, top + h + margin).clip(0, triple.truth.shape[0] - 1)
    columns = np.arange(left - margin, left + w + margin).clip(0, triple.truth.shape[1] - 1)
    around = np.ix_(rows, columns)
    half = (slice(None), slice(top // 2, (top + h) // 2), slice(left // 2, (left + w) // 2))
    field = np.concatenate([triple.ways[half].astype(np.float32), triple.shares[half].astype(np.float32) / 255])
    truth = triple.truth[top : top + h, left : left + w]
    return Crop(triple.first[around], triple.second[around], truth, triple.phase, field)


def varied(part: Crop, rng: np.random.Generator) -> Crop:
    """``part`` or its mirror image, upright or lying, forwards or backwards in time."""
    lumas, phase, field = [part.first, part.second, part.truth], part.phase, part.field
    if rng.integers(2):
        lumas, field = [luma[:, ::-1] for luma in lumas], field[..., ::-1] * SIGNS["x"]
    if rng.integers(2):
        lumas, field = [luma[::-1] for luma in lumas], field[:, ::-1] * SIGNS["y"]
    if rng.integers(2):
        lumas, field = [luma.T for luma in lumas], field.swapaxes(1, 2)[[1, 0, 3, 2, 4, 5]]
    if rng.integers(2):
        lumas, phase = [lumas[1], lumas[0], lumas[2]], 1 - phase
        field = field[[2, 3, 0, 1, 4, 5]]
        field[4] = 1 - field[4]
    return Crop(lumas[0], lumas[1], lumas[2], phase, field)


SIGNS = {
    "x": np.array([-1, 1, -1, 1, 1, 1], np.float32).reshape(6, 1, 1),
    "y": np.array([1, -1, 1, -1, 1, 1], np.float32).reshape(6, 1, 1),
}


def stacked(crops: Sequence[Crop], margin: int, device: torch.device) -> tuple[Scene, Field, Tensor]:
    """What a network is given, the field to start from, and the truth, all in [0, 1]."""

    def luma(planes: list[Luma]) -> Tensor:
        return torch.from_numpy(np.stack(planes)).to(device)[:, None].float() / 255

    phase = torch.tensor([c.phase for c in crops], device=device).view(-1, 1, 1, 1)
    scene = Scene(luma([c.first for c in crops]), luma([c.second for c in crops]), phase, margin)
    fields = torch.from_numpy(np.stack([c.field for c in crops])).to(device)
    return scene, Field.stacked(fields), luma([c.truth for c in crops])
