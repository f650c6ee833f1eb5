"""JsonValue: JSON of which every value knows the way to it, so that what is wrong with a document can be pointed at."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from puller.errors import InputError, InvalidConfig
from puller.model.document import load_value

T = TypeVar("T")
W = TypeVar("W", bound=str)
LONGEST = 4096  # characters of a text, unless something else is said


@dataclass(frozen=True, slots=True)
class JsonValue:
    """One value: the `file` it stands in, and its `path` there, as in `items[3].digest`."""

    file: str
    path: str
    held: Any

    @classmethod
    def parse(cls, raw: bytes, file: str, *, what: str, limit: int) -> "JsonValue":
        """A whole document of at most `limit` bytes. Raises InvalidConfig."""
        try:
            return cls(file, "", load_value(raw, what=what, limit=limit))
        except InputError as error:
            where = f"{file}: {error.where}" if error.where else file
            raise InvalidConfig(error.what, where=where, wanted=error.wanted, got=error.got) from error

    def wrong(self, what: str, *, wanted: str | None = None, got: object = None, hint: str = "") -> InvalidConfig:
        """The error for this value."""
        where = f"{self.file}: {self.path}" if self.path else self.file
        return InvalidConfig(what, where=where, wanted=wanted, got=None if got is None else str(got)[:200], hint=hint)

    def mapping(self, keys: Collection[str]) -> "Mapping[str, JsonValue]":
        """An object with just these keys, each of them. Raises InvalidConfig."""
        held = self.any_mapping()
        for key, value in held.items():
            if key not in keys:
                raise value.wrong("an unknown key")
        for key in keys:
            if key not in held:
                raise self.wrong("a key is missing", wanted=key)
        return held

    def any_mapping(self) -> "Mapping[str, JsonValue]":
        """An object. Raises InvalidConfig."""
        if not isinstance(self.held, dict):
            raise self._of_kind("an object")
        start = f"{self.path}." if self.path else ""
        return {key: JsonValue(self.file, start + key[:100], value) for key, value in self.held.items()}

    def items(self) -> "Iterator[JsonValue]":
        """The values of a list. Raises InvalidConfig."""
        if not isinstance(self.held, list):
            raise self._of_kind("a list")
        return (JsonValue(self.file, f"{self.path}[{place}]", value) for place, value in enumerate(self.held))

    def text(self, *, longest: int = LONGEST) -> str:
        """A text. Raises InvalidConfig."""
        if not isinstance(self.held, str):
            raise self._of_kind("a text")
        if len(self.held) > longest:
            raise self.wrong("a text is too long", wanted=f"at most {longest} characters", got=len(self.held))
        return self.held

    def word(self, known: Collection[W]) -> W:
        """One of some words. Raises InvalidConfig."""
        text = self.text()
        for word in known:
            if word == text:
                return word
        raise self.wrong("an unknown word", wanted=" or ".join(known), got=self.held)

    def count(self) -> int:
        """A whole number that is not negative. Raises InvalidConfig."""
        if not isinstance(self.held, int) or isinstance(self.held, bool) or self.held < 0:
            raise self._of_kind("a whole number, 0 or more")
        return self.held

    def number(self) -> float:
        """A number. Raises InvalidConfig."""
        if not isinstance(self.held, int | float) or isinstance(self.held, bool):
            raise self._of_kind("a number")
        return float(self.held)

    def boolean(self) -> bool:
        """Raises InvalidConfig."""
        if not isinstance(self.held, bool):
            raise self._of_kind("true or false")
        return self.held

    def maybe(self, read: "Callable[[JsonValue], T]") -> T | None:
        """What `read` makes of it; None of null."""
        return None if self.held is None else read(self)

    def read(self, parse: Callable[[str], T]) -> T:
        """What `parse` makes of the text; its errors point here. Raises InvalidConfig."""
        text = self.text()
        try:
            return parse(text)
        except InputError as error:
            wanted = None if error.wanted is None else str(error.wanted)
            raise self.wrong(error.what, wanted=wanted, got=self.held) from error

    def _of_kind(self, wanted: str) -> InvalidConfig:
        return self.wrong("of another kind", wanted=wanted, got="nothing" if self.held is None else repr(self.held))
