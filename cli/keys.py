"""The verbs of access: keys, and who did what."""

import re
from datetime import datetime, timedelta

import click

from cli.context import AS_JSON, DAY, Oarlock
from cli.output import new_table, print_json

SCOPES = click.Choice(["score", "read", "feedback", "admin"])


class Lasting(click.ParamType):
    """How long something lasts, as 90d or 12h."""

    name = "90d"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The time that was said."""
        said = re.fullmatch(r"(\d+)([dh])", value)
        if not said:
            self.fail(f"'{value}' is neither days (90d) nor hours (12h).", param, ctx)
        return timedelta(**{"days" if said[2] == "d" else "hours": int(said[1])})


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that requests are asked for.

    \b
    Example: oarlock keys create --name crm --scope score,read --expires 90d
    """


@keys.command()
@click.option("--name", required=True, help="Whose it is.")
@click.option("--scope", "scopes", required=True, help="What for: score, read, feedback, admin; several with commas.")
@click.option("--expires", type=Lasting(), help="How long it lasts; for ever where left out.")
@click.option("--per-minute", type=click.IntRange(min=1), default=600, show_default=True, help="Requests a minute.")
@AS_JSON
@click.pass_obj
def create(  # noqa: PLR0913, PLR0917 - a parameter per option
    oarlock: Oarlock, name: str, scopes: str, expires: timedelta | None, per_minute: int, as_json: bool
) -> None:
    """Make a key and show it, this once.

    \b
    Example: oarlock keys create --name crm --scope score,read --expires 90d
    """
    oarlock.speaks_json = as_json
    from dataclasses import replace

    from configs.clock import now
    from serving.security.api_keys import add_key, make_key

    chosen = [SCOPES.convert(one.strip(), None, None) for one in scopes.split(",")]
    at = now()
    secret, key = make_key(name, chosen, per_minute, at)
    key = replace(key, expires_at=at + expires if expires else None)
    add_key(oarlock.database, key)
    oarlock.audit("key_made", key.id, name=name, scopes=sorted(key.scopes))
    if as_json:
        print_json({"key": secret, "id": key.id, "scopes": sorted(key.scopes), "expires_at": key.expires_at})
        return
    click.echo(secret)
    click.echo(f"This is the only time it is shown. Its id is {key.id}; services know it within seconds.", err=True)


@keys.command("list")
@AS_JSON
@click.pass_obj
def list_keys(oarlock: Oarlock, as_json: bool) -> None:
    """List every key ever made, never the secret.

    \b
    Example: oarlock keys list
    """
    oarlock.speaks_json = as_json
    from configs.clock import now
    from serving.security.api_keys import all_keys

    found = [
        {
            "id": one.id,
            "name": one.name,
            "scopes": sorted(one.scopes),
            "per_minute": one.per_minute,
            "made_at": one.made_at,
            "expires_at": one.expires_at,
            "status": one.status(now()),
        }
        for one in all_keys(oarlock.database)
    ]
    if as_json:
        print_json(found)
        return
    table = new_table("id", "name", "scopes", "a minute", "made", "expires", "status")
    for one in found:
        expires = f"{one['expires_at']:%Y-%m-%d}" if one["expires_at"] else "never"
        cells = (one["id"], one["name"], ", ".join(one["scopes"]), str(one["per_minute"]), f"{one['made_at']:%Y-%m-%d}")
        table.add_row(*cells, expires, one["status"])
    oarlock.console.print(table)


@keys.command()
@click.argument("identity", metavar="ID")
@click.pass_obj
def revoke(oarlock: Oarlock, identity: str) -> None:
    """Take a key back: running services refuse it within seconds.

    \b
    Example: oarlock keys revoke 3f9a01c2b7de
    """
    from configs.clock import now
    from configs.errors import ConfigError
    from serving.security.api_keys import revoke_key

    if not revoke_key(oarlock.database, identity, now()):
        raise ConfigError(f"There is no key '{identity}' to revoke.", "See `oarlock keys list`.")
    oarlock.audit("key_revoked", identity)
    oarlock.console.print(f"The key {identity} is revoked.")


@click.command()
@click.option("--since", type=DAY, help="From this day on.")
@click.option(
    "--action", default="", help="Only this: key_made, key_revoked, promoted, overridden, denied, forgotten..."
)
@AS_JSON
@click.pass_obj
def audit(oarlock: Oarlock, since: datetime | None, action: str, as_json: bool) -> None:
    """Show who made and revoked keys, promoted, overrode and erased, and what was denied.

    \b
    Example: oarlock audit --since 2026-01-01 --action denied
    """
    oarlock.speaks_json = as_json
    from serving.security.audit_log import entries

    found = entries(oarlock.database, since, action)
    if as_json:
        print_json(found)
        return
    table = new_table("at", "who", "did", "to", "detail")
    for one in found:
        detail = ", ".join(f"{name} {value}" for name, value in one["detail"].items())
        table.add_row(f"{one['at']:%Y-%m-%d %H:%M:%S}", one["actor"], one["action"], one["subject"], detail)
    oarlock.console.print(table)
