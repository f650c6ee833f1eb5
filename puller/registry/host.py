"""Host: what a host name in a URL stands for: an address in any spelling, this machine, a domain and its owner.

Names are judged as they are written; what a name resolves to is checked by `reach` where the connection is made.
"""

import ipaddress
import re
from typing import TypeAlias

from puller.registry.reach import Reach, reach_of

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+", re.ASCII)
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*", re.ASCII)

# Under these, names belong to strangers who rent them, so two names that share one say nothing about one owner. A
# choice from the Public Suffix List's private section (publicsuffix.org) and the large clouds: whole domains, so that
# regional names below them need no list.
_RENTED_NAMES = """
    amazonaws.com amazonaws.com.cn on.aws awsapprunner.com elasticbeanstalk.com cloudfront.net
    azure.com azure.net azurecr.io azurecr.cn azurecr.us azureedge.net azurefd.net azurestaticapps.net
    azurewebsites.net azurecontainerapps.io azurecontainer.io cloudapp.net trafficmanager.net windows.net
    appspot.com cloudfunctions.net firebaseapp.com gcr.io googleapis.com googleusercontent.com pkg.dev run.app web.app
    aliyuncs.com myqcloud.com myhuaweicloud.com tencentcloudcr.com volces.com
    oraclecloud.com appdomain.cloud ocir.io scw.cloud linodeobjects.com linodeusercontent.com vultrobjects.com
    digitaloceanspaces.com ondigitalocean.app backblazeb2.com wasabisys.com ovh.net hetzner.cloud your-server.de
    akamaihd.net akamaized.net b-cdn.net edgekey.net edgesuite.net fastly.net fastlylb.net
    github.dev github.io githubpreview.dev githubusercontent.com gitlab.io bitbucket.io gitpod.io
    pages.dev workers.dev r2.dev deno.dev edgecompute.app fly.dev glitch.me herokuapp.com hf.space netlify.app
    onrender.com railway.app repl.co replit.app replit.dev surge.sh vercel.app now.sh
    jfrog.io cloudsmith.io goharbor.io sonatype.app
    ngrok.app ngrok.dev ngrok.io ngrok-free.app loca.lt serveo.net trycloudflare.com ts.net
    ddns.net duckdns.org dyndns.org dynv6.net hopto.org no-ip.org nip.io sslip.io xip.io
"""
_RENTED = frozenset(_RENTED_NAMES.split())
# Second-level words that registries of country domains sell below (co.uk, com.au, gouv.fr).
_SOLD_WORDS = frozenset({"asso", "blog", "corp", "firm", "gouv", "govt", "info", "name", "police", "priv", "prof"})


def address_of(host: str) -> Address | None:
    """The IP address that `host` spells, in any form a resolver takes: `::1`, `127.1`, `0x7f.1`, `2130706433`.

    IPv6 is given without brackets. None for a name. The loose IPv4 forms are those of inet_aton(3).
    """
    host = host.removesuffix(".")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 24 for part in parts):
        return None
    *leading, last = (_number(part) for part in parts)
    if any(part > 255 for part in leading) or last >= 256 ** (4 - len(leading)):
        return None
    high = sum(part << 8 * (3 - place) for place, part in enumerate(leading))
    return ipaddress.IPv4Address(high + last)


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    octal = text.startswith("0") and not set(text) & {"8", "9"}
    return int(text, 8 if octal else 10)


def is_plain_host(host: str) -> bool:
    """Whether `host` is a DNS name or an address in its normal spelling, without trailing dot."""
    address = address_of(host)
    if address is not None:
        return host.lower() == str(address) or (":" in host and "%" not in host)
    return len(host) <= 253 and _NAME.fullmatch(host) is not None and not _NUMBER.fullmatch(host.rpartition(".")[2])


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine by itself: 127.0.0.0/8, ::1, `localhost` and what is below it (RFC 6761)."""
    name = host.lower().removesuffix(".")
    address = address_of(host)
    if address is not None:
        return reach_of(str(address)) is Reach.LOOPBACK
    return name.rpartition(".")[2] == "localhost"


def is_local(host: str) -> bool:
    """Whether `host` by its spelling alone leads to this machine or to an address that is not public."""
    address = address_of(host)
    return is_loopback(host) if address is None else reach_of(str(address)) is not Reach.PUBLIC


def same_owner(one: str, other: str) -> bool:
    """Whether two hosts are surely of one owner: equal, or below one registrable domain.

    Not the whole Public Suffix List, and wrong only to the safe side: unknown suffixes are taken for public where they
    look it, and under domains whose names are rented out only equal hosts are of one owner.
    """
    one, other = one.lower(), other.lower()
    if one == other:
        return True
    domain = registrable_domain(one)
    return domain is not None and domain == registrable_domain(other)


def registrable_domain(host: str) -> str | None:
    """The domain that somebody bought, as in `docker.io` for `auth.docker.io`; None where that cannot be told."""
    labels = host.lower().removesuffix(".").split(".")
    if address_of(host) is not None or any(".".join(labels[start:]) in _RENTED for start in range(len(labels))):
        return None
    country = len(labels[-1]) == 2
    # `co.uk`, `com.au`, `ac.jp`: in country domains a short second label is sold below, as a rule.
    sold_below = country and len(labels) > 1 and (len(labels[-2]) <= 3 or labels[-2] in _SOLD_WORDS)
    size = 3 if sold_below else 2
    return ".".join(labels[-size:]) if len(labels) >= size else None
