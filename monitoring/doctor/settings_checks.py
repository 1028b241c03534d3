"""Checks of the settings: values that are allowed and yet make little sense, and secrets without protection."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from configs.sections.bands import BandSettings
from configs.sections.label import LabelSettings
from configs.sections.monitoring import DailySettings, WebhookSettings
from configs.sections.serving import ServingSettings
from configs.settings import Settings
from features.signals.registry import Catalogue
from monitoring.doctor.check_result import CheckResult, passed, skipped
from serving.accounts.playbook import read_playbook, validate_playbook
from serving.security.network import is_loopback

MIN_BAND_GAP = 0.005
MAX_CRITICAL = 0.9
MAX_HORIZON_DAYS = 730
MAX_STALE_DAYS = 31
PROTECTED_MODES = ("require", "verify-ca", "verify-full")
EDIT = "Change it in the settings, and run `oarlock validate`."


def check_playbook(playbook: Path, catalogue: Catalogue) -> CheckResult:
    """Every family has a play; raises ConfigError if one has none or the playbook cannot be read."""
    plays = read_playbook(playbook)
    validate_playbook(plays, playbook, catalogue.families, [signal.name for signal in catalogue.signals])
    return passed("playbook", "every family has a play", playbook)


def check_bands(bands: BandSettings) -> CheckResult:
    """The bands are so far apart that accounts can be in each."""
    watch, high, critical = bands.thresholds
    if critical > MAX_CRITICAL:
        return CheckResult("bands", "warn", f"critical begins at {critical:.0%}: hardly an account", "[bands]", EDIT)
    if min(high - watch, critical - high) < MIN_BAND_GAP:
        what = f"{watch:.2%}, {high:.2%} and {critical:.2%} are less than half a point apart"
        return CheckResult("bands", "warn", what, "[bands]", "oarlock set-bands --sizes 400 150 50")
    return passed("bands", "watch, high and critical rise and are apart", "[bands]")


def check_horizons(label: LabelSettings) -> CheckResult:
    """The horizons are no longer than anything that a history can show, and the lead leaves time to act."""
    longest = max(label.horizon_days, *label.horizons) if label.horizons else label.horizon_days
    if longest > MAX_HORIZON_DAYS:
        what = f"a horizon of {longest:,} days needs years of history"
    elif label.lead_days > label.horizon_days:
        what = f"the lead of {label.lead_days} days is longer than the horizon of {label.horizon_days}"
    elif label.mode == "contract" and label.grace_days > label.horizon_days:
        what = f"the grace of {label.grace_days} days is longer than the horizon of {label.horizon_days}"
    else:
        return passed("horizons", f"{label.horizon_days} days, and {len(label.horizons)} more", "[label]")
    return CheckResult("horizons", "warn", what, "[label]", EDIT)


def check_staleness(serving: ServingSettings, families: Mapping[str, str]) -> CheckResult:
    """Limits of age are of families that exist, and short enough to mean something."""
    unknown = sorted(serving.stale_after_days_by_family.keys() - families.keys())
    if unknown:
        what = f"there is no family '{unknown[0]}'"
        return CheckResult("staleness", "warn", what, "serving.stale_after_days_by_family", "Correct the name.")
    if serving.stale_after_days > MAX_STALE_DAYS:
        what = f"signals of {serving.stale_after_days} days ago count as fresh"
        return CheckResult("staleness", "warn", what, "serving.stale_after_days", "Set it to a few days.")
    return passed("staleness", f"signals are stale after {serving.stale_after_days} days", "[serving]")


def check_webhooks(webhooks: WebhookSettings, environment: Mapping[str, str]) -> CheckResult:
    """The secret of each endpoint is in the environment."""
    for name, endpoint in webhooks.endpoints.items():
        if not environment.get(endpoint.secret_env):
            what = f"{endpoint.secret_env} is not set, so nothing can be sent to {name}"
            next_step = f"Set {endpoint.secret_env} where `oarlock webhooks send` runs."
            return CheckResult("webhooks", "fault", what, f"webhooks.endpoints.{name}", next_step)
    if not webhooks.endpoints:
        return skipped("webhooks", "no endpoint is declared")
    return passed("webhooks", f"{len(webhooks.endpoints)} with their secrets", "[webhooks]")


def check_exports(daily: DailySettings) -> CheckResult:
    """The folders of exports can be written to, and their field maps exist."""
    for export in daily.exports:
        if export.field_map and not export.field_map.is_file():
            return CheckResult(
                "exports", "fault", "the field map is missing", str(export.field_map), "Correct its path."
            )
        folder = Path(export.output).resolve().parent
        if "://" not in export.output and not os.access(folder, os.W_OK):
            return CheckResult("exports", "fault", "the folder cannot be written to", str(folder), f"mkdir -p {folder}")
    if not daily.exports:
        return skipped("exports", "no export is declared in [daily]")
    return passed("exports", f"{len(daily.exports)} can be written", "[daily]")


def check_tls(settings: Settings) -> CheckResult:
    """What leaves this machine is encrypted, and certificates that are named exist."""
    faults = [*_unprotected_servers(settings), *_public_service(settings.serving)]
    return faults[0] if faults else passed("tls", "nothing leaves this machine without encryption")


def _unprotected_servers(settings: Settings) -> Iterator[CheckResult]:
    stores = settings.stores
    urls = {
        "ledger.url": settings.ledger.url,
        "stores.online": stores.online,
        "stores.feast_registry": stores.feast_registry,
        "stores.mlflow": stores.mlflow,
    }
    for name, secret in urls.items():
        if secret is not None:
            yield from _unprotected_url(name, secret.get_secret_value())


def _unprotected_url(name: str, url: str) -> Iterator[CheckResult]:
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    certificate = options.get("sslrootcert", [""])[0]
    if certificate and certificate != "system" and not Path(certificate).is_file():
        yield CheckResult("tls", "fault", "the certificate is missing", certificate, f"Correct sslrootcert in {name}.")
    if not parts.hostname or is_loopback(parts.hostname):
        return
    if parts.scheme.startswith("postgres") and options.get("sslmode", [""])[0] not in PROTECTED_MODES:
        next_step = f"Add ?sslmode=verify-full&sslrootcert=FILE to {name}."
        yield CheckResult("tls", "warn", f"{parts.hostname} is reached without verified TLS", name, next_step)
    if parts.scheme in {"redis", "http"}:
        yield CheckResult("tls", "warn", f"{parts.hostname} is reached without TLS", name, f"Use {parts.scheme}s://.")


def _public_service(serving: ServingSettings) -> Iterator[CheckResult]:
    if not is_loopback(serving.host):
        what = f"the service listens on {serving.host} without TLS"
        next_step = 'Set host = "127.0.0.1", with a proxy that has TLS before it.'
        yield CheckResult("tls", "warn", what, "serving.host", next_step)
