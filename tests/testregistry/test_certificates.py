"""TLS: the registry behind a certificate, and certificates a client must turn down (N28)."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from testregistry import Bearer, serve
from testregistry.certificates import Authority


async def ping(url: str, context: ssl.SSLContext) -> int:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/v2/", ssl=context) as answer:
            return answer.status


async def test_a_client_that_trusts_the_authority_gets_through(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve(tls=authority.server()) as registry:
        assert registry.url == f"https://{registry.host}"
        assert await ping(registry.url, authority.client()) == 200
        assert await ping(registry.url.replace("127.0.0.1", "localhost"), authority.client()) == 200


async def test_the_certificates_stand_up_to_strict_verification(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.client()
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    async with serve(tls=authority.server()) as registry:
        assert await ping(registry.url, client) == 200


async def test_the_token_server_stands_behind_the_same_certificate(tmp_path: Path) -> None:
    bearer = Bearer(separate=True)
    async with serve(tls=Authority(tmp_path).server(), auth=bearer):
        assert bearer.endpoint.startswith("https://127.0.0.1:")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("untrusted", "self-signed certificate|unable to get"),
        ("expired", "expired"),
        ("misnamed", "IP address mismatch"),
    ],
)
async def test_n28_bad_certificates_are_bad_in_just_one_way(tmp_path: Path, case: str, reason: str) -> None:
    authority = Authority(tmp_path)
    context = {
        "untrusted": lambda: authority.server(),
        "expired": lambda: authority.server(expired=True),
        "misnamed": lambda: authority.server("elsewhere.example"),
    }[case]()
    client = ssl.create_default_context() if case == "untrusted" else authority.client()
    async with serve(tls=context) as registry:
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match=reason):
            await ping(registry.url, client)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_the_authority(tmp_path: Path) -> None:
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "ca.pem"]
    Authority(tmp_path)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "ca.pem: OK\n", done.stderr
