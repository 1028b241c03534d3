"""Commands that write everything of a configuration to one file, and restore it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import FILE, JSON, CliContext
from cli.output import print_json

if TYPE_CHECKING:
    from serving.backup.archive import BackupManifest


@click.command(short_help="Write everything to one file, while serving.")
@click.argument("file", type=FILE)
@JSON
@click.pass_obj
def backup(context: CliContext, file: Path) -> None:
    """Write everything of this configuration to one new file that ends in .tar.zst or .tar.gz, while the service runs.

    It holds the ledger with keys, feedback and queues, MLflow with its artifacts, history, online store, registry and
    settings, with a hash of every file. Raw tables and secrets in the environment are not in it.

    \b
    Example: oarlock backup /backups/churn.tar.zst
    """
    from configs.clock import now
    from serving.backup.backup import create_backup

    with context.progress("backup") as progress:
        progress("copying", 0, 1)
        manifest = create_backup(context.settings, context.state, context.config, file, now())
    context.record_audit("backed_up", file.name, files=len(manifest.files), bytes=manifest.bytes)
    _show(context, "Written", file, manifest)


@click.command(short_help="Restore a backup into an empty state folder.")
@click.argument("file", type=FILE)
@click.option("--settings-to", type=FILE, help="Only write the settings of the backup to this new folder.")
@JSON
@click.pass_obj
def restore(context: CliContext, file: Path, settings_to: Path | None) -> None:
    """Restore a backup into the empty state folder of the settings, and into the servers that the settings name.

    The ledger goes into `ledger.url`, MLflow into `stores.mlflow` and the history into `stores.history`, if they are
    set. Every file is verified before anything is in use. The state folder may be at another path than before.

    \b
    Example: oarlock restore /backups/churn.tar.zst
             oarlock restore /backups/churn.tar.zst --settings-to configs
    """
    from serving.backup.restore import restore_backup, restore_settings

    if settings_to:
        files = restore_settings(file, settings_to)
        if context.as_json:
            print_json({"settings": [str(path) for path in files]})
        for path in () if context.as_json else files:
            context.echo(str(path))
        return
    with context.progress("restore") as progress:
        progress("verifying", 0, 1)
        manifest = restore_backup(context.settings, file)
    context.recover_ledger()
    context.record_audit("restored", file.name, created_at=manifest.created_at.isoformat())
    _show(context, "Restored", file, manifest)
    if context.settings.stores.online is not None or any("online store" in text for text in manifest.left_out):
        context.echo("The online store is empty: run `oarlock publish`, which fills it.")


def _show(context: CliContext, action: str, file: Path, manifest: "BackupManifest") -> None:
    risks = context.ledger.count() if action == "Restored" else manifest.rows["risks"]
    summary = {"file": str(file.resolve()), "files": len(manifest.files), "bytes": manifest.bytes, "risks": risks}
    if context.as_json:
        print_json(
            {
                **summary,
                "created_at": manifest.created_at,
                "versions": manifest.versions,
                "rows": manifest.rows,
                "left_out": manifest.left_out,
            }
        )
        return
    size = f"{manifest.bytes / 1e6:,.1f} MB"
    context.echo(f"{action} {file}: {len(manifest.files):,} files, {size}, {risks:,} risks in the ledger.")
    for text in manifest.left_out:
        context.echo(f"Not in it: {text}.")
