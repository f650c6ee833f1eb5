"""What is for one host and must be seen by no other: accounts, headers, what a mirror is told (THREATS B6, B11)."""

from puller.contracts.access import Credential, KnownIdentity
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from testregistry import Basic, faults
from testregistry.answer import Answer
from testregistry.canary import serve_canary
from tests.registry.mirrors.several import LAYER, hosts

WANTED = Descriptor(OCTETS, Digest.parse(LAYER.digest), len(LAYER.raw))
SECRET = "marker-secret"


class Accounts:
    """One account for one host; keeps what it was asked."""

    def __init__(self) -> None:
        self.host = ""
        self.asked: list[tuple[str, str]] = []

    def identity(self, registry: str, repository: str) -> KnownIdentity | None:
        self.asked.append((registry, repository))
        return KnownIdentity("the test's", Credential("ann", SECRET)) if registry == self.host else None


async def test_b11_a_mirror_that_asks_for_a_login_never_sees_that_of_the_registry() -> None:
    accounts = Accounts()
    wants = Answer(401, (("WWW-Authenticate", 'Basic realm="here"'),))
    async with serve_canary(wants) as canary:
        mirror: dict[str, object] = {"registry": canary.host, "repository": "cache/app"}
        async with hosts(endpoints=[mirror], keyring=accounts) as there:
            accounts.host = there.registry.host
            there.registry.auth = Basic({"ann": SECRET})
            await there.source.resolve(there.reference)
            async with there.source.fetch(WANTED) as body:
                assert b"".join([bytes(chunk) async for chunk in body]) == LAYER.raw

            assert canary.requests != []
            assert "authorization" not in canary.header_names()
            assert not canary.saw(SECRET)
            assert set(accounts.asked) == {(canary.host, "cache/app"), (there.registry.host, "app")}


async def test_b11_the_registry_never_sees_the_login_of_a_mirror() -> None:
    accounts = Accounts()
    async with hosts(filled=[False, True], keyring=accounts) as there:
        accounts.host = there.mirror.host
        there.mirror.faults.append(
            faults.status(None, 401, headers={"WWW-Authenticate": 'Basic realm="here"'}, times=1)
        )
        await there.source.resolve(there.reference)

        assert any("Authorization" in request.headers for request in there.mirror.journal.requests)
        assert all("Authorization" not in request.headers for request in there.registry.journal.requests)


async def test_b6_headers_that_are_set_up_for_a_mirror_go_to_it_and_not_where_it_sends_us() -> None:
    mirror: dict[str, object] = {"headers": (("X-Key", SECRET), ("accept", "nothing/else")), "namespace": "r.example"}
    async with serve_canary() as canary, hosts(endpoints=[mirror]) as there:
        there.mirror.faults.append(faults.redirect(LAYER.digest, f"{canary.url}/blob", times=None))
        await there.source.resolve(there.reference)
        async with there.source.fetch(WANTED) as body:
            async for _ in body:
                pass

        assert {request.headers["X-Key"] for request in there.mirror.journal.requests} == {SECRET}
        assert all(request.headers.getall("Accept") != ["nothing/else"] for request in there.mirror.journal.requests)
        assert canary.requests != []
        assert not canary.saw(SECRET)
        assert not canary.saw("r.example")
        assert all("X-Key" not in request.headers for request in there.registry.journal.requests)
