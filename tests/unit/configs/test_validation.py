"""TOML files that cannot be used are refused in one sentence, with what to do next."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from configs.errors import ConfigError
from configs.validation import TomlFormat


class Menu(BaseModel):
    """A file for these tests."""

    model_config = ConfigDict(extra="forbid")

    dishes: int


MENU_FILE = TomlFormat("menu", if_missing="Write one.", if_invalid="Look at the example.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "menu.toml"


def test_a_file_is_read_as_its_model(file):
    file.write_text("dishes = 3\n")
    assert MENU_FILE.read(file, Menu) == Menu(dishes=3)


def test_a_missing_file_is_named(file):
    with pytest.raises(ConfigError) as refusal:
        MENU_FILE.read(file, Menu)
    assert str(refusal.value) == f"There is no menu {file}. Write one."


def test_a_folder_is_refused(file):
    file.mkdir()
    with pytest.raises(ConfigError) as refusal:
        MENU_FILE.read(file, Menu)
    assert str(refusal.value) == f"Cannot read {file}: Is a directory. Write one."


@pytest.mark.parametrize("content", [b"dishes = ", b"dishes = '\xff'\n"], ids=["syntax", "encoding"])
def test_a_file_that_is_not_toml_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"menu.toml is not valid TOML: .* Correct that line.$"):
        MENU_FILE.read(file, Menu)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "dishes: field required"),
        ("dishes = 1\nwine = 2\n", "wine is not known"),
        ('dishes = "x"\nwine = 2\n', "dishes: input should be a valid integer, .* \\(and 1 more\\)"),
    ],
)
def test_an_invalid_file_names_its_first_fault(file, text, fault):
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"menu.toml: {fault}. Look at the example.$"):
        MENU_FILE.read(file, Menu)
