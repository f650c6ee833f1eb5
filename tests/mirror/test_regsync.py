"""regsync's files: what they ask for here, and what of them is refused by name."""

import re

import pytest

from puller.errors import InvalidConfig
from puller.mirror.config import Config, Host, Login, Mirror, Place, Pointer
from puller.mirror.regsync import read_regsync
from puller.mirror.selection import NameRule, TagRule
from puller.mirror.yamlfile import load
from puller.model.platform import Platform

DIGEST = "sha256:" + "0" * 64
WHOLE = r"""
x-night: &night "15 01 * * *"
version: 1
creds:
  - registry: localhost:5000
    tls: disabled
    reqPerSec: 0.5
    reqConcurrent: 4
  - registry: docker.io
    user: "{{env \"HUB_USER\"}}"
    pass: "{{file \"/run/secrets/hub\"}}"
  - registry: self.example
    tls: Insecure
    user: john
    pass: '{{ env `SELF_PASS` }}'
    repoAuth: true
defaults:
  ratelimit: {min: 100, retry: 15m}
  parallel: 2
  interval: 90m
  backup: "old-{{.Ref.Tag}}"
sync:
  - source: busybox:latest
    target: localhost:5000/library/busybox:latest
    type: image
    interval: 60m
  - source: alpine
    target: "{{env \"MIRROR\"}}/library/alpine"
    type: repository
    tags:
      allow: [latest, "3", "3\\.\\d+"]
      deny: ["3\\.0"]
    schedule: *night
    platforms: [linux/amd64, linux/arm64]
    referrers: true
  - source: self.example
    target: localhost:5000/self
    type: registry
    repos:
      allow: [team/.*]
      deny: [team/secret]
    ratelimit: {min: 0}
"""
ENVIRONMENT = {"MIRROR": "mirror.example:5000"}


def config(text: str) -> Config:
    return read_regsync(load(text.encode(), "regsync.yml", aliases=True), ENVIRONMENT)


def mirror(keys: str, kind: str = "repository") -> Mirror:
    (found,) = config(f"sync:\n  - {{source: a.example/b, target: c.example/d, type: {kind}, {keys}}}\n").mirrors
    return found


def image(source: str, target: str) -> Mirror:
    (found,) = config(f"sync:\n  - {{source: '{source}', target: '{target}', type: image}}\n").mirrors
    return found


def test_the_whole_of_it() -> None:
    found = config(WHOLE)
    assert found.jobs == 2
    assert found.hosts == {
        "localhost:5000": Host(rate=0.5, concurrency=4, plain_http=True),
        "docker.io": Host(login=Login(Pointer("env", "HUB_USER"), Pointer("file", "/run/secrets/hub"))),
        "self.example": Host(insecure=True, login=Login(Pointer("text", "john"), Pointer("env", "SELF_PASS"))),
    }
    busybox, alpine, everything = found.mirrors
    assert busybox == Mirror(
        Place("registry", "docker.io/library/busybox"),
        Place("registry", "localhost:5000/library/busybox"),
        TagRule(exact=("latest",)),
        schedule="every 1h",
        backup="old-{tag}",
        reserve=100,
        line=23,
    )
    assert alpine == Mirror(
        Place("registry", "docker.io/library/alpine"),
        Place("registry", "mirror.example:5000/library/alpine"),
        TagRule(
            allow=tuple(re.compile(text, re.ASCII) for text in ("latest", "3", r"3\.\d+")),
            deny=(re.compile(r"3\.0", re.ASCII),),
        ),
        platforms=(Platform.parse("linux/amd64"), Platform.parse("linux/arm64")),
        schedule="15 01 * * *",
        referrers=True,
        backup="old-{tag}",
        reserve=100,
        line=27,
    )
    assert (str(everything.source), str(everything.target)) == ("self.example/*", "localhost:5000/self/*")
    assert (everything.schedule, everything.reserve) == ("every 90m", 0)
    assert [name for name in ("team/a", "team/secret", "team", "other") if everything.repositories.admits(name)] == [
        "team/a"
    ]


def test_keys_that_say_nothing_are_as_if_they_were_not_there() -> None:
    assert mirror("tags: {allow: [], deny: }, hooks: , platform: '', forceRecursive: false, x-note: {any: thing}") == (
        Mirror(Place("registry", "a.example/b"), Place("registry", "c.example/d"), line=2)
    )


