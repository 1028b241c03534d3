"""The generated pages of the reference: they are those that the code gives."""

import pytest

from docs.generate.__main__ import PAGES, current_content, main


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str):
    assert current_content(name) == PAGES[name](), "run `python -m docs.generate`"


def test_the_check_fails_if_a_page_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("docs.generate.__main__.FOLDER", tmp_path)
    assert main(["--check"]) == 1
    assert "docs/reference/cli.md is out of date" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
