"""tar-split: the lines of the original to the byte, every archive put together again, and no line believed."""

import base64
import io
import json
import random
import tarfile
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puller.errors import ContentCorrupt, InvalidArchive, LimitExceeded, PullerError, TruncatedArchive
from puller.stream import tarsplit
from puller.stream.sane import Sane
from puller.stream.sink import Chunk
from puller.stream.tar import TarSink
from puller.stream.tarentry import CONTIGUOUS, FIFO, HARD_LINK, PAX_GLOBAL, SYMLINK, Entry, TarListener
from puller.stream.tarsplit import TarSplitRecorder, assemble
from tests.differential.generator import archive as generated
from tests.recorded import contents
from tests.stream.archive import END, directory, header, long_name, member, pax, sparse_header
from tests.stream.pieces import CUTS, Cut, feed, random_cuts, whole


class Contents(TarListener):
    """What files an archive would leave, by name."""

    def __init__(self) -> None:
        self.files: dict[bytes, bytearray] = {}
        self._name = b""

    def entry(self, entry: Entry, /) -> None:
        self._name = entry.name
        if not entry.sparse and b".wh." not in entry.name:
            self.files[entry.name] = bytearray()

    def data(self, chunk: Chunk, /) -> None:
        if self._name in self.files:
            self.files[self._name] += chunk


def files_of(archive: bytes) -> dict[bytes, bytearray]:
    found = Contents()
    feed(TarSink(found, dialect=Sane(sparse=True)), archive)
    return found.files


def lines_of(archive: bytes, cut: Cut = whole) -> list[bytes]:
    lines: list[bytes] = []
    feed(TarSplitRecorder(lines.append), archive, cut)
    return lines


def again(lines: Iterable[bytes], files: dict[bytes, bytearray]) -> bytes:
    return b"".join(assemble(lines, lambda name: [bytes(files[name])]))


def layers(archive: bytes) -> Iterator[bytes]:
    """The archive itself, and those in it."""
    yield archive
    if archive:
        with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
            for info in outer:
                if info.name.endswith("layer.tar") and (file := outer.extractfile(info)):
                    yield file.read()


def recorded() -> set[bytes]:
    """Every `tar-data.json.gz` that the original wrote, decompressed."""
    cases = json.loads(contents("graph.tar.xz")["graph.json"])["cases"]
    files = [file for case in cases for file in case["graph_tree"] or () if file["path"].endswith("/tar-data.json.gz")]
    assert len(files) > 60
    return {base64.b64decode(file["content_b64"]) for file in files}


def test_the_original_s_lines_are_written_to_the_byte() -> None:
    archives = [raw for name, raw in contents("graph.tar.xz").items() if name.endswith(".tar")]
    written = set()
    for layer in {layer for archive in archives for layer in layers(archive)}:
        lines: list[bytes] = []
        try:
            feed(TarSplitRecorder(lines.append), layer)
        except InvalidArchive:
            continue
        assert again(lines, files_of(layer)) == layer
        written.add(b"".join(lines))
    assert recorded() <= written


def test_a_path_that_comes_twice_is_refused_in_the_original_s_words() -> None:
    twice = next(layer for layer in layers(contents("graph.tar.xz")["graph/h22.tar"]) if b"repositories" not in layer)
    with pytest.raises(InvalidArchive, match=r"^duplicates of file paths not supported"):
        lines_of(twice)


@pytest.mark.parametrize("other", [b"a/b", b"./a/b", b"a//b", b"/a/b", b"a/./b", b"a/b/"])
def test_two_spellings_of_one_path_are_that_path_twice(other: bytes) -> None:
    second = directory(other) if other.endswith(b"/") else member(other)
    with pytest.raises(InvalidArchive, match="duplicates"):
        lines_of(member(b"a/b", b"1") + second + END)


PLAIN = member(b"a", b"1" * 600) + directory(b"d/") + member(b"d/e") + END

