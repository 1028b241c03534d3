"""Which addresses and ports the service may listen on."""

import errno
import ipaddress
import socket

from configs.errors import Busy, ConfigError
from serving.security.api_keys import KeyCache


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def require_key_for_public_host(host: str, key_cache: KeyCache) -> None:
    """Raise ConfigError if other machines could reach the service and no key exists."""
    if not is_loopback(host) and not key_cache.keys():
        raise ConfigError(
            f"Other machines can reach {host}, and there is no API key yet.",
            "Create one first: `oarlock keys create --name crm --scope score`.",
        )


def require_free_port(host: str, port: int) -> None:
    """Raise Busy if the port is in use, ConfigError if the address cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"Cannot bind {host}:{port}: the port is in use."
            raise Busy(message, "Stop the other process or pass --port.") from None
        raise ConfigError(f"Cannot bind {host}:{port}: {error.strerror}.", "Pass another --host.") from None
