"""Who sends a request: the address that connects, and the one that a proxy on this machine says it asks for.

uvicorn believes `X-Forwarded-For` of whatever connects from this machine, so anybody there can name any address.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

VIA = " via "
PEER = "oarlock.peer"
MAX_ADDRESS_LENGTH = 45  # of an IPv6 address that holds an IPv4 one; a header can say anything


def remember_peer(app: ASGIApp) -> ASGIApp:
    """The app, which can tell who connects after uvicorn has put what a header says in place of it."""

    async def remember(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, PEER: scope.get("client")}, receive, send)

    return remember


def asking_address(scope: Scope) -> str:
    """The address that asks; if a header named another than the one that connects, both.

    >>> asking_address({"client": ("10.0.0.9", 0), "oarlock.peer": ("127.0.0.1", 51234)})
    '10.0.0.9 via 127.0.0.1'
    """
    client, peer = (scope.get(name) or ("",) for name in ("client", PEER))
    address = str(client[0])[:MAX_ADDRESS_LENGTH]
    return f"{address}{VIA}{peer[0]}" if peer[0] and peer[0] != client[0] else address


def claimed_address(address: str) -> str:
    """The address that asks, without the proxy that says so."""
    return address.partition(VIA)[0]
