"""The operator's first day on `standard`, word for word. It takes minutes, and files of tests run side by side."""

import pytest

from tests.support.doc_examples import read_examples
from tests.support.doc_runs import run_examples
from tests.support.doc_shell import DocShell
from tests.support.paths import ROOT


@pytest.mark.examples
@pytest.mark.parametrize("page", ["docs/how-to/deploy.md"])
def test_the_first_day_runs_as_shown(page: str, shell: DocShell):
    faults = run_examples(read_examples(ROOT / page, ROOT), shell)
    assert not faults, "\n\n".join(faults)
