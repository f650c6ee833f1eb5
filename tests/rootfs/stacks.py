"""Random stacks of layers, of few names, so that everything gets in the way of everything else."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.rootfs.layering import fifo, file, folder, hardlink, layer, symlink


@dataclass(frozen=True, repr=False)
class Said:
    """One entry, and how it is written in a test: an example that fails can be read, and pasted."""

    maker: Callable[..., bytes]
    arguments: tuple[object, ...]
    more: tuple[tuple[str, object], ...] = ()

    @property
    def raw(self) -> bytes:
        return self.maker(*self.arguments, **dict(self.more))

    def __repr__(self) -> str:
        words = [*map(repr, self.arguments), *(f"{key}={value!r}" for key, value in self.more)]
        return f"{self.maker.__name__}({', '.join(words)})"


Stack = list[list[Said]]

PATHS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map("/".join)
_MODES = st.sampled_from((0o755, 0o700, 0o1777, 0o2750, 0o555, 0o000))
_TIMES = st.sampled_from((-3.5, 12, 1_600_000_000.123456789))
_TARGETS = st.one_of(PATHS, PATHS.map(lambda path: f"/{path}"), PATHS.map(lambda path: f"../{path}"), st.just(".."))
_ATTRIBUTES = st.sampled_from(({}, {"user.a": b"1"}, {"user.b": b"2", "user.a": b"3"}))


def said(maker: Callable[..., bytes], *arguments: object, **more: object) -> Said:
    return Said(maker, arguments, tuple(more.items()))


def _whiteout(path: str) -> Said:
    head, slash, base = path.rpartition("/")
    return said(file, f"{head}{slash}.wh.{base}")


ENTRIES = st.one_of(
    st.builds(
        lambda path, mode, uid, mtime, xattrs: said(folder, path, mode=mode, uid=uid, mtime=mtime, xattrs=xattrs),
        st.one_of(PATHS, st.just(".")), _MODES, st.integers(0, 2), _TIMES, _ATTRIBUTES,
    ),
    st.builds(
        lambda path, content, mode, uid, mtime: said(file, path, content, mode=mode, uid=uid, mtime=mtime),
        PATHS, st.sampled_from(("", "1", "22")), _MODES, st.integers(0, 2), _TIMES,
    ),
    st.builds(lambda path, target: said(symlink, path, target), PATHS, _TARGETS),
    st.builds(lambda path, target: said(hardlink, path, target), PATHS, PATHS),
    PATHS.map(lambda path: said(fifo, path)),
    PATHS.map(_whiteout),
    PATHS.map(_whiteout),
    PATHS.map(lambda path: said(file, f"{path}/.wh..wh..opq")),
    st.just(said(file, ".wh..wh..opq")),
)  # fmt: skip
STACKS = st.lists(st.lists(ENTRIES, min_size=1, max_size=7), min_size=2, max_size=4)


def archives_of(stack: Stack) -> list[bytes]:
    return [layer(*(entry.raw for entry in entries)) for entries in stack]
