"""The command that runs the HTTP service."""

import os
import subprocess
import sys

import click

from cli.context import CliContext


@click.command(short_help="Run the HTTP service.")
@click.option("--host", help="The address to listen on; `serving.host` by default.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on; `serving.port` by default.")
@click.pass_obj
def serve(context: CliContext, host: str | None, port: int | None) -> None:
    """Run the HTTP service until it is stopped; a newly promoted champion is loaded while it runs.

    \b
    Example: oarlock serve --port 3000
    """
    from serving.security.api_keys import KeyCache
    from serving.security.network import is_loopback, require_free_port, require_key_for_public_host
    from serving.telemetry.tracing import tracing_options

    settings = context.settings.serving
    host, port = host or settings.host, port or settings.port
    tracing_options(os.environ)
    if not is_loopback(host):
        require_key_for_public_host(host, KeyCache(lambda: context.database))
    require_free_port(host, port)
    _set_environment(context)
    context.echo(f"Listening on http://{host}:{port}; /v1/openapi.json describes the API.")
    _start_champion_watcher(os.environ["OARLOCK_CONFIG"])
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Oarlock", f"--host={host}", f"--port={port}"]
    os.execv(sys.executable, command)


def _set_environment(context: CliContext) -> None:
    os.environ["OARLOCK_CONFIG"] = str(context.config.resolve())
    # BentoML ignores --api-workers for a service of this kind.
    options = os.environ.get("BENTOML_CONFIG_OPTIONS", "")
    workers = context.settings.serving.workers
    os.environ["BENTOML_CONFIG_OPTIONS"] = f"{options} services.oarlock.workers={workers}".strip()
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")


def _start_champion_watcher(config: str) -> None:
    """Start the process that loads a new champion; it ends with this process, whose number `execv` keeps."""
    subprocess.Popen([sys.executable, "-m", "serving.scoring.champion_watcher", config, str(os.getpid())])
