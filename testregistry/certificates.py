"""X.509 certificates for tests, written without help: an authority, and server contexts good, expired or misnamed.

Only what TLS clients look at is there (RFC 5280 4.1 and 4.2): names, validity, key, basic constraints, key usage, the
two key identifiers, and the alternative names.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import ssl
from pathlib import Path

from testregistry.p256 import Key

_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_EC_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
_NOT_BEFORE, _NOT_AFTER, _LONG_AGO = b"20200101000000Z", b"21200101000000Z", b"20200102000000Z"


class Authority:
    """A certificate authority nobody trusts unless told to; its files lie in the directory given.

    Its key follows from its name: two of one name are the same authority, two strangers need two names.
    """

    def __init__(self, directory: Path, name: str = "testregistry authority") -> None:
        self.file = directory / "ca.pem"
        self._directory = directory
        self._name = name
        self._key = _key(name)
        usage = _extension("551d0f", b"\x03\x02\x01\x06", critical=True)  # keyCertSign, cRLSign
        basic = _extension("551d13", _sequence(b"\x01\x01\xff"), critical=True)
        raw = self._certificate(name, self._key, _NOT_AFTER, basic + usage)
        self.file.write_text(_pem("CERTIFICATE", raw))

    def server(self, *names: str, expired: bool = False, clients: Authority | None = None) -> ssl.SSLContext:
        """Return a context for a server with these DNS names and addresses, by default those of this machine.

        With `clients` it talks to nobody who does not show a certificate of that authority.
        """
        names = names or ("127.0.0.1", "localhost", "::1")
        label = f"{names[0]}{' expired' if expired else ''}"
        key = _key(label)
        alternative = _extension("551d11", _sequence(*(_general_name(name) for name in names)))
        extensions = alternative + _DIGITAL_SIGNATURE + _purpose(1)  # serverAuth
        raw = self._certificate(label, key, _LONG_AGO if expired else _NOT_AFTER, extensions)
        path = self._directory / f"{hashlib.sha256(raw).hexdigest()[:16]}.pem"
        path.write_text(_pem("CERTIFICATE", raw) + _pem("EC PRIVATE KEY", _private(key)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cafile=clients.file)
        return context

    def pair(self, name: str = "client") -> tuple[Path, Path]:
        """Return the files of a client's certificate and of its key, as docker's certs.d calls them."""
        key = _key(name)
        raw = self._certificate(name, key, _NOT_AFTER, _DIGITAL_SIGNATURE + _purpose(2))  # clientAuth
        certificate, secret = self._directory / f"{name}.cert", self._directory / f"{name}.key"
        certificate.write_text(_pem("CERTIFICATE", raw))
        secret.write_text(_pem("EC PRIVATE KEY", _private(key)))
        return certificate, secret

    def client(self) -> ssl.SSLContext:
        """Return a context for a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.file))

    def _certificate(self, subject: str, key: Key, until: bytes, extensions: bytes) -> bytes:
        known = _extension("551d0e", _tagged(0x04, _identifier(key)))
        issuer = _extension("551d23", _sequence(_tagged(0x80, _identifier(self._key))))
        body = _sequence(
            _tagged(0xA0, _integer(2)),
            _integer(int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big")),
            _ECDSA_SHA256,
            _distinguished(self._name),
            _sequence(_time(_NOT_BEFORE), _time(until)),
            _distinguished(subject),
            _sequence(_EC_P256, _bits(_point(key))),
            _tagged(0xA3, _sequence(extensions, known, issuer)),
        )
        signature = self._key.sign(body)
        numbers = (_integer(int.from_bytes(half, "big")) for half in (signature[:32], signature[32:]))
        return _sequence(body, _ECDSA_SHA256, _bits(_sequence(*numbers)))


def _key(label: str) -> Key:
    return Key.of_secret(int.from_bytes(hashlib.sha256(f"testregistry {label}".encode()).digest()[:31], "big"))


def _point(key: Key) -> bytes:
    return b"\x04" + key.x.to_bytes(32, "big") + key.y.to_bytes(32, "big")


def _identifier(key: Key) -> bytes:
    return hashlib.sha256(_point(key)).digest()[:20]


def _private(key: Key) -> bytes:
    """RFC 5915: the key, its curve, its public point."""
    curve = bytes.fromhex("06082a8648ce3d030107")
    secret = _tagged(0x04, key.secret.to_bytes(32, "big"))
    return _sequence(_integer(1), secret, _tagged(0xA0, curve), _tagged(0xA1, _bits(_point(key))))


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(content: bytes) -> bytes:
    return _tagged(0x03, b"\0" + content)


def _time(text: bytes) -> bytes:
    """RFC 5280 4.1.2.5: two-digit years up to 2049, four digits after."""
    return _tagged(0x17, text[2:]) if text < b"2050" else _tagged(0x18, text)


def _distinguished(name: str) -> bytes:
    common_name = _sequence(bytes.fromhex("0603550403"), _tagged(0x0C, name.encode()))
    return _sequence(_tagged(0x31, common_name))


def _extension(identifier: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = b"\x01\x01\xff" if critical else b""
    return _sequence(_tagged(0x06, bytes.fromhex(identifier)), flag, _tagged(0x04, value))


def _purpose(last: int) -> bytes:
    """RFC 5280 4.2.1.12: what a key is for."""
    return _extension("551d25", _sequence(bytes.fromhex("06082b060105050703") + bytes([last])))


def _general_name(name: str) -> bytes:
    try:
        return _tagged(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return _tagged(0x82, name.encode("ascii"))


_DIGITAL_SIGNATURE = _extension("551d0f", b"\x03\x02\x07\x80", critical=True)


def _pem(label: str, raw: bytes) -> str:
    text = base64.encodebytes(raw).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"
