"""Which addresses on the web a setting may name: https, or plain http to this machine."""

import ipaddress
import re
from urllib.parse import urlsplit

# What programs read differently, such as a backslash or letters that look like others, is no part of an address.
PLAIN_TEXT = re.compile(r"[!-~]+")
CONFUSING = re.compile(r"[\\%]")


def require_safe_address(url: str) -> str:
    """The address; raises ValueError unless it is https, or http to this machine, and holds no password."""
    if not PLAIN_TEXT.fullmatch(url):
        raise ValueError("the address must be ASCII without spaces; write a name with other letters as xn--...")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("the address must have no user or password; events are signed instead")
    if not parts.hostname or CONFUSING.search(parts.netloc):
        raise ValueError("the address must have a host, such as https://crm.example/hooks")
    if parts.port == 0:  # reading another invalid port raises ValueError
        raise ValueError("the port must be between 1 and 65535")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
        raise ValueError("the address must be https, except on this machine")
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
