"""The format `puller: 1`: what it means, and where it says that something is wrong."""

import re
from datetime import timedelta

import pytest

from puller.errors import InvalidConfig
from puller.mirror.config import Config, Host, Login, Mirror, Place, Pointer, Prune
from puller.mirror.ourformat import read
from puller.mirror.selection import TagRule
from puller.mirror.version import Range
from puller.mirror.yamlfile import load
from puller.model.platform import Platform

WHOLE = r"""
puller: 1
registries:
  docker.io: {rate: 5/s, concurrency: 4}
  mirror.local:5000: {plain-http: true}
mirrors:
  - from: docker.io/library/debian
    to: mirror.local:5000/debian
    tags: {allow: ["bookworm.*"], deny: [".*-backports"], newest: 5}
    platforms: [linux/amd64, linux/arm64]
    schedule: "17 */6 * * *"
  - from: docker.io/library/postgres
    to: oci:/srv/mirror/postgres
    tags: {semver: ">=15 <18", suffix: -alpine, max-age: 90d}
    referrers: true
    immutable: ["\\d+\\.\\d+.*"]
    prune: {enabled: true, keep: 3, max: 10%}
    verify: deep
"""


def config(text: str) -> Config:
    return read(load(text.encode(), "sync.yaml"))


def mirror(keys: str) -> Mirror:
    return config(f"puller: 1\nmirrors:\n  - {{from: alpine, to: 'oci:/x', {keys}}}\n").mirrors[0]


def test_the_whole_of_it() -> None:
    read_in = config(WHOLE)
    assert read_in.hosts == {
        "docker.io": Host(rate=5.0, concurrency=4),
        "mirror.local:5000": Host(plain_http=True),
    }
    debian, postgres = read_in.mirrors
    assert debian == Mirror(
        Place("registry", "docker.io/library/debian"),
        Place("registry", "mirror.local:5000/debian"),
        TagRule(allow=(re.compile("bookworm.*"),), deny=(re.compile(".*-backports"),), newest=5),
        (Platform.parse("linux/amd64"), Platform.parse("linux/arm64")),
        schedule="17 */6 * * *",
        line=7,
    )
    assert postgres.target == Place("oci", "/srv/mirror/postgres")
    assert postgres.tags == TagRule(versions=Range.parse(">=15 <18"), suffix="-alpine", max_age=timedelta(days=90))
    assert (postgres.referrers, postgres.verify) == (True, "deep")
    assert postgres.immutable[0].fullmatch("15.4-alpine")
    assert postgres.prune == Prune(keep=3, share=0.1)


def test_a_list_of_tags_stands_for_exact_ones_and_numbers_stay_as_they_are_written() -> None:
    assert mirror("tags: [1.20, latest, 010]").tags.exact == ("1.20", "latest", "010")


@pytest.mark.parametrize("prune", ["{keep: 3}", "{enabled: false, max: 5}"])
def test_nothing_is_pruned_unless_it_is_asked_for(prune: str) -> None:
    assert mirror(f"prune: {prune}").prune is None


