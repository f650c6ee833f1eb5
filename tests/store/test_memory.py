"""MemoryStore keeps the contract."""

import pytest

from puller.model.digest import Digest
from puller.store.audit import Auditable
from puller.store.memory import MemoryStore
from tests.contracts.content_store import ContentStoreSuite


class TestMemoryStore(ContentStoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    def tamper(self, store: Auditable, digest: Digest, content: bytes) -> None:
        assert isinstance(store, MemoryStore)
        store.blobs[digest] = content
