"""Base64 as libtrust wrote and read it: unpadded URL-safe text, read with whatever blanks and padding it has."""

import base64
import binascii
import re

from puller.errors import InvalidManifest

_URL = re.compile(r"[A-Za-z0-9_-]*={0,2}", re.ASCII)
_STANDARD = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)


def encode(content: bytes) -> str:
    """URL-safe, without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes of a URL-safe text; new lines and spaces are passed over. Raises InvalidManifest in Go's words."""
    plain = text.replace("\n", "").replace(" ", "")
    # By the length in bytes, as Go's strings have it, carriage returns counted.
    if len(plain.encode("utf-8", "surrogatepass")) % 4 == 1:
        raise InvalidManifest("illegal base64url string")
    return _decode(plain + "=" * (-len(plain) % 4), _URL, b"-_")


def decode_standard(text: str) -> bytes:
    """The bytes of a padded text of the standard alphabet, as certificates are written (RFC 7515, section 4.1.6)."""
    return _decode(text.replace("\n", ""), _STANDARD, b"+/")


def _decode(text: str, alphabet: re.Pattern[str], others: bytes) -> bytes:
    plain = text.replace("\r", "")
    found = alphabet.match(plain)
    end = found.end() if found else 0
    try:
        if end != len(plain):
            raise ValueError(end)
        return base64.b64decode(plain, altchars=others, validate=True)
    except (ValueError, binascii.Error):
        raise InvalidManifest(f"illegal base64 data at input byte {end}") from None
