"""Tarsum against everything that was recorded of the original, and its labels."""

import base64
import functools
import hashlib
import io
import json
import tarfile
from itertools import repeat
from typing import Any

import pytest

from puller.errors import InputError, InvalidArchive, LayerError, LimitExceeded
from puller.stream.tarsum import MAX_NAMES, FileSum, Tarsum, TarsumSink, TarsumVersion, label_of, version_of
from tests.conftest import shared_dir
from tests.recorded import contents
from tests.stream.archive import END, V7, header, long_name, member, padded, pax
from tests.stream.pieces import CUTS, Cut, feed, random_cuts, single_bytes, whole

pytestmark = pytest.mark.slow  # many small tests: for `make test`


def golden() -> dict[str, bytes]:
    return contents("tarsum.tar.xz")


@functools.cache
def recorded(name: str) -> Any:
    return json.loads(golden()[name])


def tarsum(data: bytes, label: str = "tarsum.v1+sha256", cut: Cut = whole) -> tuple[Tarsum, str | None]:
    """The tarsum of `data`, and the original's error text where it failed."""
    version, algorithm = label.split("+")
    found = Tarsum(TarsumVersion(version), algorithm)
    try:
        feed(TarsumSink(found), data, cut)
    except LayerError as error:
        return found, error.what
    return found, None


def check_result(case: dict[str, Any], label: str, cut: Cut) -> None:
    result = case["results"][label]
    found, error = tarsum(golden()[case["file"]], label, cut)
    assert error == (f"panic: {result['panic']}" if result["panic"] else result["error"])
    if "sum" in result:
        assert found.sum() == result["sum"]
    if "sum_extra" in result:
        extras = [base64.b64decode(text) for text in recorded("tarsum.json")["extra_b64"]]
        assert [found.sum(extra) for extra in extras] == result["sum_extra"]
    if "entries" in result:
        entries = [FileSum(base64.b64decode(e["name_b64"]), e["sum"], e["pos"]) for e in result["entries"] or []]
        assert list(found.sums) == entries


CASES = recorded("tarsum.json")["cases"]


def test_all_recorded_cases_are_here() -> None:
    assert len(CASES) == 243
    assert sum(len(case["results"]) for case in CASES) == 243 * 18


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_sums_errors_and_entries_are_those_recorded_of_the_original(case: dict[str, Any]) -> None:
    assert hashlib.sha256(golden()[case["file"]]).hexdigest() == case["sha256"]
    for label in case["results"]:
        check_result(case, label, whole)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_no_chunking_changes_a_recorded_sum(case: dict[str, Any]) -> None:
    cuts = [random_cuts] if case["size"] > 12_000 else [random_cuts, single_bytes]
    for cut in cuts:
        for version in TarsumVersion:
            check_result(case, f"{version.value}+sha256", cut)


@pytest.mark.parametrize("case", recorded("tarsum_labels.json")["cases"], ids=lambda case: repr(case["label"]))
def test_labels_are_taken_and_refused_with_the_words_of_the_original(case: dict[str, Any]) -> None:
    label = case["label"]
    if case["error"] is None:
        found = Tarsum.for_label(label)
        assert (found.sum(), found.version.value, found.algorithm) == (case["empty_sum"], case["version"], case["hash"])
        assert found.label == label
    else:
        with pytest.raises(InputError) as refused:
            Tarsum.for_label(label)
        assert refused.value.what == case["error"]
    assert label_of(label) == case["version_label_for_checksum"]
    if "version_from_tarsum" in case:
        assert list(TarsumVersion).index(version_of(label)) == case["version_from_tarsum"]
    else:
        with pytest.raises(InputError) as refused:
            version_of(label)
        assert refused.value.what == case["version_from_tarsum_error"]


def test_the_archives_of_the_fixtures_have_their_recorded_sums() -> None:
    folder = shared_dir() / "fixtures"
    cases = json.loads((folder / "expected.json").read_text())["tarsum"]
    assert len(cases) == 10
    for case in cases:
        for label, result in case["results"].items():
            found, error = tarsum((folder / case["file"]).read_bytes(), label)
            assert (found.sum(), error) == (result["sum"], result["error"]), (case["name"], label)


WITH_JSON = {
    ("46af0962ab5afeb5ce6740d4d91652e69206fc991fd5328c1a94d364ad00e457", "tarsum"): "4095cc12fa5fdb1ab2760377e1cd0c4e"
    "cdd3e61b4f9b82319d96fcea6c9a41c6",
    ("46af0962ab5afeb5ce6740d4d91652e69206fc991fd5328c1a94d364ad00e457", "tarsum.dev"): "db56e35eec6ce65ba1588c20ba6b1e"
    "a23743b59e81fb6b7f358ccbde5580345c",
    ("xattr", "tarsum"): "07e304a8dbcb215b37649fde1a699f8aeea47e60815707f1cdf4d55d25ff6ab4",
    ("xattr", "tarsum.dev"): "6c58917892d77b3b357b0f9ad1e28e1f4ae4de3a8006bd3beb8beda214d8fd16",
    ("511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158", "tarsum"): "c66bd5ec9f87b8f4c6135ca37684618f"
    "486a3dd1d113b138d0a177bfa39c2571",
}


