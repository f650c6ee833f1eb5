"""Which format a file has is told by its keys."""

import pytest

from puller.errors import InvalidConfig
from puller.mirror.config import Config, Place
from puller.mirror.formats import read

OURS = b"puller: 1\nmirrors: [{from: alpine, to: 'oci:/x', tags: ['1']}]"
REGSYNC = b"version: 1\nsync: [{source: 'alpine:1', target: 'ocidir:///x:1', type: image}]"
SKOPEO = b"docker.io: {images: {alpine: ['1']}}"
TO = Place("oci", "/")


def test_three_files_ask_for_the_same() -> None:
    ours, regsync, skopeo = read(OURS, "f"), read(REGSYNC, "f"), read(SKOPEO, "f", TO)
    (first,), (second,), (third,) = ours.mirrors, regsync.mirrors, skopeo.mirrors
    assert first.source == second.source == third.source == Place("registry", "docker.io/library/alpine")
    assert first.target == second.target == Place("oci", "/x")
    assert third.target == Place("oci", "/alpine")
    assert first.tags == second.tags == third.tags


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"3", b"mirrors: []", b"docker.io: {image: {}}", b"docker.io: []", b"puler: 1\nmirrors: []"]
)
def test_what_is_none_of_them_is_refused_with_the_names_of_all(text: bytes) -> None:
    with pytest.raises(InvalidConfig, match=r"no configuration.*f.*`puller: 1`.*regsync.*skopeo"):
        read(text, "f")


@pytest.mark.parametrize("text", [b"mirrors: []", b"puler: 1\nmirrors: []"])
def test_a_file_of_ours_that_does_not_say_so_is_told_how(text: bytes) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read(text, "f")
    assert caught.value.hint == "`puller: 1` says that the file is one of ours."


def test_hosts_may_have_the_names_of_keys() -> None:
    assert read(b"sync: {images: {x: ['1']}}", "f", TO).mirrors[0].source.name == "docker.io/sync/x"
    assert read(b"version: {images: {}}\nsync:5000: {images: {}}", "f", TO) == Config(())


def test_a_skopeo_file_needs_a_destination_and_the_others_have_their_own() -> None:
    with pytest.raises(InvalidConfig, match=r"not where to.*--to"):
        read(SKOPEO, "f")
    for text in (OURS, REGSYNC):
        with pytest.raises(InvalidConfig, match="says itself where"):
            read(text, "f", TO)
        with pytest.raises(InvalidConfig, match="says itself where"):
            read(text, "f", scoped=True)


def test_aliases_are_for_the_files_of_others() -> None:
    entry = b"source: 'a:1', target: 'ocidir:///x:1', type: image"
    assert len(read(b"sync: [&a {" + entry + b"}, *a]", "f").mirrors) == 2
    with pytest.raises(InvalidConfig, match="aliases are not taken"):
        read(b"puller: 1\nmirrors: [&a {from: a, to: 'oci:/x'}, *a]", "f")


def test_merged_keys_yield_to_those_that_stand_there() -> None:
    text = b"""
x-base: &base {type: repository, referrers: true, tags: {allow: [a]}}
x-more: &more {referrers: false, interval: 1h}
sync:
  - {<<: [*base, *more], source: a, target: c.example/a, tags: {allow: [b]}}
"""
    (mirror,) = read(text, "f").mirrors
    assert (mirror.referrers, mirror.schedule, mirror.tags.allow[0].pattern) == (True, "every 1h", "b")


def test_h5_aliases_that_stand_for_gigabytes_are_refused() -> None:
    levels = [b"x-0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [b"x-%d: &l%d [%s]" % (n, n, b", ".join([b"*l%d" % (n - 1)] * 10)) for n in range(1, 15)]
    with pytest.raises(InvalidConfig, match="stand for too much"):
        read(b"\n".join(levels), "f")


def test_h5_an_alias_to_what_it_stands_in_is_refused() -> None:
    for text in (b"x-a: &a [*a]\nsync: []", b"x-a: &a {b: *a}\nsync: []", b"x-a: &a {<<: *a}\nsync: []"):
        with pytest.raises(InvalidConfig):
            read(text, "f")


def test_h5_merges_of_merges_are_counted() -> None:
    levels = [b"x-0: &l0 {a: 1}"]
    levels += [b"x-%d: &l%d {<<: [%s]}" % (n, n, b", ".join([b"*l%d" % (n - 1)] * 10)) for n in range(1, 9)]
    with pytest.raises(InvalidConfig, match="stand for too much"):
        read(b"\n".join(levels), "f")
