"""Registries: opens the registry client with what the command line and the user's settings say.

Apart from `rooms`, because aiohttp takes longer to load than many a verb to run that needs no registry.
"""

from pathlib import Path

from puller.cli.environment import docker_config_path
from puller.cli.options import Access
from puller.errors import InvalidConfig
from puller.model.event import Report
from puller.model.reference import is_registry
from puller.registry.client import RegistryClient
from puller.settings.dockerconfig import DockerConfig
from puller.version import VERSION


def open_client(access: Access, *, jobs: int, report: Report) -> RegistryClient:
    """A registry client with the secrets of docker's config.json. Raises InvalidConfig for what is no `host:port`."""
    for host in access.plain_http:
        if not is_registry(host):
            hint = "Name the registry as references do, without scheme and path: registry.example:5000."
            raise InvalidConfig("--plain-http wants a registry", wanted="host[:port]", got=repr(host)[:160], hint=hint)
    return RegistryClient(
        keyring=_docker_config(docker_config_path()),
        plain_http=access.plain_http,
        ca_file=access.ca,
        token_hosts=access.token_hosts,
        concurrency=max(jobs, 2) + 1,
        user_agent=f"puller/{VERSION}",
        report=report,
        debug=access.debug,
    )


def _docker_config(path: Path) -> DockerConfig | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidConfig("docker's config cannot be read", where=path, got=error.strerror) from error
    return DockerConfig.parse(raw)