def test_a_limit_of_pruning_is_a_number_or_a_share() -> None:
    assert mirror("prune: {enabled: true, max: 7}").prune == Prune(most=7, share=None)
    assert mirror("prune: {enabled: true}").prune == Prune(share=0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("puller: 2\nmirrors: []", r"sync.yaml:1: puller.*puller: 1"),
        ("mirrors: []", r"sync.yaml:1.*puller: 1"),
        ("puller: 1", r"nothing to mirror"),
        ("puller: 1\nmirors: []", r"sync.yaml:2: mirors.*unknown key|unknown key.*sync.yaml:2.*mirrors"),
        ("puller: 1\npuller: 1\nmirrors: []", r"comes twice.*sync.yaml:2"),
        ("puller: 1\nmirrors:\n- {to: 'oci:/x'}", r"`from` is missing.*sync.yaml:3: mirrors\[0\]"),
        ("puller: 1\nmirrors:\n- from: a:1\n  to: oci:/x", r"without a tag.*sync.yaml:3: mirrors\[0\]\.from"),
        ("puller: 1\nmirrors:\n- from: 'x/UP PER'\n  to: oci:/x", r"sync.yaml:3"),
        ("puller: 1\nmirrors:\n- from: x/y\n  to: oci:~/x", r"begins with `~`.*sync.yaml:4: mirrors\[0\]\.to"),
        ("puller: 1\nmirrors:\n- from: x/y\n  to: store:~/x", r"begins with `~`.*sync.yaml:4"),
        ("puller: 1\nmirrors:\n- from: oci:/y\n  to: oci:/x", r"only registries.*sync.yaml:3"),
        ("puller: 1\nmirrors:\n- from: a/*\n  to: b.example/c", r"in both names.*sync.yaml:4"),
        ("puller: 1\nmirrors: &x []\njobs: *x", r"aliases.*sync.yaml:3"),
        ("puller: 1\nmirrors: [", r"no YAML.*sync.yaml:3"),
        ("puller: 1\nmirrors:\n- from: *\n  to: oci:/x", r"no YAML.*sync.yaml:3.*`\*` goes into quotes"),
        ("puller: 1\nmirrors:\n- from: *x\n  to: oci:/x", r"aliases.*sync.yaml:3.*quotes"),
        ("puller: 1\nmirrors:\n- from: a.example/*\n   to: [a]", r"no YAML.*sync.yaml:4.*not allowed in this context$"),
        ("puller: 1\nmirrors:\n- from: a\n  to: mirror/a", r"no registry.*sync.yaml:4.*docker.io/mirror/a"),
        ("puller: 1\nmirrors:\n- from: a\n  to: oci:/srv/x:latest", r"read as a tag.*sync.yaml:4.*oci:/srv/x:latest"),
        ("puller: 1\nmirrors:\n- from: a\n  to: ./x", r"a path.*sync.yaml:4.*oci:\./x"),
        ("puller: 1\nmirrors:\n- from: a\n  to: /srv/x", r"a path.*sync.yaml:4.*oci:/srv/x"),
        ("puller: 1\nmirrors: " + "[" * 50 + "]" * 50, r"nested too deep"),
        ("puller: 1\nregistries: {'a b': {}}\nmirrors: []", r"no registry.*sync.yaml:2"),
        ("puller: 1\nregistries: {a.example: {rate: 0/s}}\nmirrors: []", r"no rate.*5/s"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config(text)
    assert re.search(said, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("tags: {allow: ['(']}", "no regular expression"),
        ("tags: {semver: latest}", r"no range of versions.*mirrors\[0\]\.tags\.semver"),
        ("tags: {max-age: 3}", "as in 12h"),
        ("recheck: daily", "as in 12h"),
        ("tags: {newest: 0}", "at least 1"),
        ("tags: {newest: true}", "at least 1"),
        ("tags: {by: created}", "no `newest`"),
        ("tags: [a/b]", "no tag"),
        ("schedule: every 90s", "every 90m.*got every 90s"),
        ("schedule: '@dayly'", "@daily.*@dayly"),
        ("tags: [yes]", "text"),
        ("platforms: [a/b/c/d]", r"platforms\[0\]"),
        ("prune: {enabled: true, max: 200%}", "no limit"),
        ("verify: shallow", "digest or deep"),
        ("refererrs: true", "Was referrers meant"),
        ("referrers: 1", "true or false"),
    ],
)
def test_a_wrong_value_is_said_with_what_was_wanted(keys: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        mirror(keys)
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "sync.yaml:3" in str(caught.value)


def test_a_login_is_pointed_at() -> None:
    found = config("puller: 1\nmirrors: []\nregistries: {a.example: {login: {user: john, password: {file: /p}}}}")
    assert found.hosts == {"a.example": Host(login=Login(Pointer("text", "john"), Pointer("file", "/p")))}


def test_a_password_in_the_file_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidConfig, match=r"a secret in the file.*sync.yaml:3.*password") as caught:
        config("puller: 1\nmirrors: []\nregistries: {a.example: {login: {user: john, password: hidden-one}}}")
    assert "hidden-one" not in str(caught.value.facts())


def test_one_tag_or_digest_may_have_another_name_at_the_target() -> None:
    digest = f"sha256:{'0' * 64}"
    assert mirror(f"tags: ['{digest}'], as: stable").renamed == "stable"
    for tags in ("tags: [a, b], ", "tags: {exact: [a], allow: b}, ", ""):
        with pytest.raises(InvalidConfig, match="renames one tag"):
            mirror(f"{tags}as: stable")


def test_an_index_stays_as_it_is_unless_something_else_is_chosen() -> None:
    assert mirror("platforms: [linux/arm64]").index == "sparse"
    assert mirror("platforms: [linux/arm64, linux/amd64], index: rewritten").index == "rewritten"
    with pytest.raises(InvalidConfig, match="goes with one platform"):
        mirror("platforms: [linux/arm64, linux/amd64], index: single")
    with pytest.raises(InvalidConfig, match="where `platforms` are chosen"):
        mirror("index: sparse")


def test_repositories_are_chosen_among_those_of_a_pattern() -> None:
    (found,) = config(
        "puller: 1\nmirrors: [{from: a.example/*, to: b.example/*, repositories: {allow: [t/.*], deny: t/x}}]"
    ).mirrors
    assert [name for name in ("t/a", "t/x", "u") if found.repositories.admits(name)] == ["t/a"]
    with pytest.raises(InvalidConfig, match="those of a pattern"):
        mirror("repositories: {allow: [t]}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [("schedule: never", "no schedule"), ("backup: a/b", "no tag to keep"), ("tags: ['sha256:0']", "nor a digest")],
)
def test_schedules_backups_and_digests_are_checked_when_they_are_read(keys: str, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        mirror(keys)


@pytest.mark.parametrize("key", ["recheck: 0", "tags: {max-age: 0}", "prune: {enabled: true, grace: 0}"])
def test_a_length_of_time_without_its_unit_is_refused_with_what_it_would_be(key: str) -> None:
    with pytest.raises(InvalidConfig, match="no length of time") as caught:
        mirror(key)
    assert caught.value.hint == "With its unit: 0h, 0d or 0w."


def test_one_tag_that_stands_without_its_list_is_refused_with_how_to_write_it() -> None:
    with pytest.raises(InvalidConfig, match="no choice of tags") as caught:
        mirror("tags: 1.20")
    assert caught.value.hint == 'One tag is a list, too: tags: ["1.20"]'
    with pytest.raises(InvalidConfig, match="no choice of tags") as caught:
        mirror("tags: v.*")
    assert caught.value.hint == ""
