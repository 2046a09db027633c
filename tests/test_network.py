"""This machine's address on its network, found without asking anybody."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from pgce_mini.network import machine_address, network_origin


def test_the_address_is_one_that_this_machine_can_listen_to() -> None:
    address = machine_address()
    if address is None:
        pytest.skip("this machine is on no network")
    assert not ipaddress.ip_address(address).is_loopback
    with socket.socket() as listening:
        listening.bind((address, 0))


@pytest.mark.parametrize("way", ["none", "itself"])
def test_without_a_network_nobody_else_is_there(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    class Socket:
        def __init__(self, *kind: object) -> None:
            pass

        def __enter__(self) -> Socket:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def connect(self, address: object) -> None:
            if way == "none":
                raise OSError("Network is unreachable")

        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", 1

    monkeypatch.setattr(socket, "socket", Socket)
    assert machine_address() is None
    assert network_origin("0.0.0.0", 8501) == ""
