"""GraphDoor: the image graph for verbs that may not need one: before it is opened nothing is looked at or imported."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from puller.ops.graphs.spelling import Spelling, as_typed
from puller.store.disk import DiskStore

if TYPE_CHECKING:
    from puller.ops.graphs.graph import Graph


class GraphDoor:
    """A context manager. `place` is Docker's root; None: the store's own. `workers` unpack at once.

    `always`: images of schema 1 are registered there also by pulls that unpack nothing else.
    """

    def __init__(
        self,
        store: DiskStore,
        place: Path | None,
        *,
        workers: int = 2,
        always: bool = False,
        spelling: Spelling = as_typed,
    ) -> None:
        self.always = always
        self._store = store
        self._place = place
        self._workers = workers
        self._spelling = spelling
        self._stack = ExitStack()
        self._graph: Graph | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    @property
    def is_chosen(self) -> bool:
        """Whether it is another than the store's own."""
        return self._place is not None

    def open(self) -> "Graph":
        """The graph, opened once. Raises Unsupported for one that cannot be read here."""
        if self._graph is None:
            from puller.ops.graphs.graph import graph_of

            opened = graph_of(self._store, self._place, workers=self._workers, spelling=self._spelling)
            self._graph = self._stack.enter_context(opened)
        return self._graph

    def open_if_used(self) -> "Graph | None":
        """The same where there are images, as far as a look at one directory tells."""
        folder = (self._place or self._store.layout.root) / "graph"
        return self.open() if folder.is_dir() else None
