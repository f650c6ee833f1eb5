"""DiskStore keeps the contract."""

from pathlib import Path

import pytest

from puller.model.digest import Digest
from puller.store.audit import Auditable
from puller.store.disk import DiskStore
from tests.contracts.content_store import ContentStoreSuite


class TestDiskStore(ContentStoreSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> DiskStore:
        return await DiskStore.open(tmp_path / "store", reserve=0)

    def tamper(self, store: Auditable, digest: Digest, content: bytes) -> None:
        assert isinstance(store, DiskStore)
        path = store.layout.blob(digest)
        path.chmod(0o644)
        path.write_bytes(content)
