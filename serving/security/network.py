"""Which addresses and ports the service may listen on."""

import errno
import ipaddress
import socket

from configs.errors import Busy, ConfigError
from serving.security.api_keys import KeyCache


def is_loopback(address: str) -> bool:
    """Whether only this machine can come from, or listen on, an address."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def require_key_for_public_host(host: str, ring: KeyCache) -> None:
    """Raise ConfigError where a service would be open to others."""
    if not is_loopback(host) and not ring.keys():
        raise ConfigError(
            f"{host} can be reached by others, and there is no key yet.",
            "Make one first: `oarlock keys create --name crm --scope score`.",
        )


def require_free_port(host: str, port: int) -> None:
    """Raise Busy where something listens there already, ConfigError where nothing can."""
    try:
        socket.create_server(
            (host.strip("[]"), port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ).close()
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            message = f"Port {port} of {host} is in use."
            raise Busy(message, "Stop what listens there, or name another with --port.") from None
        raise ConfigError(f"Nobody can listen on {host}:{port}: {problem.strerror}.", "Name another --host.") from None
