"""The page of the dependencies: every package of the lock with its version, its licence, and what it is for."""

import re
from importlib import metadata
from pathlib import Path

from docs.generate.markdown import join, table

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
LONGEST_NAME = 40  # some packages declare the whole text of their licence
# Packages that declare no name of a licence, with what their licence files say.
FROM_FILES = {"huey": "MIT", "skops": "MIT"}
CLASSIFIER, NOT_DECLARED = "License :: ", "not declared"


def dependencies_page() -> str:
    """Every package of the lock, as it is installed."""
    runtime = read_pins("requirements-production.lock")
    rows = [
        (name, version, licence_of(name), "to run" if name in runtime else "to develop and test")
        for name, version in sorted(read_pins("requirements.lock").items())
    ]
    return join(
        [
            "# Dependencies and licences",
            f"The {len(rows)} packages of `requirements.lock`, with the licences that they declare."
            f" {len(runtime)} of them are in `requirements-production.lock` and in the image."
            " [Install without a network](../how-to/install-offline.md) says how to get a bill of materials.",
            table(("package", "version", "licence", "needed"), rows),
        ]
    )


def read_pins(lock: str) -> dict[str, str]:
    """The version of each package of a lock."""
    return dict(PIN.findall((ROOT / lock).read_text("utf-8")))


def licence_of(package: str) -> str:
    """The licence that an installed package declares; "not declared" if it names none."""
    declared = metadata.metadata(package)
    if "License-Expression" in declared:
        return declared["License-Expression"]
    classifiers = [text for text in declared.get_all("Classifier") or () if text.startswith(CLASSIFIER)]
    names = ", ".join(text.rpartition(" :: ")[2] for text in classifiers if not text.endswith(":: OSI Approved"))
    text = declared["License"].strip() if "License" in declared else ""
    is_name = 0 < len(text) <= LONGEST_NAME and "\n" not in text
    return text if is_name else names or FROM_FILES.get(package, NOT_DECLARED)
