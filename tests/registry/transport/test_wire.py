"""The wire alone: nothing foreign gets out of it, and nothing of a URL but its place is shown."""

import pytest
from yarl import URL

from puller.errors import UnsafeRedirect
from puller.registry.means import Means
from puller.registry.transport.reach import Boundary
from puller.registry.transport.tls import tls_context
from puller.registry.transport.wire import Wire, translated

WIRE_HOSTS = ["http://a..b/x", f"http://{'a' * 64}/x", "http://.a/x", "http://[::::::]/x"]


@pytest.mark.parametrize("url", WIRE_HOSTS)
async def test_n14_a_host_that_nothing_can_connect_to_is_an_error_of_ours(url: str) -> None:
    wire = Wire(Boundary(), tls=tls_context, means=Means())
    try:
        with pytest.raises(UnsafeRedirect):
            await wire.send("GET", URL(url, encoded=True), {})
    finally:
        await wire.close()


@pytest.mark.parametrize("error", [ValueError("x"), UnicodeError("x")])
def test_b15_what_a_codec_refuses_is_told_without_the_query(error: Exception) -> None:
    with pytest.raises(UnsafeRedirect) as caught, translated(URL("https://cdn.test/x?sig=marker")):
        raise error
    assert "https://cdn.test/x" in str(caught.value)
    assert "marker" not in str(caught.value)
