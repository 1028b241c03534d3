"""The command that runs the HTTP service."""

import os
import sys
from pathlib import Path

import click

from cli.context import CliContext
from configs.settings import ENVIRONMENT_PREFIX, Settings

PROGRAM = Path(__file__).resolve().parents[1]
SPARE_SECONDS = 5.0


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
    from serving.security.network import require_free_port, require_key_for_public_host
    from serving.telemetry.tracing import tracing_options

    settings = context.settings.serving
    host, port = host or settings.host, port or settings.port
    tracing_options(os.environ)
    require_key_for_public_host(host, KeyCache(lambda: context.database))
    require_free_port(host, port)
    _set_environment(context, port)
    context.echo(f"Listening on http://{host}:{port}; /v1/openapi.json describes the API.")
    command = [sys.executable, "-m", "serving.supervisor", "serve", "serving.service:Oarlock"]
    # Python and BentoML import modules from the current folder, which may be anyone's.
    os.chdir(PROGRAM)
    os.execv(sys.executable, [*command, f"--host={host}", f"--port={port}"])


def _set_environment(context: CliContext, port: int) -> None:
    os.environ["OARLOCK_CONFIG"] = str(context.config.resolve())
    os.environ["OARLOCK_SUPERVISOR"] = str(os.getpid())  # `execv` keeps it
    os.environ.update(_absolute_paths(context.settings))
    # BentoML empties the folder of its metrics at start; in the home directory that would be another service's too.
    os.environ["BENTOML_HOME"] = str(context.state.service_folder(port))
    # BentoML ignores --api-workers for a service of this kind.
    options = os.environ.get("BENTOML_CONFIG_OPTIONS", "")
    serving, ledger = context.settings.serving, context.settings.ledger
    # It answers in another shape, so it must come last. It keeps some memory of each request for as long.
    timeout = serving.request_timeout_seconds + ledger.backpressure_timeout_seconds + SPARE_SECONDS
    own = f"services.oarlock.workers={serving.workers} services.oarlock.traffic.timeout={timeout}"
    os.environ["BENTOML_CONFIG_OPTIONS"] = f"{options} {own}".strip()
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")


def _absolute_paths(settings: Settings) -> dict[str, str]:
    """The settings that are paths as environment variables: relative ones start at the folder that is left."""
    paths = {"STATE": settings.state, "PLAYBOOK": settings.playbook, "DATA__DATASET": settings.data.dataset}
    if settings.data.folder:
        paths["DATA__FOLDER"] = settings.data.folder
    if settings.stores.history:
        paths["STORES__HISTORY"] = settings.stores.history
    return {f"{ENVIRONMENT_PREFIX}{name}": str(path.resolve()) for name, path in paths.items()}
