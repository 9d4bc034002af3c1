"""Write the training sets of the recipes, where they are missing, to the folder runs/data.

python -m vidsr.train.prepare.training_sets [NAME ...]    the source images and clips lie in the folder VIDSR_DATA
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from vidsr.errors import OptionError
from vidsr.train.prepare import dataset, restoration_pairs, sequences, video_shard, windows

FOLDER = Path("runs/data")  # where the recipes expect the sets
SPLIT = (96, 4, 0)  # percent for training, validation and test: tests use other sets
MOVING_CLIPS = ("camera", "Seeking_10_288_375.mp4", "Seeking_30_480_1050.mp4", "balle-jbart.mp4", "asl/walk.mkv")
SEQUENCE_CLIPS = ("camera", "balle-jbart.mp4", "Seeking_30_480_1050.mp4", "diver.mov", "car-detection.mp4", "asl")
H264_CLIPS = ("camera", "asl", "diver.mov", "balle-jbart.mp4", "car-detection.mp4", "Seeking_30_480_1050.mp4")

Writer = Callable[..., object]  # writes one set to the path `out`, and returns a summary of it


def writers(data: Path, folder: Path) -> dict[str, Writer]:
    """Return the function that writes each set: name -> function of ``out``. Later sets read earlier ones.

    ``data``: folder of the source images and clips. ``folder``: folder of the sets.
    """
    photos, photo_sets = [data / "train/photos"], [folder / "photos2.safetensors", folder / "bsds_t91.safetensors"]
    clips = data / "train/clips"
    camera, moving, h264, sequenced = (
        [clips / name for name in names] for names in (["camera"], MOVING_CLIPS, H264_CLIPS, SEQUENCE_CLIPS)
    )

    def written(scale: int) -> Writer:
        """Return the function that writes sequences of a scale."""
        return partial(sequences.build, sequenced, photos, scale, 1000, 500)

    pairs = partial(partial, restoration_pairs.build, photos=photo_sets)
    return {
        **{f"photos{n}": partial(dataset.build, photos, split=SPLIT, reduce=n) for n in (2, 3, 4)},
        "bsds_t91": partial(dataset.build, [data / "train/bsds", data / "train/t91"], split=SPLIT),
        "video_x2": partial(video_shard.build, photo_sets[:1], camera, scale=2, seed=2),
        "video_x3": partial(video_shard.build, photo_sets[:1], camera, scale=3, seed=3),
        "video_x4": partial(video_shard.build, photo_sets[:1], camera, scale=4, seed=0),
        "windows": partial(windows.build, moving, photos, 800, 0),
        "scenes": partial(windows.build, [], photos, 2000, 1),
        **{f"sequences-x{n}": written(n) for n in (2, 3, 4)},
        "compressed-x4": partial(written(4), crfs=(18, 30)),
        "blur": pairs("blur", clips=camera),
        "noise": pairs("noise", clips=camera),
        "noise-drawings": pairs("noise-drawings", clips=camera, seed=1),
        "noise-texture": pairs("noise-texture", clips=[], seed=2, count=2000),
        "codec": pairs("codec", clips=camera),
        "codec-h264": pairs("codec-h264", clips=h264, seed=7, count=3000, clip_share=0.6, frames=12),
    }


def write_missing(sets: Mapping[str, Writer], folder: Path, names: Sequence[str] = ()) -> Iterator[tuple[str, object]]:
    """Write the sets ``names`` (empty: all) that are not in ``folder``; yield the name and summary of each.

    Raises:
        OptionError: a name is unknown.
    """
    unknown = [name for name in names if name not in sets]
    if unknown:
        raise OptionError(f"unknown training set {unknown[0]!r}: known are {', '.join(sets)}")
    for name, write in sets.items():
        path = folder / f"{name}.safetensors"
        if name in (names or sets) and not path.exists():
            yield name, write(out=path)


def main() -> None:
    """Write the missing sets that the command line names, or all."""
    parser = argparse.ArgumentParser(description="Write the training sets of the recipes, where they are missing.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="set, such as photos2; default: all")
    data = Path(os.environ.get("VIDSR_DATA", "../shared/data"))
    for name, summary in write_missing(writers(data, FOLDER), FOLDER, parser.parse_args().names):
        print(f"{name}: {summary}")


if __name__ == "__main__":
    main()
