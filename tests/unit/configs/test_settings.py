"""Settings and state: what is read, what overrides, what is refused."""

from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.files import atomic_write
from configs.settings import read_settings
from configs.state_dir import open_state_dir

MINIMAL = '[data]\ndataset = "d.toml"\n'


def _write(folder: Path, text: str, name: str = "acme.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_it_names_the_configuration_after_its_file(tmp_path):
    assert read_settings(_write(tmp_path, MINIMAL)).name == "acme"


def test_it_takes_paths_from_the_folder_of_the_file(tmp_path):
    assert read_settings(_write(tmp_path, MINIMAL)).data.dataset == tmp_path / "d.toml"


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LABEL__HORIZON_DAYS", "45")
    settings = read_settings(_write(tmp_path, MINIMAL + "[label]\nhorizon_days = 60\nlead_days = 7\n"))
    assert (settings.label.horizon_days, settings.label.lead_days) == (45, 7)


def test_it_refuses_an_unknown_key_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"acme.toml: label.horizon is not known"):
        read_settings(_write(tmp_path, MINIMAL + "[label]\nhorizon = 60\n"))


def test_it_refuses_an_override_of_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LABLE__HORIZON_DAYS", "45")
    with pytest.raises(ConfigError, match="OARLOCK_LABLE__HORIZON_DAYS"):
        read_settings(_write(tmp_path, MINIMAL))


def test_it_blames_the_environment_for_what_stands_there(tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LABEL__HORIZON_DAYS", "soon")
    with pytest.raises(ConfigError, match=r"^OARLOCK_LABEL__HORIZON_DAYS in the environment cannot be used: label\."):
        read_settings(_write(tmp_path, MINIMAL))


def test_it_refuses_bands_that_do_not_rise(tmp_path):
    with pytest.raises(ConfigError, match="must rise"):
        read_settings(_write(tmp_path, MINIMAL + "[bands]\nwatch = 0.5\nhigh = 0.4\n"))


@pytest.mark.parametrize(("text", "why"), [("[data", "not valid TOML"), ("", "data.dataset: field required")])
def test_it_refuses_a_file_it_cannot_read(tmp_path, text, why):
    with pytest.raises(ConfigError, match=why):
        read_settings(_write(tmp_path, text))


def test_it_refuses_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="no settings file"):
        read_settings(tmp_path / "none.toml")


def test_two_configurations_never_share_a_state(tmp_path):
    first = open_state_dir(read_settings(_write(tmp_path, MINIMAL)))
    second = open_state_dir(read_settings(_write(tmp_path, MINIMAL, "other.toml")))
    assert first.folder != second.folder


def test_it_refuses_the_state_of_another_data_set(tmp_path):
    open_state_dir(read_settings(_write(tmp_path, MINIMAL)))
    with pytest.raises(ConfigError, match=r"holds the state of .*d\.toml, not of .*e\.toml"):
        open_state_dir(read_settings(_write(tmp_path, '[data]\ndataset = "e.toml"\n')))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = _write(tmp_path, "old")
    with pytest.raises(RuntimeError), atomic_write(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
