"""Threat B15 on the way out: passwords, tokens and the state in upload URLs stay out of errors, tracebacks and logs."""

import logging
import traceback

import pytest

from puller.errors import PullerError
from puller.registry.retry import RetryPolicy
from testregistry import Basic, Bearer, faults, serve
from testregistry.auth import Auth
from testregistry.fault import Fault
from tests.registry.bringing import bring, write
from tests.registry.scene import LARGE, SMALL, OneLogin, described, opened

PASSWORD = "marker-password"
LOGIN = OneLogin("ann", PASSWORD)
HOSTILE = b'{"errors":[{"code":"DENIED","message":"no"}]}'

FAILURES = {
    "refused post": faults.status(403, body=HOSTILE, method="POST", kind="upload", times=None),
    "refused patch": faults.status(403, body=HOSTILE, method="PATCH", kind="upload", times=None),
    "refused put": faults.status(400, body=HOSTILE, method="PUT", kind="upload", times=None),
    "failing patch": faults.status(503, method="PATCH", kind="upload", times=None),
    "cut patch": faults.cut_upload(after=1000, keep=False, times=None),
    "dropped post": faults.drop(method="POST", kind="upload", times=None),
    "lost upload": faults.status(404, method="PATCH", kind="upload", times=None),
    "out of step": faults.status(416, method="PATCH", kind="upload", times=None),
    "other origin": faults.headers(
        add={"Location": "http://evil.test/x?_state=marker-state"}, remove=["Location"], method="POST", kind="upload"
    ),
    "userinfo": faults.headers(
        add={"Location": f"http://ann:{PASSWORD}@127.0.0.1/x"}, remove=["Location"], method="POST", kind="upload"
    ),
    "redirect": faults.redirect(None, "http://evil.test/?marker-state", method="PATCH", kind="upload"),
    "another digest": faults.headers(
        add={"Docker-Content-Digest": "sha256:" + "0" * 64},
        remove=["Docker-Content-Digest"],
        method="PUT",
        kind="upload",
    ),
    "expired token": faults.expire_token(method="PATCH", kind="upload", times=None),
}


@pytest.mark.parametrize("auth", [Basic({"ann": PASSWORD}), Bearer({"ann": PASSWORD})], ids=["basic", "bearer"])
@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
async def test_b15_no_secret_is_in_an_error_of_an_upload(
    fault: Fault, auth: Auth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    errors: list[PullerError] = []
    async with serve(auth=auth, faults=[fault]) as registry:
        where = {"login": LOGIN, "plain_http": [registry.host], "retries": RetryPolicy(attempts=2)}
        async with opened(registry.name("app"), **where) as repository:  # type: ignore[arg-type]  # any keywords
            for raw in (LARGE, SMALL):
                try:
                    await bring(repository, raw)
                except PullerError as error:
                    errors.append(error)
        queries = [request.query.partition("&digest=")[0] for request in registry.journal if request.kind == "upload"]
        secrets = {PASSWORD, "marker-state", *(query.removeprefix("_state=") for query in queries if "_state" in query)}
        secrets |= {request.headers.get("Authorization", PASSWORD).partition(" ")[2] for request in registry.journal}
    if fault.name != "expire_token" or isinstance(auth, Bearer):
        assert errors
    told = [
        caplog.text,
        *(text for e in errors for text in (str(e), str(e.facts()), "".join(traceback.format_exception(e)))),
    ]
    assert [(secret, text) for secret in secrets - {""} for text in told if secret in text] == []


async def test_b15_wrong_bytes_name_no_secret_either() -> None:
    async with serve(auth=Basic({"ann": PASSWORD})) as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(PullerError) as caught:
                await write(repository, described(LARGE), LARGE[:-1] + b"x")
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
