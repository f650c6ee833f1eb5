"""registries.conf, in the shapes of containers-registries.conf(5)."""

from dataclasses import replace
from pathlib import Path

import pytest

from puller.errors import InvalidConfig
from puller.model.reference import Reference
from puller.settings.registriesconf import load_registries
from puller.settings.registriesrule import Location, Rule
from tests.settings.machine import Machine

CONF = "etc/containers/registries.conf"
# containers-registries.conf(5), EXAMPLE
MANUAL = """
unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"
proxy = "http://proxy.example.com:8000"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true

[[registry]]
location = "registry.com"

[[registry.mirror]]
location = "mirror.registry.com"
"""
# containers-registries.conf(5), VERSION 1 FORMAT
FIRST = """
[registries.search]
registries = ['registry1.com', 'registry2.com']

[registries.insecure]
registries = ['registry3.com']

[registries.block]
registries = ['registry.untrusted.com', 'registry.unsafe.com']
"""


def rule_for(machine: Machine, name: str) -> Rule | None:
    return load_registries(machine.places).rule(Reference.parse(name))


def test_where_nothing_is_set_up_nothing_is_said(machine: Machine) -> None:
    conf = load_registries(machine.places)

    assert (conf.rules, conf.search, conf.mode, conf.aliases) == ({}, None, None, {})


def test_the_example_of_the_manual_page_is_read_as_it_is(machine: Machine) -> None:
    machine.write(CONF, MANUAL)
    rule = rule_for(machine, "example.com/foo/image:latest")

    assert load_registries(machine.places).search == ("example.com",)
    assert rule is not None
    assert rule.location == Location("internal-registry-for-example.com/bar")
    assert rule.mirrors == (
        Location("example-mirror-0.local/mirror-for-foo", proxy="http://proxy.example.com:8000"),
        Location("example-mirror-1.local/mirrors/foo", insecure=True),
    )


def test_a_name_becomes_that_of_a_location_by_what_follows_the_prefix(machine: Machine) -> None:
    machine.write(CONF, MANUAL)
    reference = Reference.parse("example.com/foo/image:latest")
    rule = load_registries(machine.places).rule(reference)
    assert rule is not None

    assert [str(rule.rewritten(reference, location)) for location in (*rule.mirrors, rule.location)] == [
        "example-mirror-0.local/mirror-for-foo/image:latest",
        "example-mirror-1.local/mirrors/foo/image:latest",
        "internal-registry-for-example.com/bar/image:latest",
    ]


def test_version_1_is_read_as_what_it_says(machine: Machine) -> None:
    machine.write(CONF, FIRST)
    conf = load_registries(machine.places)

    assert conf.search == ("registry1.com", "registry2.com")
    assert {name: (rule.location.insecure, rule.blocked) for name, rule in conf.rules.items()} == {
        "registry.untrusted.com": (False, True),
        "registry.unsafe.com": (False, True),
        "registry3.com": (True, False),
    }


@pytest.mark.parametrize(
    ("prefix", "name", "speaks"),
    [
        ("example.com", "example.com/app:1", True),
        ("example.com", "example.com:5000/app", False),
        ("example.com", "example.community/app", False),
        ("example.com:5000", "example.com:5000/app", True),
        ("example.com/foo", "example.com/foo:1", True),
        ("example.com/foo", "example.com/foo@sha256:" + "0" * 64, True),
        ("example.com/foo", "example.com/foobar", False),
        ("example.com/foo/app:1", "example.com/foo/app:1", True),
        ("example.com/foo/app:1", "example.com/foo/app:12", False),
        ("docker.io/library/alpine", "alpine:3", True),
        ("docker.io/alpine", "alpine", False),
        ("*.example.com", "a.example.com/app", True),
        ("*.example.com", "a.b.example.com:5000/app", True),
        ("*.example.com", "example.com/app", False),
        ("*.example.com", "a.example.com.evil.org/app", False),
        ("*.example.com", "evil.org/a.example.com/app", False),
    ],
)
def test_a_prefix_ends_where_a_part_of_the_name_does(machine: Machine, prefix: str, name: str, speaks: bool) -> None:
    location = "" if prefix.startswith("*") else f'location = "{prefix}"\n'
    machine.write(CONF, f'[[registry]]\nprefix = "{prefix}"\n{location}')

    assert (rule_for(machine, name) is not None) == speaks


