"""Content from outside that is checked by a model, and its faults in one clause."""

from pydantic import ValidationError


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