@pytest.mark.parametrize(("folder", "version"), WITH_JSON)
def test_a_layer_and_its_json_have_the_sum_of_the_original_test_table(folder: str, version: str) -> None:
    layer = shared_dir() / "fixtures/moby/pkg/tarsum/testdata" / folder
    found, error = tarsum((layer / "layer.tar").read_bytes(), f"{version}+sha256")
    assert error is None
    assert found.sum((layer / "json").read_bytes()) == f"{version}+sha256:{WITH_JSON[folder, version]}"


COLLISIONS = [
    "08653904a68d3ab5c59e65ef58c49c1581caa3c34744f8d354b3f575ea04424a",
    "b51c13fbefe158b5ce420d2b930eef54c5cd55c50a2ee4abdddea8fa9f081e0d",
    "381547080919bb82691e995508ae20ed33ce0f6948d41cafbeb70ce20c73ee8e",
    "f886e431c08143164a676805205979cd8fa535dfcef714db5515650eea5a7c0f",
]


@pytest.mark.parametrize(("number", "expected"), list(enumerate(COLLISIONS)))
def test_the_collision_archives_have_the_sums_of_the_original_test_table(number: int, expected: str) -> None:
    path = shared_dir() / f"fixtures/moby/pkg/tarsum/testdata/collision/collision-{number}.tar"
    assert tarsum(path.read_bytes(), "tarsum+sha256")[0].sum() == f"tarsum+sha256:{expected}"


ZERO = b"00000000000\0"
SEVEN = b"0000000\0"
GENERATED = {
    "tarsum+sha256": "8bf12d7e67c51ee2e8306cba569398b1b9f419969521a12ffb9d8875e8836738",
    "tarsum+md5": "0d7529ec7a8360155b48134b8e599f53",
    "tarsum+sha1": "f1fee39c5925807ff75ef1925e7a23be444ba4df",
    "tarsum+sha224": "6319390c0b061d639085d8748b14cd55f697cf9313805218b21cf61c",
    "tarsum+sha384": "a578ce3ce29a2ae03b8ed7c26f47d0f75b4fc849557c62454be4b5ffd66ba021e713b48ce71e947b43aab57afd5a7636",
    "tarsum+sha512": "e9bfb90ca5a4dfc93c46ee061a5cf9837de6d2fdf82544d6460d3147290aecfabf7b5e415b9b6e72db9b8941f149d5d6"
    "9fb17a394cbfaf2eac523bd9eae21855",
}


@pytest.mark.parametrize("label", GENERATED)
def test_a_megabyte_of_zeros_has_the_sum_of_the_original_test_table(label: str) -> None:
    block = header(b"/testdata0", kind=b"\0", size=1 << 20, mode=b"0000755\0", uid=SEVEN, gid=SEVEN, mtime=ZERO,
                   uname=b"", gname=b"")  # fmt: skip
    assert tarsum(block + bytes(1 << 20) + END, label)[0].sum() == f"{label}:{GENERATED[label]}"


OWNERS = {"uname": b"slartibartfast", "gname": b"users"}
XATTR = b"SCHILY.xattr."
ITERATION = [
    ("tarsum", {}, (), b"file.txt", b"", "626c4a2e9a467d65c33ae81f7f3dedd4de8ccaee72af73223c4bc4718cbc7bbd"),
    ("tarsum.dev", {}, (), b"file.txt", b"", "6ffd43a1573a9913325b4918e124ee982a99c0f3cba90fc032a65f5e20bdd465"),
    ("tarsum.dev", OWNERS, (), b"another.txt", b"test",
     "b38166c059e11fb77bef30bf16fba7584446e80fcc156ff46d47e36c5305d8ef"),
    ("tarsum.dev", OWNERS, ((b"user.key1", b"value1"), (b"user.key2", b"value2")), b"xattrs.txt", b"test",
     "4cc2e71ac5d31833ab2be9b4f7842a14ce595ec96a37af4ed08f87bc374228cd"),
    ("tarsum.dev", OWNERS, ((b"user.KEY1", b"value1"), (b"user.key2", b"value2")), b"xattrs.txt", b"test",
     "65f4284fa32c0d4112dd93c3637697805866415b570587e4fd266af241503760"),
    ("tarsum", OWNERS, ((b"user.NOT", b"CALCULATED"),), b"xattrs.txt", b"test",
     "c12bb6f1303a9ddbf4576c52da74973c00d14c109bcfa76b708d5da1154a07fa"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "owners", "xattrs", "name", "content", "expected"), ITERATION)
def test_the_headers_of_the_original_iteration_test_have_their_sums(
    version: str,
    owners: dict[str, bytes],
    xattrs: tuple[tuple[bytes, bytes], ...],
    name: bytes,
    content: bytes,
    expected: str,
) -> None:
    extended = pax(*((XATTR + key, value) for key, value in xattrs)) if xattrs else b""
    ids = {"uid": b"0001750\0", "gid": b"0001750\0"} if owners else {"uid": SEVEN, "gid": SEVEN}
    names = owners or {"uname": b"", "gname": b""}
    block = header(name, size=len(content), mode=SEVEN, mtime=ZERO, **ids, **names)
    found, error = tarsum(extended + block + padded(content) + END, f"{version}+sha256")
    assert (found.sum(), error) == (f"{version}+sha256:{expected}", None)


