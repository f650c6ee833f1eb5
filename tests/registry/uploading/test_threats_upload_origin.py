"""Threat B10: what is pushed, and who pushes it, is shown to the registry and to nobody it names."""

from pathlib import Path

import pytest

from puller.errors import RegistryError, UnsafeRedirect
from testregistry import Basic, faults, serve
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from testregistry.fault import Fault
from testregistry.raw import RawRequest, answer, serve_script
from tests.registry.bringing import bring, held
from tests.registry.elsewhere import HERE, told
from tests.registry.scene import LARGE, SMALL, Names, OneLogin, opened

LOGIN = OneLogin("ann", "marker-password")
WHEN = [("POST", "begun"), ("PATCH", "streamed"), ("GET", "asked for")]


def elsewhere(location: str, method: str) -> Fault:
    return faults.headers(add={"Location": location}, remove=["Location"], method=method, kind="upload", times=None)


@pytest.mark.parametrize("method", [method for method, _ in WHEN], ids=[when for _, when in WHEN])
@pytest.mark.parametrize(
    "host",
    ["sub.registry.test", "test", "registry.test.evil.test", "evil.test", "127.0.0.1", "registry.test."],
)
async def test_b10_no_host_but_the_registrys_own_gets_blob_or_password(host: str, method: str) -> None:
    async with serve_canary() as canary, serve(auth=Basic({"ann": "marker-password"})) as registry:
        port = canary.host.partition(":")[2]
        registry.faults.append(elsewhere(f"http://{host}:{port}/v2/app/blobs/uploads/1", method))
        # The line breaks once, so that where the upload stands is asked for as well.
        registry.faults.append(faults.cut_upload(after=100_000, method="PATCH"))
        name = told(registry)
        names = Names(HERE | {host: "127.0.0.1"})
        async with opened(f"{name}/app", names=names, login=LOGIN, plain_http=[name]) as repository:
            with pytest.raises(RegistryError) as caught:
                await bring(repository, LARGE)
        assert isinstance(caught.value, UnsafeRedirect)
        assert canary.requests == []
        assert not held(registry, LARGE)


async def test_b10_another_port_of_the_registrys_host_is_another_origin() -> None:
    async with serve_canary() as canary, serve(auth=Basic({"ann": "marker-password"})) as registry:
        registry.faults.append(elsewhere(f"{canary.url}/v2/app/blobs/uploads/1", "POST"))
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(UnsafeRedirect, match="another origin"):
                await bring(repository, LARGE)
        assert canary.requests == []


async def test_b10_an_upload_does_not_go_on_without_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_canary() as canary, serve(tls=authority.server()) as registry:
        port = registry.host.partition(":")[2]
        for location in (f"{canary.url}/x", f"http://127.0.0.1:{port}/v2/app/blobs/uploads/1"):
            registry.faults.clear()
            registry.faults.append(elsewhere(location, "POST"))
            async with opened(registry.name("app"), ca_file=authority.file) as repository:
                with pytest.raises(UnsafeRedirect, match="another origin"):
                    await bring(repository, LARGE)
        assert canary.requests == []


@pytest.mark.parametrize("spelling", ["http://{}{}", "HTTP://{}{}", "//{}{}", "{1}"])
async def test_b10_the_registrys_own_origin_may_be_spelt_in_any_way(spelling: str) -> None:
    path = "/v2/app/blobs/uploads/1?x=y"

    def script(request: RawRequest) -> bytes:
        if request.method == "POST":
            return answer("202 Accepted", [("Location", spelling.format(request.header("Host"), path))])
        return answer("201 Created" if request.method == "PUT" else "404 Not Found")

    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        await bring(repository, SMALL)
        assert [request.method for request in raw.requests] == ["HEAD", "POST", "PUT"]
        assert raw.requests[-1].path.startswith(f"{path}&digest=sha256")
