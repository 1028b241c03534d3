"""The command that shows who did what, or writes it line by line for other tools."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from cli.context import DAY, JSON, CliContext
from cli.output import OutputTable, print_json
from serving.schemas.enums import AuditAction, ReportedAction

if TYPE_CHECKING:
    from serving.security.audit_log import AuditEvent

ACTIONS: tuple[str, ...] = (*get_args(AuditAction), *get_args(ReportedAction))


class Zone(click.ParamType):
    """A time zone by its name, such as UTC or Europe/Berlin."""

    name = "zone"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """The zone of this name."""
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"'{value}' is no time zone; write UTC or Europe/Berlin.", param, ctx)


@click.command(short_help="Show who did what, and what was denied.")
@click.option("--since", type=DAY, help="From this day on, in UTC.")
@click.option("--action", type=click.Choice(ACTIONS), metavar="ACTION", help=f"Only this action: {', '.join(ACTIONS)}.")
@click.option("--lines", is_flag=True, help="Write an event per line as JSON, also feedback and outcomes.")
@click.option("--zone", type=Zone(), default="UTC", show_default=True, help="With --lines: the zone of the times.")
@JSON
@click.pass_obj
def audit(context: CliContext, since: datetime | None, action: str | None, *, lines: bool, zone: ZoneInfo) -> None:
    """Show who created and revoked keys, signed in, promoted, forced and erased, and what was denied.

    \b
    Example: oarlock audit --since 2026-01-01 --action denied
             oarlock audit --lines --zone Europe/Berlin >> audit.jsonl
    """
    from serving.security.audit_export import export_audit, in_zone
    from serving.security.audit_log import read_audit_events

    if lines:
        for event in export_audit(context.database, since, action or ""):
            click.echo(json.dumps(in_zone(event, zone), default=str))
        return
    if action in get_args(ReportedAction):
        raise click.UsageError(f"{action} is in the audit with --lines only.")
    recorded = read_audit_events(context.database, since, action or "")
    if context.as_json:
        print_json(recorded)
    else:
        _show(context, recorded)


def _show(context: CliContext, recorded: "list[AuditEvent]") -> None:
    table = OutputTable({"time": "id", "user": "text", "action": "id", "subject": "text", "details": "text"})
    for entry in recorded:
        details = "; ".join(f"{name}: {_format_detail(value)}" for name, value in entry["details"].items())
        table.add(f"{entry['at']:%Y-%m-%d %H:%M:%S}", entry["actor"], entry["action"], entry["subject"], details)
    table.print(context)


def _format_detail(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
