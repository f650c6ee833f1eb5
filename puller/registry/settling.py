"""Settling: what a host speaks that was set up as insecure: TLS, whoever it turns out to be, or plain HTTP.

As containers/image does. It is the only case of less protection after more: it was set up so, for this host alone.
"""

import logging

from puller.contracts.access import NO_TRUST, Endpoint, Protection, Trust
from puller.errors import RegistryError
from puller.registry.means import Means
from puller.registry.transport.lines import Lines
from puller.registry.transport.origin import Origin, registry_origin

_LOG = logging.getLogger(__name__)


async def speaks_plain(endpoint: Endpoint, means: Means) -> bool:
    """Whether it is plain HTTP; one warning tells what there is. Raises RegistryError where it is neither."""
    secure = registry_origin(endpoint.registry, Protection.TLS)
    try:
        await _hear(secure, endpoint.trust, endpoint.base, means)
    except RegistryError as error:
        plain = registry_origin(endpoint.registry, Protection.PLAIN)
        try:
            await _hear(plain, NO_TRUST, endpoint.base, means)
        except RegistryError:
            raise error from None
        _LOG.warning("%s is spoken to without TLS: it is set up as insecure", plain.netloc)
        return True
    _LOG.warning("the certificate of %s is not checked: it is set up as insecure", secure.netloc)
    return False


async def _hear(origin: Origin, trust: Trust, base: str, means: Means) -> None:
    """Ask for anything; whatever is answered will do."""
    lines = Lines(origin, named=True, trust=trust, means=means, proven=False)
    headers = {"User-Agent": means.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
    try:
        (await lines.home.send("GET", origin.url(f"{base}/"), headers)).close()
    finally:
        await lines.close()
