"""Asking: questions to a registry that pull nothing."""

from puller.cli import interrupt
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.screen import Plain
from puller.errors import InvalidReference, PullerError
from puller.model.reference import Reference


def digest_of(text: str, access: Access) -> str:
    """The digest that `text` names in its registry now."""
    reference = Reference.parse(text).tagged()

    async def ask() -> str:
        async with open_client(access, jobs=1, report=Plain(several=False).show) as client:
            try:
                return str((await client.repository(reference).resolve(reference)).digest)
            except PullerError as error:
                raise error.at(reference=reference) from error.__cause__

    return interrupt.run(ask)


def tags_of(text: str, access: Access) -> list[str]:
    """The tags of the repository `text`, in the registry's order."""
    repository = Reference.parse(text)
    if repository.tag or repository.digest:
        hint = f"Leave out what follows the name: {repository.name}"
        raise InvalidReference("tags wants a repository", got=repository, hint=hint)

    async def ask() -> list[str]:
        async with open_client(access, jobs=1, report=Plain(several=False).show) as client:
            try:
                return [tag async for tag in client.repository(repository).tags()]
            except PullerError as error:
                raise error.at(reference=repository) from error.__cause__

    return interrupt.run(ask)
