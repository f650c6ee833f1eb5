"""Asking: questions to a registry that pull nothing."""

from functools import partial

from puller.cli import interrupt
from puller.cli.naming import meant, short_names
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.screen import Plain
from puller.errors import InvalidReference, PullerError
from puller.model.descriptor import Descriptor
from puller.model.reference import Reference
from puller.registry.client import RegistryClient


async def resolved(client: RegistryClient, reference: Reference) -> Descriptor:
    """What `reference` names in its registry now; errors say which reference it was."""
    try:
        return await client.source(reference).resolve(reference)
    except PullerError as error:
        raise error.at(reference=reference) from error.__cause__


def digest_of(text: str, access: Access) -> str:
    """The digest that `text` names in its registry now."""
    references = [reference.tagged() for reference in short_names().to_ask(text)]

    async def ask() -> str:
        async with open_client(access, jobs=1, report=Plain(several=False).show) as client:
            _, descriptor = await meant(references, partial(resolved, client))
            return str(descriptor.digest)

    return interrupt.run(ask)


def tags_of(text: str, access: Access) -> list[str]:
    """The tags of the repository `text`, in the registry's order."""
    repositories = short_names().to_ask(text)
    first = repositories[0]
    if first.tag or first.digest:
        hint = f"Leave out what follows the name: {first.name}"
        host, _, port = text.partition(":")
        if port.isdigit() and "/" not in host and ("." in host or host == "localhost"):  # a tag by the grammar
            hint = f"To ask the registry {text}, name a repository of it: {text}/REPO"
        raise InvalidReference("tags wants a repository", got=first, hint=hint)

    async def ask() -> list[str]:
        async with open_client(access, jobs=1, report=Plain(several=False).show) as client:

            async def listed(repository: Reference) -> list[str]:
                try:
                    return [tag async for tag in client.repository(repository).tags()]
                except PullerError as error:
                    raise error.at(reference=repository) from error.__cause__

            _, tags = await meant(repositories, listed)
            return tags

    return interrupt.run(ask)
