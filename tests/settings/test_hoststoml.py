"""hosts.toml, in the shapes of containerd's docs/hosts.md."""

from pathlib import Path

import pytest

from puller.contracts.access import NO_TRUST, Trust
from puller.errors import InvalidConfig
from puller.settings.hoststoml import Host, load_hosts
from puller.settings.site import Site
from tests.settings.machine import Machine

ROOT = "etc/containerd/certs.d"
# docs/hosts.md, "Setup a Local Mirror for Docker"
LOCAL_MIRROR = """
server = "https://registry-1.docker.io"    # Exclude this to not use upstream

[host."https://public-mirror.example.com"]
  capabilities = ["pull"]                  # Requires less trust, won't resolve tag to digest from this host
[host."https://docker-mirror.internal"]
  capabilities = ["pull", "resolve"]
  ca = "docker-mirror.crt"                 # Or absolute path /etc/containerd/certs.d/docker.io/docker-mirror.crt
"""
# docs/hosts.md, "host field(s)"
MANY = """
[host."https://mirror.registry"]
  capabilities = ["pull"]
  ca = "/etc/certs/mirror.pem"
  skip_verify = false
  [host."https://mirror.registry".header]
    x-custom-2 = ["value1", "value2"]

[host."https://mirror-bak.registry/us"]
  capabilities = ["pull"]
  skip_verify = true

[host."http://mirror.registry"]
  capabilities = ["pull"]

[host."https://test-1.registry"]
  capabilities = ["pull", "resolve", "push"]
  ca = ["/etc/certs/test-1-ca.pem", "/etc/certs/special.pem"]
  client = [["/etc/certs/client.cert", "/etc/certs/client.key"],["/etc/certs/client.pem", ""]]

[host."https://test-2.registry"]
  client = "/etc/certs/client.pem"

[host."https://test-3.registry"]
  client = ["/etc/certs/client-1.pem", "/etc/certs/client-2.pem"]

[host."https://non-compliant-mirror.registry/v2/upstream"]
  capabilities = ["pull"]
  override_path = true
"""


def hosts(machine: Machine, registry: str = "docker.io") -> tuple[Host, ...]:
    found = load_hosts(registry, machine.places)
    assert found is not None
    return found


def sites(machine: Machine, registry: str = "docker.io") -> list[str]:
    return [
        "-" if host.site is None else f"{host.site.scheme}://{host.site.registry}" for host in hosts(machine, registry)
    ]


def test_where_nothing_is_set_up_nothing_is_said(machine: Machine) -> None:
    assert load_hosts("docker.io", machine.places) is None


def test_a_local_mirror_as_the_documentation_sets_one_up(machine: Machine) -> None:
    file = machine.write(f"{ROOT}/docker.io/hosts.toml", LOCAL_MIRROR)

    assert hosts(machine) == (
        Host(Site("https", "public-mirror.example.com"), frozenset({"pull"})),
        Host(
            Site("https", "docker-mirror.internal"),
            frozenset({"pull", "resolve"}),
            Trust((file.parent / "docker-mirror.crt",)),
        ),
        Host(Site("https", "docker.io")),
    )


def test_all_that_the_documentation_shows_of_hosts_in_its_order(machine: Machine) -> None:
    machine.write(f"{ROOT}/registry.example/hosts.toml", MANY)
    found = hosts(machine, "registry.example")

    assert [host.site for host in found] == [
        Site("https", "mirror.registry"),
        Site("https", "mirror-bak.registry", "/us/v2"),
        Site("http", "mirror.registry"),
        Site("https", "test-1.registry"),
        Site("https", "test-2.registry"),
        Site("https", "test-3.registry"),
        Site("https", "non-compliant-mirror.registry", "/v2/upstream"),
        None,
    ]
    certs = Path("/etc/certs")
    assert found[0].headers == (("x-custom-2", "value1, value2"),)
    assert (found[0].trust, found[1].skip_verify) == (Trust((certs / "mirror.pem",)), True)
    assert found[3].trust == Trust(
        (certs / "test-1-ca.pem", certs / "special.pem"),
        ((certs / "client.cert", certs / "client.key"), (certs / "client.pem", certs / "client.pem")),
    )
    assert found[4].trust == Trust((), ((certs / "client.pem", certs / "client.pem"),))
    assert [pair[0].name for pair in found[5].trust.certificates] == ["client-1.pem", "client-2.pem"]
    assert found[4].capabilities == {"pull", "resolve", "push"}


def test_what_stands_at_the_root_is_of_the_server(machine: Machine) -> None:
    machine.write(
        f"{ROOT}/my-registry.io/hosts.toml",
        'server = "https://my-registry.io"\nproxy = "http://my-proxy:8080"\nca = "ca.crt"\ndial_timeout = "1m500ms"\n'
        '[header]\n  x-custom-1 = "custom header"\n',
    )
    (server,) = hosts(machine, "my-registry.io")

    assert server.site == Site("https", "my-registry.io")
    assert (server.proxy, server.connect_within) == ("http://my-proxy:8080", 60.5)
    assert server.headers == (("x-custom-1", "custom header"),)
    assert server.trust.authorities[0].name == "ca.crt"