@pytest.mark.parametrize(
    ("source", "target", "exact", "renamed"),
    [
        ("b:1", "c.example/b:1", "1", None),
        ("b", "c.example/b", "latest", None),
        ("b:1", "c.example/b:2", "1", "2"),
        ("b:1", "ocidir:///srv/m/b:1", "1", None),
        ("b", "ocidir://m:v2", "latest", "v2"),
        (f"b@{DIGEST}", "c.example/b:pinned", DIGEST, "pinned"),
        (f"b:1@{DIGEST}", "c.example/b", DIGEST, "latest"),
    ],
)
def test_an_image_comes_under_the_tag_of_its_target(source: str, target: str, exact: str, renamed: str | None) -> None:
    found = image(source, target)
    assert (found.tags.exact, found.renamed) == ((exact,), renamed)


@pytest.mark.parametrize(
    ("target", "kind", "place"),
    [
        ("ocidir:///srv/b", "repository", Place("oci", "/srv/b")),
        ("ocidir:///srv/", "registry", Place("oci", "/srv/*")),
        ("c.example/x", "registry", Place("registry", "c.example/x/*")),
        ("localhost", "registry", Place("registry", "localhost/*")),
    ],
)
def test_targets_are_registries_repositories_and_directories(target: str, kind: str, place: Place) -> None:
    (found,) = config(f"sync: [{{source: a.example, target: '{target}', type: {kind}}}]").mirrors
    assert found.target == place


def test_each_set_of_tags_is_a_mirror_of_its_own() -> None:
    text = "tagSets: [{allow: ['1.*'], deny: ['1.2']}, {allow: ['2.*']}], tags: {allow: [edge]}"
    found = config(f"sync: [{{source: a, target: c.example/a, type: repository, {text}}}]").mirrors
    allowed = [[pattern.pattern for pattern in each.tags.allow] for each in found]
    assert allowed == [["1.*"], ["2.*"], ["edge"]]
    assert {each.target.name for each in found} == {"c.example/a"}


def test_a_set_of_tags_that_names_none_takes_all() -> None:
    assert mirror("tagSets: [{}]").tags == TagRule()


def test_one_platform_goes_in_place_of_the_index_and_several_leave_it_as_it_is() -> None:
    assert mirror("platform: linux/arm64").index == "single"
    assert mirror("platforms: [linux/arm64]").index == "sparse"


def test_what_an_entry_says_of_its_time_stands_before_the_defaults() -> None:
    entry = "{source: a, target: c.example/a, type: repository"
    found = config(f"defaults: {{schedule: '0 1 * * *'}}\nsync: [{entry}, interval: 1h30m}}, {entry}}}]").mirrors
    assert [each.schedule for each in found] == ["every 90m", "0 1 * * *"]


@pytest.mark.parametrize(
    ("keys", "schedule"),
    [
        ("interval: 24h", "every 1d"),
        ("interval: 0.5h", "every 30m"),
        ("schedule: '@every 2h'", "every 2h"),
        ("schedule: '@daily'", "@daily"),
        ("schedule: '0 3 * * *', interval: 5m", "0 3 * * *"),
    ],
)
def test_times_are_taken_over(keys: str, schedule: str) -> None:
    assert mirror(keys).schedule == schedule


@pytest.mark.parametrize(("parallel", "jobs"), [("", 1), ("parallel: 0", 1), ("parallel: -1", 1), ("parallel: 8", 8)])
def test_one_image_at_a_time_unless_more_are_asked_for(parallel: str, jobs: int) -> None:
    assert config(f"defaults: {{{parallel}}}\nsync: []").jobs == jobs


def test_the_target_may_use_the_source() -> None:
    assert image("b:1", "c.example/{{.Sync.Source}}").target == Place("registry", "c.example/b")


