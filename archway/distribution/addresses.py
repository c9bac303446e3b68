"""Addresses that a registry or the environment gives, which need not be any."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from archway.distribution.trouble import printable
from archway.errors import RegistryError

Origin = tuple[str, str, int]


def split(url: str, *, where: str) -> SplitResult:
    """Take an address apart, whose port then is one, if it has any.

    :raises RegistryError: it is none
    """
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError as wrong:
        why = printable(f"{url}: {wrong}")
        raise RegistryError("leads to an address that is none", where=where, why=why) from None
    return parts


def join(base: str, target: str, *, where: str) -> str:
    """Where a Location or a Link leads to.

    :raises RegistryError: to no address
    """
    split(target, where=where)  # urljoin would tell less
    found = urljoin(base, target)
    split(found, where=where)
    return found


def origin(url: str, *, where: str) -> Origin:
    """What has to be the same for credentials to be sent along."""
    parts = split(url, where=where)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)


def is_loopback(host: str) -> bool:
    """Whether a registry is on this machine: ``localhost:5000``, ``127.0.0.1``, ``[::1]:5000``."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_for(scheme: str, host: str) -> str:
    """The proxy that the environment wants for a host; empty if none.

    :raises RegistryError: it is no address, or of a kind that is not supported
    """
    proxies = getproxies_environment()
    kind = scheme if proxies.get(scheme) else "all"
    address = proxies.get(kind) or ""
    if not address or is_loopback(host) or proxy_bypass(host):
        return ""
    address = address if "://" in address else f"http://{address}"
    name = f"{kind}_proxy" if f"{kind}_proxy" in os.environ else f"{kind}_proxy".upper()
    hint = f"correct {name} in the environment, or except {host} from it in NO_PROXY"
    try:
        parts = urlsplit(address)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    shown = printable(f"{address.partition('://')[0]}://{address.rpartition('@')[2].rpartition('://')[2]}")
    if not good:
        raise RegistryError("the proxy of the environment is no address", where=name, why=shown, hint=hint)
    if parts.scheme not in ("http", "https"):
        why = f"{shown}: only HTTP proxies are supported, {printable(parts.scheme)} is not"
        raise RegistryError("the proxy of the environment is not supported", where=name, why=why, hint=hint)
    return address