ODD = {
    "plain": PLAIN,
    "nothing at all": b"",
    "only an end": END,
    "no end": member(b"a", b"1"),
    "half an end": member(b"a", b"1") + bytes(512),
    "much behind the end": PLAIN + bytes(10240) + b"rubbish",
    "long names": long_name(b"n" * 200) + member(b"short", b"1") + END,
    "records": pax((b"path", b"p" * 200), (b"mtime", b"1.5")) + member(b"short", b"12") + END,
    "a global header": pax((b"comment", b"c" * 600), kind=PAX_GLOBAL) + member(b"a", b"1") + END,
    "no utf-8": member(b"\xff\xfe\n", b"1") + member(b"\xed\xa0\x80", b"2") + END,
    "odd characters": member('<&> "\\ \u2028\t\x07\u00e9'.encode(), b"1") + END,
    "a whiteout with content": member(b"d/.wh.x", b"1" * 700) + member(b"y", b"2") + END,
    "a note of aufs": member(b".wh..wh.plnk/1.2", b"12345") + member(b"y", b"2") + END,
    "a sparse file": sparse_header([(0, 3), (1024, 5)], 2048, stored=8) + b"abcdefgh".ljust(512, b"\0") + END,
    "types": member(b"c", b"1", kind=CONTIGUOUS) + header(b"l", kind=SYMLINK, link=b"c") + header(b"f", kind=FIFO)
    + header(b"h", kind=HARD_LINK, link=b"c") + header(b"o", kind=b"\0", size=1) + b"1".ljust(512, b"\0") + END,
}  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", ODD)
def test_any_archive_is_put_together_again_however_it_was_cut(name: str, cut: Cut) -> None:
    archive = ODD[name]
    lines = lines_of(archive, cut)
    assert lines == lines_of(archive)
    assert again(lines, files_of(archive)) == archive
    assert all(line.endswith(b"\n") and json.loads(line)["position"] == n for n, line in enumerate(lines))


@pytest.mark.parametrize("first", range(0, 2000, 400))
def test_whatever_the_dialect_takes_is_put_together_again(first: int) -> None:
    taken = 0
    for seed in range(first, first + 400):
        archive = generated(seed)
        try:
            lines = lines_of(archive, lambda data: random_cuts(data, first))
        except PullerError:
            continue
        taken += 1
        assert again(lines, files_of(archive)) == archive, seed
    assert taken > 40


@given(st.lists(st.binary(max_size=2000), max_size=6), st.integers(0, 3000), st.integers(0, 1 << 30))
@settings(deadline=None, max_examples=60)
def test_any_contents_and_any_rest_are_put_together_again(bodies: list[bytes], rest: int, seed: int) -> None:
    archive = b"".join(member(b"%d" % number, body) for number, body in enumerate(bodies)) + END
    archive += random.Random(seed).randbytes(rest)
    assert again(lines_of(archive, lambda data: random_cuts(data, seed)), files_of(archive)) == archive


def test_sizes_of_headers_are_added_up() -> None:
    recorder = TarSplitRecorder(lambda line: None)
    feed(recorder, member(b"a", b"123") + member(b"d/.wh.x", b"12") + directory(b"d/") + END)
    assert (recorder.size, recorder.entries) == (5, 3)


def test_a_cut_archive_is_refused() -> None:
    with pytest.raises(TruncatedArchive):
        lines_of(PLAIN[:700])


def test_e9_an_archive_of_too_many_entries_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="too many entries"):
        feed(TarSplitRecorder(lambda line: None, max_entries=2), PLAIN)


def test_what_trails_an_archive_is_written_in_lines_that_can_be_read_again() -> None:
    archive = PLAIN + bytes(30 << 20)
    lines = lines_of(archive, lambda data: (data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)))
    assert max(map(len, lines)) <= tarsplit.MAX_LINE // 2
    assert again(lines, files_of(archive)) == archive