@pytest.mark.parametrize(
    "secret",
    [
        "hidden-one",
        "{{env `A`}}hidden-one",
        "hidden-one{{",
        '{{print "hidden-one"}}',
        '{{env "A"}}{{env "B"}} hidden-one',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config(f"creds:\n  - registry: a.example\n    user: john\n    pass: '{secret}'\nsync: []")
    assert "regsync.yml:4: creds[0].pass" in str(caught.value)
    assert "hidden-one" not in str(caught.value.facts())


def test_what_variables_hold_is_not_in_the_configuration() -> None:
    text = "creds: [{registry: a.example, user: u, pass: '{{env \"P\"}}'}]\nsync: []"
    found = read_regsync(load(text.encode(), "f"), {"P": "hidden-one"})
    assert "hidden-one" not in repr(found)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("referrerFilters: [{artifactType: x}]", "`referrerFilters` is not taken over.*All referrers"),
        ("hooks: {pre: {type: cmd}}", "`hooks` is not taken over"),
        ("forceRecursive: true", "`forceRecursive` is not taken over"),
        ("includeExternal: true", "`includeExternal` is not taken over"),
        ("tags: {semverRange: ['>=1']}", r"`semverRange` is not taken over.*sync\[0\]\.tags\.semverRange"),
        ("mediaTypes: [application/vnd.oci.image.index.v1+json]", "by their media type"),
        ("backup: 'c.example/backup:{{.Ref.Tag}}'", "in another place"),
        ("backup: '{{time.Now}}'", "template.*time.Now"),
        ("backup: '-{{.Ref.Tag}}'", "no tag"),
        ("schedule: '0 0 30 2 *'", "no schedule"),
        ("interval: 90s", "whole minutes"),
        ("interval: 16666h41m", "no schedule"),
        ("interval: 3600", "no length of time"),
        ("ratelimit: {min: 1, retry: soon}", "no length of time"),
        ("ratelimit: {max: 1}", "unknown key"),
        ("platform: a/b/c/d", "platform"),
        ("platform: linux/arm64, platforms: [linux/amd64]", "says nothing beside"),
        ("tags: {allow: ['(']}", "no regular expression"),
        ("tags: {allow: ['\\pL']}", "no regular expression"),
        ("tags: {allow: latest}", "a list"),
        ("repos: {allow: [a]}", "`repos` chooses nothing here"),
        ("tagz: {}", "unknown key.*tags"),
        ("referrers: 1", "true or false"),
    ],
)
def test_what_would_be_done_otherwise_here_is_refused_by_name(keys: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        mirror(keys)
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "regsync.yml:2: sync[0]." in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("token", "x"), ("credHelper", "docker-credential-x"), ("regcert", "PEM"), ("clientKey", "PEM")],
        *[("mirrors", "[m.example]"), ("pathPrefix", "x"), ("priority", "1"), ("scheme", "http"), ("api", "x")],
        *[("blobChunk", "1"), ("blobMax", "-1"), ("hostname", "other.example")],
    ],
)
def test_what_is_said_of_a_registry_elsewhere_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"`{key}` is not taken over \(regsync.yml:1: creds\[0\]\.{key}\)"):
        config(f"creds: [{{registry: a.example, {key}: {value}}}]\nsync: []")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\nsync: []", "version: 1"),
        ("version: 1", "nothing to mirror"),
        ("sync: [{source: a, target: b.example/a}]", "`type` is missing"),
        ("sync: [{source: a, target: b.example/a, type: images}]", "image, repository or registry"),
        ("sync: [{source: ocidir://a, target: b.example/a, type: repository}]", "only registries"),
        ("sync: [{source: 'a:1', target: b.example/a, type: repository}]", "without a tag"),
        (f"sync: [{{source: a, target: 'b.example/a@{DIGEST}', type: image}}]", "a target goes by a tag"),
        ("sync: [{source: alone, target: b.example, type: registry}]", "a host with a dot or a port"),
        ("sync: [{source: 'http://a.example/b', target: b.example/a, type: image}]", "an unknown kind of place"),
        ("sync: [{source: 'ocidir://', target: b.example/a, type: image}]", "no directory"),
        ("sync: [{source: a, target: '{{env \"UNSET\"}}/a', type: image}]", "not set.*UNSET"),
        ("sync: [{source: a, target: '{{file \"x\"}}/a', type: image}]", "template"),
        ("creds: [{tls: enabled}]\nsync: []", "`registry` is missing"),
        ("creds: [{registry: a.example, tls: maybe}]\nsync: []", "enabled, insecure or disabled"),
        ("creds: [{registry: a.example}, {registry: a.example}]\nsync: []", "comes twice"),
        ("creds: [{registry: a.example, user: x}]\nsync: []", "`pass` is missing"),
        ("creds: [{registry: a.example, reqPerSec: -1}]\nsync: []", "no rate"),
        ("creds: [{registry: a.example, reqPerSec: .nan}]\nsync: []", "no rate"),
        ("defaults: {userAgent: x}\nsync: []", "`userAgent` is not taken over"),
        ("defaults: {skipDockerConfig: true}\nsync: []", "--authfile"),
        ("defaults: {hooks: {pre: {type: x}}}\nsync: []", "`hooks` is not taken over"),
        ("defaults: {tags: {allow: [x]}}\nsync: []", "unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config(text)
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "regsync.yml:" in str(caught.value)


def test_repositories_are_chosen_by_whole_names() -> None:
    rule = NameRule(allow=(re.compile("a"),))
    assert [name for name in ("a", "ab", "b/a") if rule.admits(name)] == ["a"]
