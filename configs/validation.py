"""Content from outside, checked by a model: TOML files, and a validation error in one clause."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from configs.errors import ConfigError
from configs.files import JsonObject

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class TomlFormat:
    """What a kind of TOML file is called, and what to do about a missing and about an invalid one."""

    name: str
    if_missing: str
    if_invalid: str

    def read(self, path: Path, model: type[Model]) -> Model:
        """The content of a file as a value of this model; raises ConfigError for a file that cannot be used."""
        try:
            return model(**self.parse(path))
        except ValidationError as error:
            raise self.invalid(path, error) from None

    def parse(self, path: Path) -> JsonObject:
        """The content of a file, not checked by a model; raises ConfigError for a file that is not TOML."""
        try:
            return tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"There is no {self.name} {path}.", self.if_missing) from None
        except OSError as error:
            raise ConfigError(f"Cannot read {path}: {error.strerror}.", self.if_missing) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}.", "Correct that line.") from None

    def invalid(self, path: Path, error: ValidationError) -> ConfigError:
        """The error for a file that its model refuses."""
        return ConfigError(f"{path}: {describe_validation_error(error)}.", self.if_invalid)


def describe_validation_error(error: ValidationError) -> str:
    """A validation error in one clause: the first invalid field, what is wrong with it, and how many more there are."""
    first, *others = error.errors()
    field = ".".join(str(part) for part in first["loc"])
    # Pydantic's description of its own validation step helps nobody.
    reason = first["msg"].removeprefix("Value error, ").removesuffix(" after validation, not 0")
    reason = f"{reason[:1].lower()}{reason[1:]}"
    clause = f"{field}: {reason}" if field else reason
    if first["type"] == "extra_forbidden":
        clause = f"{field} is not known"
    return f"{clause} (and {len(others)} more)" if others else clause
