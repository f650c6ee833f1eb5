"""Where repositories are to be had from, by all that is set up on a machine."""

import json
from pathlib import Path

import pytest

from puller.contracts.access import NO_TRUST, Endpoint, Protection, Trust
from puller.errors import InvalidConfig
from puller.model.reference import Reference
from puller.settings.routes import SettingsRoutes
from tests.settings.machine import Machine
from tests.settings.test_hoststoml import LOCAL_MIRROR
from tests.settings.test_registriesconf import MANUAL

CONF = "etc/containers/registries.conf"
HOSTS = "etc/containerd/certs.d"
DIGEST = "sha256:" + "0" * 64


def endpoints(machine: Machine, name: str, *, mirrors: bool = True) -> tuple[Endpoint, ...]:
    return SettingsRoutes(machine.places, mirrors=mirrors).endpoints(Reference.parse(name))


def home(machine: Machine, name: str) -> Endpoint:
    return SettingsRoutes(machine.places).home(Reference.parse(name))


def hosts(machine: Machine, name: str) -> list[str]:
    return [f"{endpoint.registry}/{endpoint.repository}" for endpoint in endpoints(machine, name)]


def test_where_nothing_is_set_up_a_registry_is_at_the_host_of_its_name(machine: Machine) -> None:
    assert endpoints(machine, "quay.io/app:1") == (Endpoint("quay.io", "app"),)
    assert home(machine, "alpine") == Endpoint("docker.io", "library/alpine")


def test_the_example_of_registries_conf_gives_its_three_places(machine: Machine) -> None:
    machine.write(CONF, MANUAL)
    first, second, last = endpoints(machine, "example.com/foo/image:latest")

    assert (first.registry, first.repository) == ("example-mirror-0.local", "mirror-for-foo/image")
    assert (first.protection, first.proxy) == (Protection.USUAL, "http://proxy.example.com:8000")
    assert (second.registry, second.repository) == ("example-mirror-1.local", "mirrors/foo/image")
    assert second.protection is Protection.ANY
    assert (last.registry, last.repository) == ("internal-registry-for-example.com", "bar/image")
    assert [one.is_mirror for one in (first, second, last)] == [True, True, False]


def test_pushes_go_where_the_name_says(machine: Machine) -> None:
    machine.write(CONF, MANUAL)

    assert home(machine, "example.com/foo/image") == Endpoint("example.com", "foo/image")


def test_without_mirrors_a_registry_is_where_its_name_says(machine: Machine) -> None:
    machine.write(CONF, MANUAL)

    assert endpoints(machine, "example.com/foo/image:1", mirrors=False) == (Endpoint("example.com", "foo/image"),)


@pytest.mark.parametrize(
    ("usage", "name", "resolves"),
    [
        ('pull-from-mirror = "all"', "a.example/app:1", True),
        ('pull-from-mirror = "digest-only"', "a.example/app:1", False),
        ('pull-from-mirror = "digest-only"', f"a.example/app@{DIGEST}", False),
        ('pull-from-mirror = "tag-only"', "a.example/app:1", True),
        ('pull-from-mirror = "tag-only"', f"a.example/app@{DIGEST}", None),
    ],
)
def test_a_mirror_is_asked_for_what_it_is_for(machine: Machine, usage: str, name: str, resolves: bool | None) -> None:
    machine.write(CONF, f'[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "m.example"\n{usage}')
    mirrors = [one for one in endpoints(machine, name) if one.is_mirror]

    assert [(one.resolves, one.fetches) for one in mirrors] == ([] if resolves is None else [(resolves, True)])


def test_mirror_by_digest_only_is_of_all_mirrors(machine: Machine) -> None:
    machine.write(
        CONF,
        '[[registry]]\nlocation = "a.example"\nmirror-by-digest-only = true\n'
        '[[registry.mirror]]\nlocation = "m.example"\n[[registry.mirror]]\nlocation = "n.example"',
    )

    assert [one.resolves for one in endpoints(machine, "a.example/app:1")] == [False, False, True]


def test_what_is_blocked_is_refused_with_the_file_that_says_so_also_without_mirrors_and_for_pushes(
    machine: Machine,
) -> None:
    path = machine.write(CONF, '[[registry]]\nlocation = "a.example"\nblocked = true')
    for ask in (
        lambda: endpoints(machine, "a.example/app:1"),
        lambda: endpoints(machine, "a.example/app:1", mirrors=False),
        lambda: home(machine, "a.example/app:1"),
    ):
        with pytest.raises(InvalidConfig, match="blocked") as caught:
            ask()
        assert str(caught.value.where) == f"{path}: blocked"
    assert hosts(machine, "b.example/app") == ["b.example/app"]


