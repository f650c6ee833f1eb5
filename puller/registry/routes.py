"""Direct: every registry at the host of its name."""

from dataclasses import dataclass

from puller.contracts.access import NO_TRUST, Endpoint, Trust
from puller.model.reference import Reference


@dataclass(frozen=True, slots=True)
class Direct:
    """Routes without mirrors and settings; `trust` holds for every host."""

    trust: Trust = NO_TRUST

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """The registry itself."""
        return (self.home(reference),)

    def home(self, reference: Reference) -> Endpoint:
        """The registry itself."""
        return Endpoint(reference.registry, reference.repository, trust=self.trust)
