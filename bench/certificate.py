"""Throw-away keys and self-signed certificates for 127.0.0.1, made by the openssl program."""

import base64
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.tool import require, run


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that is its own authority, and its RSA key, both files in PEM."""

    certificate: Path
    key: Path

    def der(self) -> bytes:
        """The certificate's bytes, as an `x5c` header carries them (RFC 7515 §4.1.6)."""
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def sign(self, message: bytes) -> bytes:
        """An RS256 signature: PKCS #1 v1.5 over SHA-256 (RFC 7518 §3.3)."""
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        return subprocess.run(command, input=message, stdout=subprocess.PIPE, check=True).stdout


def self_signed(folder: Path, name: str) -> Certificate:
    """Make one for 127.0.0.1 and localhost, good for a day; raises MissingTool where openssl is not installed."""
    require("openssl")
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    run([*command, "-keyout", str(made.key), "-out", str(made.certificate)])
    return made


def base64url(raw: bytes) -> str:
    """Base 64 as JOSE writes it: URL alphabet, no padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