@pytest.mark.parametrize("folder", ["myregistry.io_5000_", "myregistry.io:5000", "_default"])
def test_the_folder_of_a_host_with_a_port_is_found_by_each_of_its_names(machine: Machine, folder: str) -> None:
    machine.write(f"{ROOT}/{folder}/hosts.toml", 'server = "https://mirror.example"')

    assert sites(machine, "myregistry.io:5000") == ["https://mirror.example"]


def test_of_these_folders_the_first_counts(machine: Machine) -> None:
    folders = {"myregistry.io_5000_": "first", "myregistry.io:5000": "second", "_default": "third"}
    for folder, name in folders.items():
        machine.write(f"{ROOT}/{folder}/hosts.toml", f'server = "https://{name}.example"')

    assert sites(machine, "myregistry.io:5000") == ["https://first.example"]


def test_the_users_folder_comes_before_the_machines(machine: Machine) -> None:
    machine.write(f"{ROOT}/docker.io/hosts.toml", 'server = "https://machine.example"')
    machine.write("home/.config/containerd/certs.d/docker.io/hosts.toml", 'server = "https://mine.example"')

    assert sites(machine) == ["https://mine.example"]


def test_without_hosts_toml_the_folder_may_hold_certificates_as_docker_has_them(machine: Machine) -> None:
    folder = machine.write(f"{ROOT}/a.example/ca.crt").parent
    machine.write(f"{ROOT}/a.example/client.cert")
    machine.write(f"{ROOT}/b.example/readme.txt")

    assert hosts(machine, "a.example") == (
        Host(None, trust=Trust((folder / "ca.crt",), ((folder / "client.cert", folder / "client.cert"),))),
    )
    assert load_hosts("b.example", machine.places) is None


def test_a_server_without_scheme_is_spoken_to_by_https_and_the_hub_has_one_name(machine: Machine) -> None:
    machine.write(f"{ROOT}/a.example/hosts.toml", 'server = "mirror.example:5000"')
    machine.write(f"{ROOT}/docker.io/hosts.toml", 'server = "https://docker.io"\n[host."https://registry-1.docker.io"]')

    assert sites(machine, "a.example") == ["https://mirror.example:5000"]
    assert sites(machine) == ["https://docker.io", "https://docker.io"]


def test_an_empty_file_says_nothing(machine: Machine) -> None:
    machine.write(f"{ROOT}/docker.io/hosts.toml", "# nothing yet\n")

    assert load_hosts("docker.io", machine.places) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("server =", ""),
        ('server = "ftp://a.example"', ": server"),
        ('server = "https://me:secret@a.example"', ": server"),
        ('server = "https://a.example/x?y=1"', ": server"),
        ('server = "https://a.example/../x"', ": server"),
        ('server = ["https://a.example"]', ": server"),
        ('[host."https://a b"]', ": host.https://a b"),
        ('[host."https://a.example"]\ncapabilities = ["fly"]', ": host.https://a.example.capabilities"),
        ('[host."https://a.example"]\ncapabilities = "pull"', ": host.https://a.example.capabilities"),
        ("ca = 1", ": ca"),
        ("client = [1]", ": client"),
        ('client = [["a"]]', ": client"),
        ('client = [["", "b"]]', ": client"),
        ("client = {}", ": client"),
        ('skip_verify = "yes"', ": skip_verify"),
        ('dial_timeout = "soon"', ": dial_timeout"),
        ('dial_timeout = "0s"', ": dial_timeout"),
        ("[header]\na = 1", ": header.a"),
        ('[header]\n"a b" = "c"', ": header"),
        ('[header]\na = "b\\r\\nc: d"', ": header"),
        ('[header]\nContent-Length = "5"', ": header"),
        ('host = "https://a.example"', ": host"),
        ('[host]\n"https://a.example" = 1', ": host.https://a.example"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_key(machine: Machine, text: str, key: str) -> None:
    path = machine.write(f"{ROOT}/docker.io/hosts.toml", text)
    with pytest.raises(InvalidConfig) as caught:
        load_hosts("docker.io", machine.places)

    assert str(caught.value.where) == f"{path}{key}"
    assert "secret" not in str(caught.value)


def test_b15_headers_and_proxies_are_not_shown(machine: Machine) -> None:
    machine.write(
        f"{ROOT}/docker.io/hosts.toml", 'proxy = "http://me:s3cret@p.example"\n[header]\nX-Token = "s3cret"\n'
    )

    assert "s3cret" not in repr(hosts(machine))
    assert hosts(machine)[0].trust == NO_TRUST
