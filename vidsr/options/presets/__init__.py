"""Presets: named sets of options, built in or in TOML files of the user."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidsr.errors import OptionError, OutputError
from vidsr.options.codecs import CODECS
from vidsr.options.parse import did_you_mean
from vidsr.options.table import ENCODING, ENGINE, OPTIONS, RATE, RESTORATION, SIZE
from vidsr.runtime.output_file import write_file

FOLDER = Path(__file__).parent
SUFFIX = ".toml"
DESCRIPTION = "description"  # key of a preset that is no option
KEPT_GROUPS = (SIZE, RATE, RESTORATION, ENGINE, ENCODING)  # options that describe a kind of clip, not one file
OPTION_NAMES = {one.name for one in OPTIONS if one.name not in ("preset", "log", "reference", "overwrite")}
DEFAULTS = {one.name: one.default for one in OPTIONS}
SPEEDS = frozenset(word for codec in CODECS.values() if codec.speed for word in codec.speed.choices)


def user_folder() -> Path:
    """Return the folder of the user's own presets."""
    import platformdirs

    return platformdirs.user_config_path("vidsr") / "presets"


def names() -> list[str]:
    """Return the names of all presets: the built-in ones, then the user's."""
    own = sorted(path.stem for path in user_folder().glob(f"*{SUFFIX}"))
    built_in = sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))
    return list(dict.fromkeys([*built_in, *own]))


def expand(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given`` options with those of its ``preset`` added; an option that is given counts, unless by default.

    Before version 0.2 ``preset`` was the speed of the encoder; its words are still taken for that.

    Raises:
        OptionError: there is no such preset, or it holds something that is no option.
    """
    options = dict(given)
    name = options.pop("preset", None)
    if name is None:
        return options
    if str(name) in SPEEDS:
        if options.get("encoder_preset") is None:
            options["encoder_preset"] = str(name)
        return options
    asked = {key: value for key, value in options.items() if value is not None and value != DEFAULTS.get(key)}
    return options | load(str(name)) | asked


def load(name: str) -> dict[str, Any]:
    """Return the options of a preset: the user's, a built-in one, or a TOML file.

    Raises:
        OptionError: there is no such preset, or it cannot be read.
    """
    places = [user_folder() / f"{name}{SUFFIX}", FOLDER / f"{name}{SUFFIX}"]
    if name.endswith(SUFFIX):
        places = [Path(name)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        known = names()
        hint = did_you_mean(name, [*known, *SPEEDS])
        raise OptionError(f"--preset {name!r} is unknown: choose {', '.join(known)}, or a {SUFFIX} file{hint}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{path} is no preset ({error}): write it as NAME = value, a line for each option") from None
    options = {key.replace("-", "_"): value for key, value in values.items() if key != DESCRIPTION}
    if unknown := next((key for key in options if key not in OPTION_NAMES), None):
        raise OptionError(f"{path} sets {unknown}, which is no option of a preset{did_you_mean(unknown, OPTION_NAMES)}")
    return options


def save(name: str, given: Mapping[str, Any], overwrite: bool = False) -> Path:
    """Write the options in ``given`` that differ from their defaults as a preset of the user, and return its file.

    Options about one file, such as the start time, are left out.

    Raises:
        OptionError: the name is no file name.
        OutputError: the preset exists, or cannot be written.
    """
    if not name or name != Path(name).name or name in SPEEDS or name.startswith("."):
        raise OptionError(f"--save-preset {name!r} is no name: use letters, digits and dashes")
    kept = {one.name for one in OPTIONS if one.group in KEPT_GROUPS} - {"preset"} | {"deinterlace"}
    options = {key: value for key, value in given.items() if key in kept and value not in (None, DEFAULTS.get(key))}
    path = user_folder() / f"{name}{SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made ({error.strerror}): check its permissions") from None
    lines = (f"{key} = {_toml(value)}\n" for key, value in options.items())
    write_file(path, "".join(lines).encode(), overwrite)
    return path


def _toml(value: Any) -> str:
    """Return a value of an option as TOML; JSON is TOML for text, numbers, truth values and lists."""
    plain = list(value) if isinstance(value, list | tuple) else value
    return json.dumps(plain if isinstance(plain, list | bool | int | float) else str(plain), ensure_ascii=False)