def test_the_longest_prefix_counts_alone(machine: Machine) -> None:
    machine.write(
        CONF,
        '[[registry]]\nlocation = "example.com"\n[[registry.mirror]]\nlocation = "m.example"\n'
        '[[registry]]\nlocation = "example.com/foo"\n',
    )
    rule = rule_for(machine, "example.com/foo/app")

    assert rule is not None
    assert (rule.prefix, rule.mirrors) == ("example.com/foo", ())


@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_let_go_for_hosts_below_one_is_not_for_a_host_with_an_entry_of_its_own(
    machine: Machine, is_first: bool
) -> None:
    entries = [
        '[[registry]]\nprefix = "*.example.com"\ninsecure = true\n',
        '[[registry]]\nlocation = "a.example.com"\n',
    ]
    machine.write(CONF, "".join(entries if is_first else reversed(entries)))
    own, other = rule_for(machine, "a.example.com/app"), rule_for(machine, "b.example.com/app")

    assert own is not None
    assert not own.location.insecure
    assert other is not None
    assert other.location.insecure


def test_a_wildcard_without_location_leaves_names_as_they_are_and_with_one_takes_the_host_away(
    machine: Machine,
) -> None:
    machine.write(CONF, '[[registry]]\nprefix = "*.example.com"\n[[registry.mirror]]\nlocation = "m.example/cache"\n')
    reference = Reference.parse("a.example.com:5000/team/app:1")
    rule = load_registries(machine.places).rule(reference)
    assert rule is not None

    assert rule.rewritten(reference, rule.location) == reference
    plain = Reference.parse("a.example.com/team/app:1")
    assert str(rule.rewritten(plain, rule.mirrors[0])) == "m.example/cache/team/app:1"


def test_the_users_file_stands_for_all_of_the_machines(machine: Machine) -> None:
    machine.write(CONF, MANUAL)
    machine.write("etc/containers/registries.conf.d/1.conf", 'short-name-mode = "enforcing"')
    machine.write("home/.config/containers/registries.conf", 'unqualified-search-registries = ["mine.example"]')
    machine.write("home/.config/containers/registries.conf.d/a.conf", 'short-name-mode = "disabled"')
    conf = load_registries(machine.places)

    assert (conf.search, conf.mode, conf.rules) == (("mine.example",), "disabled", {})


def test_dropins_count_in_the_order_of_their_names_the_users_last(machine: Machine) -> None:
    machine.write(CONF, MANUAL)
    machine.write("etc/containers/registries.conf.d/20.conf", '[aliases]\n"app" = "b.example/app"')
    machine.write("etc/containers/registries.conf.d/10.conf", '[aliases]\n"app" = "a.example/app"\n"x" = "a.example/x"')
    machine.write("etc/containers/registries.conf.d/30.txt", "no toml")
    machine.write("etc/containers/registries.conf.d/40.conf/inner", "no toml")
    machine.write(
        "home/.config/containers/registries.conf.d/1.conf",
        '[aliases]\n"x" = ""\n[[registry]]\nlocation = "registry.com"\nblocked = true',
    )
    conf = load_registries(machine.places)

    assert {name: value for name, (value, _) in conf.aliases.items()} == {"app": "b.example/app", "x": ""}
    assert conf.rules["registry.com"].blocked
    assert conf.rules["registry.com"].mirrors == ()
    assert "example.com/foo" in conf.rules


def test_a_file_that_is_named_is_read_instead_and_has_to_be_there(machine: Machine) -> None:
    machine.write("home/.config/containers/registries.conf", MANUAL)
    named = machine.root / "named.conf"
    places = replace(machine.places, registries_conf=named)
    with pytest.raises(InvalidConfig, match="not there"):
        load_registries(places)
    named.write_text('unqualified-search-registries = ["named.example"]')
    conf = load_registries(places)

    assert (conf.search, conf.rules) == (("named.example",), {})