def test_r10_a_large_file_goes_through_in_little_memory() -> None:
    size = 96 << 20
    chunk = bytes(1 << 20)
    lines: list[bytes] = []
    recorder = TarSplitRecorder(lines.append)
    tracemalloc.start()
    try:
        recorder.write(header(b"large", size=size))
        for _ in range(size >> 20):
            recorder.write(chunk)
        recorder.write(END)
        recorder.finish()
        total = sum(map(len, assemble(lines, lambda name: iter([chunk] * (size >> 20)))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 512 + size + len(END)
    assert peak < 8 << 20


def test_chunks_are_about_a_mebibyte() -> None:
    archive = member(b"a", bytes(5 << 20)) + b"".join(member(b"%d" % n) for n in range(9)) + END
    sizes = [len(chunk) for chunk in assemble(lines_of(archive), lambda name: [bytes(5 << 20)])]
    assert sum(sizes) == len(archive)
    assert max(sizes) < 2 << 20
    assert min(sizes[:-1]) >= 1 << 20


@pytest.mark.parametrize(
    ("content", "got"),
    [(b"1" * 599, "599 bytes"), (b"1" * 601, "more"), (b"1" * 599 + b"2", "600 bytes"), (b"", "0 bytes")],
)
def test_a_file_that_is_not_what_it_was_is_noticed(content: bytes, got: str) -> None:
    with pytest.raises(ContentCorrupt, match=r'^file integrity checksum failed for "a"') as caught:
        list(assemble(lines_of(PLAIN), lambda name: [content]))
    assert str(caught.value.got).startswith(got)


def test_a_longer_file_is_not_read_to_its_end() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(100)

    with pytest.raises(ContentCorrupt):
        list(assemble(lines_of(PLAIN), lambda name: endless()))


def test_a_name_comes_as_the_archive_had_it() -> None:
    asked: list[bytes] = []

    def content(name: bytes) -> list[bytes]:
        asked.append(name)
        return [b"1"]

    names = [b"./a", b"\xff\n", '<"\u2028'.encode(), b"/x//y"]
    list(assemble(lines_of(b"".join(member(name, b"1") for name in names) + END), content))
    assert asked == names


def file_line(said: str, payload: str = '"AAAAAAAAAAA="') -> str:
    return f'{{"type":1,{said},"payload":{payload},"position":0}}'


LIES = {
    "nothing": "",
    "no JSON": "{",
    "no object": "[]",
    "deep": "[" * 500_000,
    "no type": '{"payload":"","position":0}',
    "another type": '{"type":3,"payload":"","position":0}',
    "a type that is no number": '{"type":true,"name":"a","size":1,"payload":"AAAAAAAAAAA=","position":0}',
    "no position": '{"type":2,"payload":""}',
    "a wrong position": '{"type":2,"payload":"","position":1}',
    "a position that is no number": '{"type":2,"payload":"","position":false}',
    "no payload": '{"type":2,"position":0}',
    "null": '{"type":2,"payload":null,"position":0}',
    "no base64": '{"type":2,"payload":"A","position":0}',
    "base64 with more": '{"type":2,"payload":"AAAA\\n","position":0}',
    "no ascii": '{"type":2,"payload":"\u00e9\u00e9\u00e9\u00e9","position":0}',
    "two payloads": '{"type":2,"payload":"","payload":"AAAA","position":0}',
    "a negative size": file_line('"name":"a","size":-1'),
    "a size beyond numbers": file_line('"name":"a","size":9223372036854775808'),
    "a size that is no whole number": file_line('"name":"a","size":1.0'),
    "no name": file_line('"size":1'),
    "two names": file_line('"name":"a","name_raw":"YQ==","size":1'),
    "a name that is no text": file_line('"name":1,"size":1'),
    "half a character": file_line('"name":"\\ud800","size":1'),
    "no checksum": file_line('"name":"a","size":1', "null"),
    "a short checksum": file_line('"name":"a","size":1', '"AAAA"'),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_line_that_nobody_wrote_is_refused(lie: str) -> None:
    def content(name: bytes) -> list[bytes]:
        raise AssertionError("a lie was believed")

    with pytest.raises(ContentCorrupt, match="record of an archive is damaged"):
        list(assemble([LIES[lie].encode()], content))


def test_a_line_too_long_is_refused() -> None:
    line = b'{"type":2,"payload":"%b","position":0}' % bytes(tarsplit.MAX_LINE)
    with pytest.raises(ContentCorrupt, match="too large"):
        list(assemble([line], lambda name: []))


def test_r7_a_record_that_adds_nothing_is_not_read_to_its_end() -> None:
    read = []

    def lines() -> Iterator[bytes]:
        for position in range(1_000_000):
            read.append(position)
            yield b'{"type":2,"payload":"","position":%d}\n' % position

    with pytest.raises(ContentCorrupt, match="adds nothing"):
        list(assemble(lines(), lambda name: []))
    assert len(read) < 10_000


def test_r7_an_archive_of_tiny_pieces_comes_in_small_chunks() -> None:
    read = []

    def lines() -> Iterator[bytes]:
        for position in range(100_000):
            read.append(position)
            yield b'{"type":2,"payload":"AA==","position":%d}\n' % position

    assert next(assemble(lines(), lambda name: []))
    assert len(read) < 10_000


@pytest.mark.parametrize("kept", [0, 2])
def test_a_record_that_ends_too_early_is_refused(kept: int) -> None:
    with pytest.raises(ContentCorrupt, match="too early"):
        list(assemble(lines_of(PLAIN)[:kept], lambda name: [b"1" * 600]))