def test_an_archive_that_was_never_read_sums_to_the_hash_of_nothing() -> None:
    assert Tarsum().sum() == f"tarsum.v1+sha256:{hashlib.sha256().hexdigest()}"
    assert Tarsum().sum(b"x") == f"tarsum.v1+sha256:{hashlib.sha256(b'x').hexdigest()}"


def test_asking_twice_gives_the_same_sum() -> None:
    found, _ = tarsum(b"".join(member(b"same", bytes([i])) for i in range(60)) + END)
    assert found.sum() == found.sum()
    assert [file.position for file in found.sums] == list(range(60))


def test_missing_content_is_reported_at_the_next_header_before_a_mode_that_is_too_long() -> None:
    short = pax((b"size", b"9")) + member(b"short", b"12345")
    odd = header(b"odd", mode=b"\x80\0\0\0\x01\0\0\0")
    _, error = tarsum(short + odd + END)
    assert error == "archive/tar: missed writing 4 bytes"


def test_a_broken_next_header_is_reported_before_missing_content() -> None:
    _, error = tarsum(pax((b"size", b"9")) + member(b"short", b"12345") + header(checksum=b"0000001\0"))
    assert error == "archive/tar: invalid tar header"


def test_too_much_content_is_noticed_before_the_end_of_the_input() -> None:
    data = pax((b"size", b"3")) + header(b"long", size=10) + b"12345"
    assert tarsum(data)[1] == "archive/tar: write too long"
    assert tarsum(data[:-2])[1] == "unexpected EOF"


def test_d1_more_entries_than_memory_should_hold_are_refused() -> None:
    found = Tarsum(max_entries=3)
    with pytest.raises(LimitExceeded):
        feed(TarsumSink(found), member() * 4 + END)
    assert len(found.sums) == 3


def test_e9_names_that_are_longer_together_than_memory_should_hold_are_refused() -> None:
    found = Tarsum(max_names=10)
    with pytest.raises(LimitExceeded, match="names"):
        feed(TarsumSink(found), member(b"12345") * 2 + member(b"6") + END)
    assert found.count == 2


def test_e9_long_names_of_many_entries_do_not_fill_memory() -> None:
    sink, entry = TarsumSink(Tarsum()), long_name(b"n" * ((4 << 20) - 1)) + header()
    with pytest.raises(LimitExceeded, match="names"):
        feed(sink, entry, lambda data: repeat(data, MAX_NAMES // (4 << 20) + 2))


def test_what_the_pulse_raises_ends_the_sorting_of_entries_of_one_name() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    found = Tarsum.for_label("tarsum.v1+sha256", pulse=stop)
    feed(TarsumSink(found), member(b"same") * 2000 + END)
    with pytest.raises(KeyboardInterrupt):
        found.sum()


def test_dev_and_v1_differ_in_their_label_only() -> None:
    data = member(b"a", b"b") + END
    v1, dev = (tarsum(data, f"{version}+sha256")[0].sum() for version in ("tarsum.v1", "tarsum.dev"))
    assert v1.partition(":")[2] == dev.partition(":")[2]


def test_d1_two_archives_with_one_tarsum_are_told_apart_by_their_bytes_only() -> None:
    one = member(b"a", b"1") + member(b"b", b"2") + END
    other = member(b"b", b"2") + member(b"a", b"1") + END + b"trailing"
    assert tarsum(one)[0].sum() == tarsum(other)[0].sum()


@pytest.mark.parametrize("cut", CUTS)
def test_an_archive_of_the_standard_library_has_the_sum_worked_out_by_hand(cut: Cut) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("./dir/file")
        info.size, info.mode, info.uid, info.gid, info.mtime = 3, 0o640, 10, 20, 99
        info.uname, info.gname = "me", "us"
        archive.addfile(info, io.BytesIO(b"abc"))
    fields = b"name./dir/filemode416uid10gid20size3typeflag0linknameunamemegnameusdevmajor0devminor0"
    entry = hashlib.sha256(fields + b"abc").hexdigest()
    found, _ = tarsum(stream.getvalue(), cut=cut)
    assert found.sums == (FileSum(b"dir/file", entry, 0),)
    assert found.sum() == "tarsum.v1+sha256:" + hashlib.sha256(entry.encode()).hexdigest()


def test_an_old_regular_file_keeps_its_nul_type() -> None:
    data = header(b"f", kind=b"\0", magic=V7) + END
    fields = b"namefmode420uid1000gid1001size0typeflag\0linknameunamegnamedevmajor0devminor0"
    assert tarsum(data)[0].sums[0].hex == hashlib.sha256(fields).hexdigest()


def test_a_crash_of_the_original_is_an_error_with_its_words() -> None:
    with pytest.raises(InvalidArchive, match="panic: runtime error"):
        feed(TarsumSink(Tarsum()), pax((b"size", b"-1")) + member() + END)