def test_the_mirrors_of_a_blocked_registry_are_asked_and_the_registry_is_not(machine: Machine) -> None:
    machine.write(
        CONF, '[[registry]]\nlocation = "a.example"\nblocked = true\n[[registry.mirror]]\nlocation = "m.example"'
    )

    assert hosts(machine, "a.example/app:1") == ["m.example/app"]


def test_a_blocked_registry_whose_mirrors_may_not_say_what_tags_name_has_digests_only(machine: Machine) -> None:
    machine.write(
        CONF,
        '[[registry]]\nlocation = "a.example"\nblocked = true\nmirror-by-digest-only = true\n'
        '[[registry.mirror]]\nlocation = "m.example"',
    )
    with pytest.raises(InvalidConfig, match="blocked"):
        endpoints(machine, "a.example/app:1")

    assert hosts(machine, f"a.example/app@{DIGEST}") == ["m.example/app"]


def test_a_mirror_that_is_blocked_by_its_own_name_is_left_out(machine: Machine) -> None:
    machine.write(
        CONF,
        '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "m.example/cache"\n'
        '[[registry]]\nlocation = "m.example"\nblocked = true',
    )

    assert hosts(machine, "a.example/app:1") == ["a.example/app"]


def test_a_local_mirror_of_containerd_is_asked_first_and_told_whom_it_stands_for(machine: Machine) -> None:
    file = machine.write(f"{HOSTS}/docker.io/hosts.toml", LOCAL_MIRROR)
    public, internal, hub = endpoints(machine, "alpine:3")

    assert (public.registry, public.repository) == ("public-mirror.example.com", "library/alpine")
    assert (public.resolves, public.fetches, public.is_mirror) == (False, True, True)
    assert public.namespace == internal.namespace == "docker.io"
    assert internal.trust == Trust((file.parent / "docker-mirror.crt",))
    assert (internal.resolves, internal.protection) == (True, Protection.TLS)
    assert (hub.registry, hub.is_mirror, hub.namespace) == ("docker.io", False, "")


def test_the_hub_that_is_named_twice_is_asked_once(machine: Machine) -> None:
    # docs/hosts.md, "Simple (default) Host Config for Docker"
    machine.write(
        f"{HOSTS}/docker.io/hosts.toml",
        'server = "https://docker.io"\n\n[host."https://registry-1.docker.io"]\n  capabilities = ["pull", "resolve"]\n',
    )

    assert hosts(machine, "alpine") == ["docker.io/library/alpine"]


def test_a_default_mirror_is_one_of_all_registries(machine: Machine) -> None:
    # docs/hosts.md, "Setup Default Mirror for All Registries"
    machine.write(
        f"{HOSTS}/_default/hosts.toml", '[host."https://registry.example.com"]\n  capabilities = ["pull", "resolve"]\n'
    )
    mirror, last = endpoints(machine, "quay.io/team/app")

    assert (mirror.registry, mirror.namespace) == ("registry.example.com", "quay.io")
    assert last == Endpoint("quay.io", "team/app")


def test_a_server_instead_of_the_registry_is_the_only_one_asked(machine: Machine) -> None:
    machine.write(f"{HOSTS}/_default/hosts.toml", 'server = "https://registry.example.com"')

    assert hosts(machine, "quay.io/team/app") == ["registry.example.com/team/app"]
    assert home(machine, "quay.io/team/app") == Endpoint("quay.io", "team/app")


def test_verification_may_be_skipped_for_a_host_that_is_named(machine: Machine) -> None:
    # docs/hosts.md, "Bypass TLS Verification Example"
    machine.write(
        f"{HOSTS}/docker.io/hosts.toml",
        'server = "https://registry-1.docker.io"\n\n[host."http://192.168.31.250:5000"]\n'
        '  capabilities = ["pull", "resolve", "push"]\n  skip_verify = true\n',
    )
    local, hub = endpoints(machine, "alpine")

    assert (local.registry, local.protection) == ("192.168.31.250:5000", Protection.ANY)
    assert (hub.registry, hub.protection) == ("docker.io", Protection.TLS)


@pytest.mark.parametrize(("url", "protection"), [("http://m.example", "plain"), ("https://127.0.0.1:5000", "tls")])
def test_a_scheme_that_is_written_is_meant(machine: Machine, url: str, protection: str) -> None:
    machine.write(f"{HOSTS}/a.example/hosts.toml", f'[host."{url}"]')

    assert endpoints(machine, "a.example/app")[0].protection is Protection(protection)


