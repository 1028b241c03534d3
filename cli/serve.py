"""The verbs of the service: answer over HTTP."""

import os
import subprocess
import sys

import click

from cli.context import Oarlock


@click.command()
@click.option("--host", help="Where to listen; the settings' serving.host where left out.")
@click.option("--port", type=click.IntRange(1, 65535), help="On which port; the settings' serving.port where left out.")
@click.pass_obj
def serve(oarlock: Oarlock, host: str | None, port: int | None) -> None:
    """Answer over HTTP until stopped; a promotion is taken up while it runs.

    \b
    Example: oarlock serve --port 3000
    """
    from serving.security.api_keys import KeyRing
    from serving.security.network import is_loopback, refuse_public, refuse_taken
    from serving.telemetry.tracing import tracing

    tracing(os.environ)
    serving = oarlock.settings.serving
    if not is_loopback(host or serving.host):
        refuse_public(host or serving.host, KeyRing(lambda: oarlock.database))
    refuse_taken(host or serving.host, port or serving.port)
    where = [f"--host={host or serving.host}", f"--port={port or serving.port}"]
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Oarlock", *where]
    os.environ["OARLOCK_CONFIG"] = str(oarlock.config.resolve())
    # BentoML heeds no --api-workers for a service of this kind.
    options = os.environ.get("BENTOML_CONFIG_OPTIONS", "")
    os.environ["BENTOML_CONFIG_OPTIONS"] = f"{options} services.oarlock.workers={serving.workers}".strip()
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    oarlock.console.print(f"POST http://{host or serving.host}:{port or serving.port}/v1/score")
    # The process below keeps this one's number; the follower ends with it.
    subprocess.Popen(
        [
            sys.executable,
            "-m",
            "serving.scoring.champion_watcher",
            os.environ["OARLOCK_CONFIG"],
            str(os.getpid()),
        ]
    )
    os.execv(sys.executable, command)
