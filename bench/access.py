"""How a client proves itself to docker-registry: a password file, or tokens from a token server run here."""

import base64
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.certificate import Certificate, base64url
from bench.tool import require, run

LIFETIME = 300


@dataclass(frozen=True, slots=True)
class Account:
    """Who may pull."""

    user: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The credentials of a Basic `Authorization` header, and of docker's config.json (RFC 7617)."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """HTTP Basic against a bcrypt password file."""

    path: Path

    def settings(self) -> dict[str, Any]:
        """The registry's `auth` section."""
        return {"htpasswd": {"realm": "bench", "path": str(self.path)}}


def password_file(path: Path, account: Account) -> PasswordFile:
    """Write one account; raises MissingTool where htpasswd is not installed."""
    require("htpasswd")
    # Cost 5: the registry checks it on every request, and that time is not what anybody measures here.
    run(["htpasswd", "-cbB", "-C", "5", str(path), account.user, account.password])
    return PasswordFile(path)


@dataclass(frozen=True, slots=True)
class TokenServer:
    """A running token server (distribution-spec's docker token authentication): RS256, key proved by `x5c`."""

    realm: str
    certificate: Certificate
    service: str = "bench"
    issuer: str = "bench token server"
    issued: list[str] = field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        """The registry's `auth` section."""
        bundle = str(self.certificate.certificate)
        token = {"realm": self.realm, "service": self.service, "issuer": self.issuer, "rootcertbundle": bundle}
        return {"token": token}

    def token(self, user: str, scopes: list[str], now: float) -> str:
        """A signed token for just these scopes (`repository:name:pull,push`); `now` in seconds of the epoch."""
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(self.certificate.der()).decode()]}
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "exp": int(now) + LIFETIME,
            # A little earlier, for the registry compares whole seconds.
            "nbf": int(now) - 10,
            "iat": int(now),
            "jti": secrets.token_hex(8),
            "access": [_grant(scope) for scope in scopes],
        }
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{base64url(self.certificate.sign(signed.encode()))}"


def _grant(scope: str) -> dict[str, Any]:
    # A name may hold colons (a host with its port), a type and the actions never do.
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


@contextmanager
def token_server(certificate: Certificate, account: Account) -> Iterator[TokenServer]:
    """Serve tokens to that account alone, on a free port of 127.0.0.1; `issued` collects the scopes asked for."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server = TokenServer(f"http://127.0.0.1:{listener.server_port}/token", certificate)
    listener.RequestHandlerClass = _handler(server, account, time.time)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _handler(server: TokenServer, account: Account, clock: Callable[[], float]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            scopes = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("scope", [])
            if self.headers.get("Authorization") != f"Basic {account.basic}":
                self._answer(401, {"errors": [{"code": "UNAUTHORIZED"}]})
                return
            wanted = [single for scope in scopes for single in scope.split(" ")]
            server.issued.extend(wanted)
            token = server.token(account.user, wanted, clock())
            self._answer(200, {"token": token, "expires_in": LIFETIME})

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
            """Quiet: a request line may carry what should not be printed."""

    return Handler