def test_headers_waits_and_proxies_are_of_their_host_alone(machine: Machine) -> None:
    machine.write(
        f"{HOSTS}/a.example/hosts.toml",
        '[host."https://m.example"]\ndial_timeout = "2s"\nproxy = "http://p.example:8080"\n'
        '[host."https://m.example".header]\nX-Key = "k"\n',
    )
    mirror, last = endpoints(machine, "a.example/app")

    assert (mirror.headers, mirror.connect_within) == ((("X-Key", "k"),), 2.0)
    assert mirror.proxy == "http://p.example:8080"
    assert (last.headers, last.connect_within, last.proxy) == ((), None, "")


def test_a_host_that_only_takes_pushes_is_not_pulled_from(machine: Machine) -> None:
    machine.write(f"{HOSTS}/a.example/hosts.toml", '[host."https://m.example"]\ncapabilities = ["push"]\n')
    assert hosts(machine, "a.example/app") == ["a.example/app"]
    machine.write(f"{HOSTS}/a.example/hosts.toml", 'capabilities = ["push"]\n')
    with pytest.raises(InvalidConfig, match="no host to be pulled from"):
        endpoints(machine, "a.example/app")


def test_mirrors_of_docker_are_of_docker_hub_only(machine: Machine) -> None:
    machine.write(
        "etc/docker/daemon.json",
        json.dumps(
            {
                "registry-mirrors": ["https://m.example", "http://n.example:5000", "https://o.example"],
                "insecure-registries": ["o.example", "q.example:5000", "n.example:5000"],
            }
        ),
    )

    assert [(one.registry, one.protection.value, one.is_mirror) for one in endpoints(machine, "alpine")] == [
        ("m.example", "tls", True),
        ("n.example:5000", "plain", True),
        ("o.example", "any", True),
        ("docker.io", "usual", False),
    ]
    assert endpoints(machine, "q.example:5000/app") == (Endpoint("q.example:5000", "app", Protection.ANY),)
    assert home(machine, "q.example:5000/app").protection is Protection.ANY
    assert endpoints(machine, "quay.io/app") == (Endpoint("quay.io", "app"),)


def test_of_the_three_registries_conf_decides_then_hosts_toml_then_daemon_json(machine: Machine) -> None:
    machine.write("etc/docker/daemon.json", json.dumps({"registry-mirrors": ["https://daemon.example"]}))
    assert hosts(machine, "alpine")[0] == "daemon.example/library/alpine"
    machine.write(f"{HOSTS}/docker.io/hosts.toml", '[host."https://hosts.example"]')
    assert hosts(machine, "alpine")[0] == "hosts.example/library/alpine"
    machine.write(
        CONF,
        '[[registry]]\nprefix = "docker.io/library"\nlocation = "docker.io/library"\n'
        '[[registry.mirror]]\nlocation = "conf.example"',
    )
    assert hosts(machine, "alpine") == ["conf.example/alpine", "docker.io/library/alpine"]
    assert hosts(machine, "team/app")[0] == "hosts.example/team/app"


def test_certificates_are_of_every_host_that_is_asked_and_mean_tls(machine: Machine) -> None:
    machine.write(CONF, '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "127.0.0.1:5000"')
    path = machine.write("etc/docker/certs.d/127.0.0.1:5000/ca.crt")
    mirror, last = endpoints(machine, "a.example/app:1")

    assert (mirror.trust, mirror.protection) == (Trust((path,)), Protection.TLS)
    assert (last.trust, last.protection) == (NO_TRUST, Protection.USUAL)


def test_certificates_in_hosts_toml_stand_for_those_in_other_folders(machine: Machine) -> None:
    machine.write("etc/docker/certs.d/m.example/ca.crt")
    machine.write(f"{HOSTS}/a.example/hosts.toml", '[host."https://m.example"]\nca = "/ca.pem"')

    assert endpoints(machine, "a.example/app")[0].trust == Trust((Path("/ca.pem"),))


def test_files_are_read_once_and_those_that_do_not_matter_never(machine: Machine) -> None:
    machine.write("etc/docker/daemon.json", "{")
    machine.write(f"{HOSTS}/b.example/hosts.toml", "{")
    machine.write(CONF, '[[registry]]\nlocation = "a.example"')
    routes = SettingsRoutes(machine.places)
    reference = Reference.parse("a.example/app")
    first = routes.endpoints(reference)
    machine.write(CONF, "{")

    assert routes.endpoints(reference) == first