def test_an_empty_search_list_takes_away_the_one_before(machine: Machine) -> None:
    machine.write(CONF, MANUAL)
    machine.write("etc/containers/registries.conf.d/1.conf", "unqualified-search-registries = []")

    assert load_registries(machine.places).search == ()


def test_keys_that_nobody_knows_are_passed_over(machine: Machine) -> None:
    machine.write(CONF, 'credential-helpers = ["x"]\nfuture = 1\n[[registry]]\nlocation = "a.example"\ncolour = "red"')

    assert rule_for(machine, "a.example/app") is not None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("not toml at all", None),
        ('[[registry]]\nlocation = "https://a.example"', "registry[0].location"),
        ("[[registry]]\nlocation = 1", "registry[0].location"),
        ('[[registry]]\nprefix = "a.example"', "registry[0].location"),
        ("[[registry]]\nblocked = true", "registry[0].location"),
        ('[[registry]]\nlocation = "a.example"\ninsecure = "yes"', "registry[0].insecure"),
        ('[[registry]]\nlocation = "a b"', "registry[0].location"),
        ('[[registry]]\nprefix = "*.a.example/foo"', "registry[0].prefix"),
        ('[[registry]]\nlocation = "a.example"\npull-from-mirror = "all"', "registry[0].pull-from-mirror"),
        (
            '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\ninsecure = true',
            "registry[0].mirror[0].location",
        ),
        (
            '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "b.example"\n'
            'pull-from-mirror = "never"',
            "registry[0].mirror[0].pull-from-mirror",
        ),
        (
            '[[registry]]\nlocation = "a.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\n'
            'location = "b.example"\npull-from-mirror = "all"',
            "registry[0].mirror[0].pull-from-mirror",
        ),
        (
            '[[registry]]\nlocation = "a.example"\n[[registry]]\nprefix = "b.example"\nlocation = "a.example"\n'
            "insecure = true",
            "registry[1].location",
        ),
        ('[registry]\nlocation = "a.example"', "registry"),
        ('unqualified-search-registries = ["a/b"]', "unqualified-search-registries"),
        ('unqualified-search-registries = "a.example"', "unqualified-search-registries"),
        ('short-name-mode = "maybe"', "short-name-mode"),
        ("[aliases]\napp = 1", "aliases.app"),
        (FIRST + '[[registry]]\nlocation = "a.example"', "registries"),
        ("[registries.search]\nregistries = [1]", "registries.search.registries"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_key(machine: Machine, text: str, key: str | None) -> None:
    path = machine.write(CONF, text)
    with pytest.raises(InvalidConfig) as caught:
        load_registries(machine.places)

    assert str(caught.value.where) == (str(path) if key is None else f"{path}: {key}")


def test_version_1_is_refused_in_a_dropin(machine: Machine) -> None:
    machine.write("etc/containers/registries.conf.d/1.conf", FIRST)
    with pytest.raises(InvalidConfig) as caught:
        load_registries(machine.places)

    assert "version 2" in str(caught.value.wanted)


def test_h5_a_file_without_end_and_one_that_nests_without_end_are_refused(machine: Machine) -> None:
    machine.write(CONF, "#" * (2 << 20))
    with pytest.raises(InvalidConfig, match="too large"):
        load_registries(machine.places)
    machine.write(CONF, "a = " + "[" * 100_000)
    with pytest.raises(InvalidConfig, match="no TOML"):
        load_registries(machine.places)


def test_b15_a_malformed_file_is_not_quoted(machine: Machine) -> None:
    machine.write(CONF, 'proxy = "http://me:s3cret@proxy.example" s3cret')
    with pytest.raises(InvalidConfig) as caught:
        load_registries(machine.places)

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_directory_in_place_of_a_file_is_an_error(machine: Machine) -> None:
    (machine.root / CONF).mkdir(parents=True)
    with pytest.raises(InvalidConfig, match="cannot be read"):
        load_registries(machine.places)


def test_a_location_that_makes_no_name_is_refused(tmp_path: Path) -> None:
    rule = Rule("example.com", Location("mirror"), (), blocked=False, file=tmp_path)
    with pytest.raises(InvalidConfig, match="does not make the name"):
        rule.rewritten(Reference.parse("example.com/app"), rule.location)
