"""The settings of the documentation site: `make docs` builds it into docs/_build, without a network."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = "Oarlock"
author = "the Oarlock contributors"
release = version = _PROJECT["version"]
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = True
# A picture in Mermaid is drawn by GitHub and shown as text here: drawing it would load a script from elsewhere.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"Oarlock {release}"
html_show_sourcelink = False
html_copy_source = False
