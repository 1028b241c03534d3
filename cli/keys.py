"""Commands for access: API keys."""

import re
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import Columns, OutputTable, print_json

if TYPE_CHECKING:
    from serving.security.api_keys import ApiKey

SCOPES = click.Choice(["score", "read", "feedback", "admin"])
KEY_COLUMNS: Columns = {
    "id": "id",
    "name": "text",
    "scopes": "text",
    "owner": "text",
    "requests/min": "number",
    "created": "id",
    "expires": "id",
    "status": "id",
}
MAX_DURATION = timedelta(days=3_650)


class Duration(click.ParamType):
    """A duration in days or hours, such as 90d or 12h."""

    name = "90d"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration that the text means."""
        match = re.fullmatch(r"(\d{1,6})([dh])", value)
        if not match:
            self.fail(f"'{value}' is neither days (90d) nor hours (12h).", param, ctx)
        duration = timedelta(**{"days" if match[2] == "d" else "hours": int(match[1])})
        if not timedelta(0) < duration <= MAX_DURATION:
            self.fail(f"'{value}' is not between 1h and {MAX_DURATION.days}d; leave it out for ever.", param, ctx)
        return duration


@click.group(short_help="Create, list and revoke API keys.")
def keys() -> None:
    """Create, list and revoke the API keys that requests need.

    \b
    Example: oarlock keys create --name crm --scope score,read --expires 90d
    """


@keys.command()
@click.option("--name", required=True, help="The owner of the key.")
@click.option("--scope", "scopes", required=True, help="score, read, feedback or admin; several with commas.")
@click.option("--expires", type=Duration(), help="How long the key is valid; for ever by default.")
@click.option(
    "--requests-per-minute", type=click.IntRange(min=1), default=600, show_default=True, help="The rate limit."
)
@click.option("--owner", help="Only the accounts of this owner; those of everybody by default.")
@JSON
@click.pass_obj
def create(  # noqa: PLR0913, PLR0917 - a parameter per option
    context: CliContext,
    name: str,
    scopes: str,
    expires: timedelta | None,
    requests_per_minute: int,
    owner: str | None,
) -> None:
    """Create a key and show it, this once.

    \b
    Example: oarlock keys create --name crm --scope score,read --expires 90d
    """
    from configs.clock import now
    from serving.security.api_keys import create_key, save_key

    created_at = now()
    chosen = [SCOPES.convert(scope.strip(), None, None) for scope in scopes.split(",")]
    if owner is not None and "admin" in chosen:
        raise click.UsageError("A key of scope admin cannot be limited to an owner's accounts.")
    if owner is not None:
        _require_published_owner(context.state.account_table, owner)
    secret, key = create_key(name, chosen, requests_per_minute, created_at)
    key = replace(key, expires_at=None if expires is None else created_at + expires, owner=owner)
    save_key(context.database, key)
    context.record_audit("key_created", key.id, name=name, scopes=sorted(key.scopes), owner=owner)
    if context.as_json:
        print_json(
            {"key": secret, "id": key.id, "scopes": sorted(key.scopes), "owner": owner, "expires_at": key.expires_at}
        )
        return
    click.echo(secret)
    click.echo(f"The key is shown only now. Its id is {key.id}; services accept it within seconds.", err=True)


@keys.command("list")
@JSON
@click.pass_obj
def list_keys(context: CliContext) -> None:
    """List all keys, never the secrets.

    \b
    Example: oarlock keys list
    """
    from configs.clock import now
    from serving.security.api_keys import read_api_keys

    at, stored = now(), read_api_keys(context.database)
    if context.as_json:
        print_json([_describe_key(key, at) for key in stored])
        return
    table = OutputTable(KEY_COLUMNS)
    for key in stored:
        expires = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never"
        created, scopes = f"{key.created_at:%Y-%m-%d}", ", ".join(sorted(key.scopes))
        table.add(
            key.id, key.name, scopes, key.owner or "everybody", f"{key.per_minute:,}", created, expires, key.status(at)
        )
    table.print(context)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.pass_obj
def revoke(context: CliContext, key_id: str) -> None:
    """Revoke a key: running services refuse it within seconds.

    \b
    Example: oarlock keys revoke 3f9a01c2b7de
    """
    from configs.clock import now
    from configs.errors import ConfigError
    from serving.security.api_keys import revoke_key

    if not revoke_key(context.database, key_id, now()):
        raise ConfigError(f"There is no key '{key_id}' to revoke.", "`oarlock keys list` shows all keys.")
    context.record_audit("key_revoked", key_id)
    context.echo(f"The key {key_id} is revoked.")


def _require_published_owner(file: Path, owner: str) -> None:
    """Raise ConfigError if accounts are published and none of them has this owner: the key would see nothing."""
    from configs.errors import ConfigError
    from features.store.account_table import AccountTable

    if not file.exists():
        return
    with closing(AccountTable(file)) as table:
        owners = sorted({name for name in table.columns("owner")["owner"] if name})
    if owner not in owners:
        hint = f"The owners are: {', '.join(owners)}." if owners else "The published accounts have no owners."
        raise ConfigError(f"No published account has the owner '{owner}'.", hint)


def _describe_key(key: "ApiKey", at: datetime) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "owner": key.owner,
        "requests_per_minute": key.per_minute,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "status": key.status(at),
    }
