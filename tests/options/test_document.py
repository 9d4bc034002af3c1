"""What is generated from the option table, and signatures that must agree with it."""

import inspect
from typing import Any, get_type_hints

import pytest

import vidsr
from vidsr.options.document import API, PAGE, api_source, options_page, python_options, type_text
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.table import OPTIONS


def test_the_options_page_is_current() -> None:
    assert PAGE.read_text() == options_page(), "run python -m vidsr.options.document"


def test_the_keyword_arguments_in_the_api_are_current() -> None:
    assert API.read_text() == api_source(API.read_text()), "run python -m vidsr.options.document"


@pytest.mark.parametrize("name", ["enhance", "compare"])
def test_a_python_function_has_every_option_with_its_type_and_default(name: str) -> None:
    function = getattr(vidsr, name)
    parameters, hints = inspect.signature(function).parameters, get_type_hints(function)
    for option in python_options(name):
        assert parameters[option.name].default == option.default
        assert hints[option.name] == option.hint
        assert f"\n        {option.name}: {option.help}".replace(" ", "") in function.__doc__.replace(" ", "")


def test_every_option_of_the_table_is_a_keyword_argument() -> None:
    assert {option.name for option in OPTIONS} <= inspect.signature(vidsr.enhance).parameters.keys()


def test_the_defaults_of_the_table_are_those_of_the_options() -> None:
    assert parse_options(scale=1) == EnhanceOptions()


def test_types_are_written_as_python_source() -> None:
    hints: dict[str, Any] = {option.name: option.hint for option in OPTIONS}
    assert type_text(hints["scale"]) == "str | int | float | Fraction | None"
    assert type_text(hints["repeats"]) == 'Literal["keep", "interpolate"]'
    assert type_text(hints["encoder_options"]) == "Iterable[str] | None"


def test_the_keywords_of_version_0_1_are_accepted_with_a_warning(tmp_path: Any) -> None:
    with pytest.warns(DeprecationWarning, match="fps_in= is now called input_fps="), pytest.raises(vidsr.VidsrError):
        vidsr.enhance(tmp_path / "nowhere.mp4", fps_in=24)  # type: ignore[call-arg]
    with pytest.warns(DeprecationWarning, match="target= is now called output="), pytest.raises(vidsr.VidsrError):
        vidsr.enhance(tmp_path / "nowhere.mp4", target="b.mp4")  # type: ignore[call-arg]


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="sclae"):
        vidsr.enhance("a.mp4", sclae=2)  # type: ignore[call-arg]
