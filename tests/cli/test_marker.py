"""Marked secrets through every failure: none is in what is printed, logged, reported, raised or kept (THREATS B15)."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from testregistry import faults
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.fault import Fault
from testregistry.journal import Request
from tests.cli.marked import MARKER, VERBS, WAYS, running

PUBLIC = ("Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Length", "Range", "If-Range", "Connection")

pytestmark = pytest.mark.slow  # some hundred runs


def echo(request: Request) -> Answer:
    """An error that repeats all that was sent, as careless servers and debugging proxies do; before, a challenge."""
    sent = {name: value for name, value in request.headers.items() if name not in PUBLIC}
    if not sent and "sig" not in request.query and request.kind != "token":
        realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="testregistry"'
        return Answer(401, (("WWW-Authenticate", f'Basic realm="x", {realm}'),), BytesBody(b"{}"))
    text = "; ".join([*(f"{name}: {value}" for name, value in sent.items()), request.query, str(request.form)])
    body = json.dumps({"errors": [{"code": "DENIED", "message": text, "detail": text}]}).encode()
    lines = (("Content-Type", "application/json"), ("X-Echo", text), ("Warning", f'299 - "{text}"'))
    return Answer(403, lines, BytesBody(body))


def challenge(request: Request) -> Answer:
    """A challenge that repeats the secret it refuses."""
    sent = request.headers.get("Authorization", "").replace('"', "")
    lines = (("WWW-Authenticate", f'Basic realm="{sent}", Bearer realm="http://{sent[-20:]}@x/", error="{sent}"'),)
    return Answer(401, lines, BytesBody(b"{}"))


def sent_on(location: str) -> Fault:
    return faults.redirect(None, location, times=None)


def status(code: int, **headers: str) -> Fault:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return faults.status(code, headers=told, body=MARKER.encode(), times=None)


NONSENSE = json.dumps({"token": f"{MARKER}\n"}).encode()
FAULTS: dict[str, Callable[[], Fault]] = {
    "none": lambda: faults.headers(None, add={"X": "y"}),
    "cut": lambda: faults.cut(None, after=10, times=None),
    "reset": lambda: faults.reset(None, after=10, times=None),
    "drop": lambda: faults.drop(None, times=None),
    "hang": lambda: faults.hang(None, times=None),
    "stall": lambda: faults.stall(None, after=3, times=None),
    "drip": lambda: faults.drip(None, rate=2, times=None),
    "cut upload": lambda: faults.cut_upload(None, after=10, keep=False, times=None),
    "flip": lambda: faults.flip(None, at=-1, times=None),
    "other body": lambda: faults.body(None, MARKER.encode(), times=None),
    "swap": lambda: faults.swap(None, "sha256:" + 64 * "0", times=None),
    "endless": lambda: faults.endless(None, times=None),
    "400": lambda: status(400),
    "401 without challenge": lambda: status(401),
    "401 of nonsense": lambda: status(401, WWW_Authenticate=f'Bearer realm="{MARKER}", realm="x"'),
    "401 to elsewhere": lambda: status(401, WWW_Authenticate=f'Bearer realm="https://e.test/?x={MARKER}"'),
    "401 with a user": lambda: status(401, WWW_Authenticate=f'Bearer realm="http://me:{MARKER}@127.0.0.1/t"'),
    "403": lambda: status(403),
    "404": lambda: status(404),
    "416": lambda: status(416),
    "429": lambda: status(429, Retry_After="1"),
    "500": lambda: status(500),
    "503": lambda: status(503),
    "echo": lambda: faults.answer(None, echo, times=None, path=r"/(v2|blobs)/.*"),
    "echo of the token server": lambda: faults.answer(None, echo, times=None, kind="token"),
    "echo in a challenge": lambda: faults.answer(None, challenge, times=None, before_auth=True),
    "redirect to a dead port": lambda: sent_on(f"http://127.0.0.1:9/x?sig={MARKER}"),
    "redirect with a user": lambda: sent_on(f"http://me:{MARKER}@127.0.0.1:9/x?sig={MARKER}"),
    "redirect to no address": lambda: sent_on(f"file:///{MARKER}"),
    "redirect to no URL": lambda: sent_on(f"http://[{MARKER}/?"),
    "redirect in a circle": lambda: sent_on(f"?sig={MARKER}"),
    "redirect to a name": lambda: sent_on(f"https://nowhere.test/x?sig={MARKER}"),
    "token expires": lambda: faults.expire_token(None, times=None),
    "token of nonsense": lambda: faults.body(None, NONSENSE, kind="token", times=None),
    "ranges ignored": lambda: faults.ignore_range(None, times=None),
    "wrong digest": lambda: faults.headers(None, add={"Docker-Content-Digest": "sha256:" + 64 * "0"}, times=None),
    "two lengths": lambda: faults.headers(None, add={"Content-Length": "1"}, times=None),
    "quota of nonsense": lambda: faults.headers(None, add={"RateLimit-Remaining": MARKER}, times=None),
    "date of nonsense": lambda: faults.headers(None, add={"Date": MARKER}, remove=["Date"], times=None),
    "cookies": lambda: faults.headers(None, add={"Set-Cookie": f"a={MARKER}"}, times=None),
    "encoded": lambda: faults.content_encoding(None, "gzip", times=None),
    "too long": lambda: faults.wrong_length(None, delta=-1, times=None),
    "too short": lambda: faults.wrong_length(None, delta=7, times=None),
    "no length": lambda: faults.no_length(None, times=None),
    "closed": lambda: faults.close_delimited(None, cut=3, times=None),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_b15_no_secret_is_shown_or_kept_whatever_fails(
    fault: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for number, verb in enumerate(VERBS.values()):
        async with running(way, tmp_path / str(number), [FAULTS[fault]()]) as run:
            await run.through(verb(run))
            shown = "".join(capsys.readouterr())
            whole = "\n".join([shown, caplog.text, run.everything()])
            found = [line[:400] for line in whole.splitlines() if any(map(line.__contains__, run.scene.secrets()))]
        assert found == []
        assert "[  " in shown  # something was told at all


@pytest.mark.parametrize("way", WAYS)
async def test_without_a_fault_every_way_lets_us_in(way: str, tmp_path: Path) -> None:
    async with running(way, tmp_path) as run:
        for name, verb in VERBS.items():
            if way == "registry_token" or (way == "own_headers" and name in ("push", "digest and tags", "login")):
                continue
            assert await run.through(verb(run)), (name, run.ear.said[-6:])
