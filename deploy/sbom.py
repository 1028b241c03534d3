"""Writes the software bill of materials of a lock, CycloneDX 1.6: what is installed of it, with licences and hashes.

    .venv-sbom/bin/python deploy/sbom.py requirements-production.lock .venv/bin/python dist/sbom.json

`cyclonedx-bom` describes the packages of an environment. What the lock does not name is left out, and the hashes that
the lock allows are added. The same packages give the same bytes.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==\S+((?:\s*\\\s*--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)
SPECIFICATION = SchemaVersion.V1_6


def read_hashes(lock: Path) -> dict[str, list[str]]:
    """The hashes of each package of a lock: one for each of its files."""
    return {normalise(name): re.findall(r"[0-9a-f]{64}", hashes) for name, hashes in PIN.findall(lock.read_text())}


def describe_environment(python: Path, project: Path) -> dict:
    """Every package of an environment, as CycloneDX."""
    command = [
        Path(sys.executable).with_name("cyclonedx-py"), "environment", "--output-reproducible",
        "--spec-version", SPECIFICATION.to_version(), "--pyproject", project, "--mc-type", "application", python,
    ]  # fmt: skip
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def select(document: dict, hashes: dict[str, list[str]]) -> dict:
    """The document with the packages of the lock only, and their hashes."""
    components = [component for component in document["components"] if normalise(component["name"]) in hashes]
    for component in components:
        files = hashes[normalise(component["name"])]
        component["hashes"] = [{"alg": "SHA-256", "content": digest} for digest in files]
    references = {component["bom-ref"] for component in components} | {document["metadata"]["component"]["bom-ref"]}
    dependencies = [
        {"ref": entry["ref"], "dependsOn": [name for name in entry.get("dependsOn", ()) if name in references]}
        for entry in document["dependencies"]
        if entry["ref"] in references
    ]
    return document | {"components": components, "dependencies": dependencies}


def normalise(name: str) -> str:
    """The one form of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(lock: Path, python: Path, output: Path) -> None:
    """Write the bill of materials; exits with a message if it is not valid."""
    document = select(describe_environment(python, lock.parent / "pyproject.toml"), read_hashes(lock))
    text = json.dumps(document, indent=1, sort_keys=True)
    if fault := JsonStrictValidator(SPECIFICATION).validate_str(text):
        sys.exit(f"The bill of materials is not valid CycloneDX {SPECIFICATION.to_version()}: {fault}")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n")
    print(f"{output}: {len(document['components'])} packages")


if __name__ == "__main__":
    main(*(Path(argument).absolute() for argument in sys.argv[1:4]))
