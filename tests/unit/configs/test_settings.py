"""Settings and state folder: defaults, overrides, and errors."""

from pathlib import Path

import pytest

from configs.errors import Busy, ConfigError
from configs.files import atomic_write, exclusive_lock
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir

MINIMAL = '[data]\ndataset = "d.toml"\n'


def _write(folder: Path, text: str, name: str = "acme.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_configuration_is_named_after_its_file(tmp_path):
    assert read_settings(_write(tmp_path, MINIMAL)).name == "acme"


def test_paths_start_at_the_folder_of_the_file(tmp_path):
    assert read_settings(_write(tmp_path, MINIMAL)).data.dataset == tmp_path / "d.toml"


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LABEL__HORIZON_DAYS", "45")
    settings = read_settings(_write(tmp_path, MINIMAL + "[label]\nhorizon_days = 60\nlead_days = 7\n"))
    assert (settings.label.horizon_days, settings.label.lead_days) == (45, 7)


def test_an_unknown_key_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"acme.toml: label.horizon is not known"):
        read_settings(_write(tmp_path, MINIMAL + "[label]\nhorizon = 60\n"))


def test_an_override_of_an_unknown_section_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LABLE__HORIZON_DAYS", "45")
    with pytest.raises(ConfigError, match="OARLOCK_LABLE__HORIZON_DAYS"):
        read_settings(_write(tmp_path, MINIMAL))


def test_an_invalid_override_names_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LABEL__HORIZON_DAYS", "soon")
    with pytest.raises(ConfigError, match=r"^OARLOCK_LABEL__HORIZON_DAYS in the environment cannot be used: label\."):
        read_settings(_write(tmp_path, MINIMAL))


def test_bands_that_do_not_rise_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="must rise"):
        read_settings(_write(tmp_path, MINIMAL + "[bands]\nwatch = 0.5\nhigh = 0.4\n"))


def test_a_function_of_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no family 'suport'"):
        read_settings(_write(tmp_path, MINIMAL + '[retention.functions]\nsuport = "support"\n'))


@pytest.mark.parametrize(("text", "reason"), [("[data", "not valid TOML"), ("", "data.dataset: field required")])
def test_an_invalid_file_is_refused(tmp_path, text, reason):
    with pytest.raises(ConfigError, match=reason):
        read_settings(_write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no settings file"):
        read_settings(tmp_path / "none.toml")


def test_two_configurations_never_share_a_state_folder(tmp_path):
    first = open_state_dir(read_settings(_write(tmp_path, MINIMAL)))
    second = open_state_dir(read_settings(_write(tmp_path, MINIMAL, "other.toml")))
    assert first.folder != second.folder


def test_the_state_folder_of_another_data_set_is_refused(tmp_path):
    open_state_dir(read_settings(_write(tmp_path, MINIMAL)))
    with pytest.raises(ConfigError, match=r"holds the state of .*d\.toml, not of .*e\.toml"):
        open_state_dir(read_settings(_write(tmp_path, '[data]\ndataset = "e.toml"\n')))


def test_a_failed_atomic_write_leaves_the_old_file(tmp_path):
    file = _write(tmp_path, "old")
    with pytest.raises(RuntimeError), atomic_write(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_second_process_cannot_take_an_exclusive_lock(tmp_path):
    with (
        exclusive_lock(tmp_path / "publish.lock", "publishing into"),
        pytest.raises(Busy, match="Another process is publishing into"),
        exclusive_lock(tmp_path / "publish.lock", "publishing into"),
    ):
        pass


SERVERS = {
    "OARLOCK_LEDGER__URL": "postgresql://localhost/a",
    "OARLOCK_STORES__ONLINE": "redis://localhost",
    "OARLOCK_STORES__FEAST_REGISTRY": "postgresql://localhost/b",
    "OARLOCK_STORES__MLFLOW": "http://localhost:5000",
}


@pytest.mark.parametrize("missing", SERVERS)
def test_a_topology_without_one_of_its_servers_is_refused(tmp_path, monkeypatch, missing: str):
    file = _write(tmp_path, f'topology = "standard"\n{MINIMAL}')
    for variable in SERVERS.keys() - {missing}:
        monkeypatch.setenv(variable, SERVERS[variable])
    with pytest.raises(ConfigError, match=f"the topology 'standard' needs .*; set {missing}"):
        read_settings(file)


@pytest.mark.parametrize(
    ("topology", "expected"),
    [("embedded", ("duckdb", 1, 5.0)), ("standard", ("duckdb", 2, 75.0)), ("large", ("spark", 4, 75.0))],
)
def test_a_topology_has_settings_that_a_file_overrides(tmp_path, monkeypatch, topology, expected):
    for variable, url in SERVERS.items():
        monkeypatch.setenv(variable, url)
    monkeypatch.setenv("OARLOCK_TOPOLOGY", topology)
    settings = read_settings(_write(tmp_path, MINIMAL))
    assert (settings.engine.kind, settings.serving.workers, settings.serving.idle_timeout_seconds) == expected
    own = read_settings(_write(tmp_path, MINIMAL + "[serving]\nworkers = 7\n"))
    assert (own.serving.workers, own.serving.idle_timeout_seconds) == (7, expected[2])


def test_an_unknown_topology_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="topology: input should be 'embedded', 'standard' or 'large'"):
        read_settings(_write(tmp_path, f'topology = "huge"\n{MINIMAL}'))
