"""Census: how many requests went out, by host and method. Retries count, redirected requests at each host."""

from collections.abc import Mapping

MOST_HOSTS = 1000  # registries may send us to any number of them
OTHERS = "others"


class Census:
    """Counts for all sessions of one client."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """By `host`, or `host:port`, then by method; a copy."""
        return {host: dict(methods) for host, methods in self._counts.items()}

    def count(self, host: str, method: str) -> None:
        """One more."""
        if host not in self._counts and len(self._counts) >= MOST_HOSTS:
            host = OTHERS
        methods = self._counts.setdefault(host, {})
        methods[method] = methods.get(method, 0) + 1
