"""Answers that no registry should give: rows N14, N21 and N33 of the fault matrix."""

import pytest

from puller.errors import (
    ProtocolViolation,
    RegistryError,
    UnsafeRedirect,
)
from testregistry import Bearer, faults, serve
from testregistry.raw import Close, serve_script
from tests.registry.asking import DIRECT_ROWS, ROWS, Ask, Kind, ask_blob, ask_manifest, ask_tags, fill
from tests.registry.scene import SMALL, described, fetched, opened

# N14, N21, N33: answers no registry should give -----------------------------------------------------------------------


@DIRECT_ROWS
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_n14_relative_redirects_are_followed(ask: Ask, kind: Kind, code: int) -> None:
    async with serve() as registry:
        fill(registry)
        registry.faults.append(
            faults.redirect(None, lambda request: f"{request.path}?hop=1", code=code, kind=kind)  # once
        )
        async with opened(registry.name("app")) as repository:
            await ask(registry, repository)


@ROWS
async def test_n14_a_redirect_in_circles_ends(ask: Ask, kind: Kind) -> None:
    async with serve(auth=Bearer()) as registry:
        fill(registry)
        registry.faults.append(faults.redirect(None, lambda request: request.path, kind=kind, times=None))
        async with opened(registry.name("app")) as repository:
            with pytest.raises((UnsafeRedirect, ProtocolViolation)):
                await ask(registry, repository)
        assert registry.journal.count(kind=kind, status=307) <= 2


async def test_n14_eleven_hops_are_too_many() -> None:
    async with serve() as registry:
        fill(registry)
        registry.faults.append(
            faults.redirect(
                None, lambda request: f"{request.path}?hop={len(registry.journal)}", kind="blob", times=None
            )
        )
        async with opened(registry.name("app")) as repository:
            with pytest.raises(UnsafeRedirect, match="too many"):
                await ask_blob(registry, repository)
        assert registry.journal.count(kind="blob") == 11


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x-unknown"])
@pytest.mark.parametrize("ask", [ask_manifest, ask_blob, ask_tags])
async def test_n21_an_encoded_body_is_refused(ask: Ask, coding: str) -> None:
    async with serve(faults=[faults.content_encoding(None, coding, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="encoded"):
                await ask(registry, repository)
        assert registry.journal.count() == 1


async def test_n21_identity_is_asked_for_and_taken_when_it_is_said() -> None:
    async with serve(faults=[faults.headers(add={"Content-Encoding": "identity"}, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            await ask_blob(registry, repository)
        assert registry.journal.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("code", [201, 202, 203, 204, 205, 206, 207, 226, 300, 304, 305, 306])
@pytest.mark.parametrize("ask", [ask_manifest, ask_blob, ask_tags])
async def test_n33_a_success_that_is_none_is_a_typed_error(ask: Ask, code: int) -> None:
    async with serve(faults=[faults.status(code, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match=str(code)):
                await ask(registry, repository)


@pytest.mark.parametrize("early", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"])
async def test_n33_informational_answers_are_passed_over(early: bytes) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SMALL) + SMALL
    async with serve_script([early + whole]) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(SMALL)) == SMALL


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"099 Low", b"600 High", b"999 Higher"])
async def test_n33_statuses_out_of_range_are_a_typed_error(status: bytes) -> None:
    async with serve_script([(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n", Close())] * 9) as raw:
        async with opened(f"{raw.host}/app") as repository:
            with pytest.raises(RegistryError):
                await fetched(repository, described(SMALL))
