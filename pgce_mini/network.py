"""Where other machines find this one: its address on the network. Nothing is sent to find it."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

ANY = ("0.0.0.0", "::", "")
# Reserved for documentation (RFC 5737): connecting a datagram's socket chooses a way there and sends nothing.
ELSEWHERE = ("192.0.2.1", 9)


def machine_address() -> str | None:
    """The address of this machine on its network, or None without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(ELSEWHERE)
        except OSError:
            return None
        address = str(way.getsockname()[0])
    return None if ipaddress.ip_address(address).is_loopback else address


def network_origin(listens_to: str, port: int) -> str:
    """Where others reach a server, such as "http://192.168.1.20:8501"; "" if it listens to this machine alone.

    listens_to: the address that the server binds; "0.0.0.0" is all of this machine's.
    """
    host = machine_address() if listens_to in ANY else listens_to
    if host is None or host == "localhost" or _is_loopback(host):
        return ""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def host_of(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name
