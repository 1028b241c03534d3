"""Machines of a test's own: network namespaces joined by a bridge that this machine is on, too."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import randrange

import pytest


@dataclass(frozen=True)
class Machine:
    """A machine: the name of its namespace, and its address."""

    name: str
    address: str

    def command(self, *arguments: str) -> list[str]:
        """The command that runs a command on this machine."""
        return ["ip", "netns", "exec", self.name, *arguments]


@dataclass(frozen=True)
class Network:
    """Machines that reach each other and this one, which has the address `host`."""

    bridge: str
    prefix: str
    stack: ExitStack

    @property
    def host(self) -> str:
        """The address of this machine."""
        return f"{self.prefix}.1"

    def add_machine(self, number: int) -> Machine:
        """A new machine, with the address 10 + `number`."""
        machine = Machine(f"{self.bridge}-{number}", f"{self.prefix}.{10 + number}")
        _ip("netns", "add", machine.name)
        self.stack.callback(_remove_machine, machine)
        _ip("link", "add", machine.name, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
        _ip("link", "set", machine.name, "master", self.bridge, "up")
        _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", machine.name, "link", "set", device, "up")
        return machine


@contextmanager
def machine_network() -> Iterator[Network]:
    """A network without machines, which is removed after the block; skips the test without the right to make one."""
    bridge = f"oarlock{uuid.uuid4().hex[:4]}"
    with ExitStack() as stack:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            stack.callback(_ip, "link", "delete", bridge)
            _ip("netns", "add", bridge)
            _ip("netns", "delete", bridge)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', error)}")
        network = Network(bridge, f"10.77.{randrange(256)}", stack)
        _ip("address", "add", f"{network.host}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        yield network


def _remove_machine(machine: Machine) -> None:
    """Kill what runs on a machine, and remove it with its cable."""
    pids = _ip("netns", "pids", machine.name).split()
    subprocess.run(["kill", "-9", *pids], check=False, capture_output=True)
    _ip("link", "delete", machine.name)
    _ip("netns", "delete", machine.name)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
