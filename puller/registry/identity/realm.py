"""Realm: the token server a registry names, and whether it may be asked at all and may see a secret (THREATS B3).

A hostile registry names a realm to harvest credentials or to reach into the network of whoever asks. So:

    asked, without secrets     any public host by https; of a plain-HTTP registry also by http
    asked, with credentials    the registry's own host, one of surely the same owner (`is_kin`), or one the caller names
    never asked                local addresses and names, unless they are the registry's own host or both are loopback
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from puller.errors import ProtocolViolation, UnsafeRedirect
from puller.registry.transport.host import address_of, is_local, is_loopback, is_plain_host
from puller.registry.transport.origin import Origin

MAX_REALM = 2048
# Visible ASCII without the characters that two URL parsers read differently.
_PLAIN = re.compile(r"[!#-;=?-Z\[\]_a-z~%]+", re.ASCII)
_PORTS = {"http": 80, "https": 443}
# Token server and registry of one owner under sibling names.
_KNOWN = frozenset(
    {
        ("auth.docker.io", "registry-1.docker.io"),
        ("docker-auth.elastic.co", "docker.elastic.co"),
        ("api.digitalocean.com", "registry.digitalocean.com"),
    }
)


@dataclass(frozen=True, slots=True)
class Realm:
    """A token server that may be asked.

    `trusted`: credentials may go there. `public_only`: the registry chose the host, so whoever connects must refuse
    an address that is not public, unless the registry itself lives at such an address.
    """

    url: str
    origin: Origin
    trusted: bool
    public_only: bool


def judge_realm(text: str, registry: Origin, token_hosts: Collection[str] = ()) -> Realm:
    """Decide on the realm of a challenge from `registry`. `token_hosts` are hosts the caller trusts with credentials.

    Raises ProtocolViolation for text that is no absolute URL, and UnsafeRedirect for one that may not be asked. Errors
    show no more of it than scheme and host.
    """
    scheme, host, port = _split(text)
    if scheme not in _PORTS:
        raise _unsafe("its scheme is not http or https", got=scheme[:40])
    if scheme == "http" and registry.scheme != "http":
        raise _unsafe("the registry speaks https and its token server does not", got=f"http://{host}"[:200])
    if not is_plain_host(host):
        raise _unsafe("its host is no plain name or address", got=host[:200])
    own = host == registry.host.lower()
    named = host in {name.lower() for name in token_hosts}
    neighbour = is_loopback(host) and is_loopback(registry.host)
    if is_local(host) and not (own or named or neighbour):
        raise _unsafe("it is an address of a local network", got=host)
    chosen = own or named or neighbour
    # In clear text a password goes to no host but the one whose plain HTTP the user has asked for (THREATS B1).
    trusted = chosen or (scheme == "https" and is_kin(host, registry.host))
    return Realm(text, Origin(scheme, host, port or _PORTS[scheme]), trusted=trusted, public_only=not chosen)


def is_kin(host: str, registry: str) -> bool:
    """Whether whoever rules `host` rules the name `registry` as well, so that a secret of one is none to the other.

    True for the same host, for a domain that `registry` lies below (who holds a zone can be any name in it), and for a
    few known pairs. Siblings are strangers: no list tells for sure below which domains names are rented out.
    """
    host, registry = host.lower(), registry.lower()
    if host == registry or (host, registry) in _KNOWN:
        return True
    return address_of(registry) is None and "." in host and registry.endswith(f".{host}")


def _split(text: str) -> tuple[str, str, int | None]:
    """Scheme, host in lower case, and port. Raises ProtocolViolation, or UnsafeRedirect for a user in the URL."""
    if not text or len(text) > MAX_REALM or not _PLAIN.fullmatch(text):
        raise ProtocolViolation("unusable realm in an authentication challenge", wanted="an absolute URL")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProtocolViolation("malformed realm in an authentication challenge", wanted="an absolute URL") from None
    if "@" in parts.netloc:
        raise _unsafe("it carries a user name", got=f"{parts.scheme}://…@{host}"[:200])
    if parts.scheme and parts.scheme not in _PORTS:
        return parts.scheme, host or "", port
    if not parts.scheme or not host or port == 0 or "#" in text:
        raise ProtocolViolation("unusable realm in an authentication challenge", wanted="an absolute URL")
    return parts.scheme, host, port


def _unsafe(reason: str, *, got: str) -> UnsafeRedirect:
    what = "the registry names a token server that must not be asked"
    return UnsafeRedirect(what, where=reason, got=got, phase="authentication")
