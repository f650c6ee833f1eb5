"""Redirect: where a registry may send us on, decided hop by hop (THREATS B5–B8), and where an upload may go on (B10).

Pure: the session does the going.
"""

import re
from collections.abc import Sequence

from yarl import URL

from puller.errors import UnsafeRedirect
from puller.registry.transport.host import is_loopback, is_plain_host
from puller.registry.transport.origin import Origin, redacted

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_HOPS = 10
MAX_LOCATION = 16 << 10
# Nothing that a URL parser and a server could read in two ways: visible ASCII without backslash (RFC 3986 has none).
_LOCATION = re.compile(r"[!-\[\]-~]+", re.ASCII)
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]*)", re.ASCII)
_HOST_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


class Trail:
    """The hops of one request, from the registry on."""

    def __init__(self, start: URL) -> None:
        self.url = start
        self.origin = Origin.of(start)
        self.at_home = True
        self._home = self.origin
        self._visited = {str(start)}

    @property
    def redirected(self) -> bool:
        """Whether any hop was made."""
        return len(self._visited) > 1

    def follow(self, locations: Sequence[str]) -> None:
        """Step to where the `Location` headers of an answer point; `url`, `origin` and `at_home` change.

        `at_home` ends with the first hop to another origin and never comes back: a request that a third party has sent
        on carries no secret, even to where the secret belongs. Raises UnsafeRedirect.
        """
        if len(self._visited) > MAX_HOPS:
            raise self._unsafe("too many redirects", wanted=f"at most {MAX_HOPS}")
        url = self._target(locations)
        try:
            origin = Origin.of(url)
        except ValueError:
            raise self._unsafe("redirect to what is no http or https URL", got=redacted(url)) from None
        # What the user has named may be spelt as it was. A dot at the end is the root of names, and no other spelling.
        if origin.host != self.origin.host and not is_plain_host(origin.host.removesuffix(".")):
            raise self._unsafe("redirect to what is no host", got=redacted(url))
        if str(url) in self._visited:
            raise self._unsafe("redirects go in a circle", got=redacted(url))
        if self.origin.scheme == "https" and origin.scheme != "https":
            raise self._unsafe("redirect from https to http", got=redacted(url))
        self._visited.add(str(url))
        self.url = url
        self.origin = origin
        self.at_home = self.at_home and origin == self._home

    def _target(self, locations: Sequence[str]) -> URL:
        try:
            return _read_location(locations, self.url, "redirect")
        except UnsafeRedirect as error:
            raise error.at(host=self._home.netloc) from None

    def _unsafe(self, what: str, *, wanted: str | None = None, got: str | None = None) -> UnsafeRedirect:
        return UnsafeRedirect(what, where=redacted(self.url), wanted=wanted, got=got, host=self._home.netloc)


def upload_location(locations: Sequence[str], base: URL) -> URL:
    """Where an upload goes on, by the `Location` of the registry's answer to a request to `base`; its query is kept.

    Blobs and credentials go to the registry's own origin only (THREATS B10). Raises UnsafeRedirect.
    """
    home = Origin.of(base)
    url = _read_location(locations, base, "upload")
    try:
        origin = Origin.of(url)
    except ValueError:
        raise UnsafeRedirect("upload to what is no http or https URL", where=redacted(base)) from None
    if origin != home:
        hint = "Behind a proxy a registry has to know its own address, or answer with relative ones."
        raise UnsafeRedirect("upload to another origin", where=redacted(base), wanted=home, got=origin, hint=hint)
    return url


def foreign_location(text: str, *, where: str, plain: bool) -> URL:
    """Where a manifest says that a foreign layer lies (THREATS B2); `where` names who has it not.

    Without `plain` only https will do; with it, http to this machine as well. Raises UnsafeRedirect.
    """
    url = _read_url(text, where, "foreign layer")
    try:
        origin = Origin.of(url)
    except ValueError:
        what = "foreign layer at what is no http or https URL"
        raise UnsafeRedirect(what, where=where, got=redacted(text)) from None
    if not is_plain_host(origin.host.removesuffix(".")):
        raise UnsafeRedirect("foreign layer at what is no host", where=where, got=redacted(url))
    if origin.scheme == "http" and not (plain and is_loopback(origin.host)):
        raise UnsafeRedirect("foreign layer that would come without TLS", where=where, got=redacted(url))
    return url.with_fragment(None)


def _read_location(locations: Sequence[str], base: URL, noun: str) -> URL:
    where = redacted(base)
    if len(set(locations)) != 1:
        raise UnsafeRedirect(f"{noun} without exactly one Location", where=where, got=f"{len(locations)} of them")
    url = _read_url(locations[0], where, noun)
    try:
        return base.join(url).with_fragment(None)
    except ValueError:
        raise UnsafeRedirect(f"{noun} to what is no URL", where=where) from None


def _read_url(text: str, where: str, noun: str) -> URL:
    if len(text) > MAX_LOCATION or not _LOCATION.fullmatch(text):
        raise UnsafeRedirect(f"{noun} to what is no URL", where=where)
    authority = _AUTHORITY.match(text)
    if authority is not None and "@" in authority[1]:
        raise UnsafeRedirect(f"{noun} that chooses credentials", where=where, got=redacted(text))
    if authority is not None and not _HOST_PORT.fullmatch(authority[1]):
        raise UnsafeRedirect(f"{noun} to what is no host", where=where)
    try:
        # `encoded`: a signature covers the query byte for byte, so nothing may be quoted again.
        return URL(text, encoded=True)
    except ValueError:
        raise UnsafeRedirect(f"{noun} to what is no URL", where=where) from None
