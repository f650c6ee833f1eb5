"""GoTemplate: of Go's text/template what regsync's files mostly use, taken over exactly; all else is refused.

`{{env "NAME"}}` and `{{file "PATH"}}` are functions of regclient (pkg/template), `{{.Ref.Tag}}` and `{{.Sync.Source}}`
fields that regsync gives.
"""

import re
from collections.abc import Mapping

from puller.errors import InvalidConfig
from puller.mirror.config import Pointer
from puller.mirror.yamlfile import Value

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_CALL = re.compile(r'(?P<function>env|file)\s+(?:"(?P<quoted>[^"\\]+)"|`(?P<raw>[^`]+)`)')


def expand(value: Value, environment: Mapping[str, str], fields: Mapping[str, str] | None = None) -> str:
    """The text with variables and `fields` (as in `.Ref.Tag`) put in. Raises InvalidConfig, also for a variable that
    is not set or empty.
    """
    return "".join(
        part if place % 2 == 0 else _said(value, part.strip(), environment, fields or {})
        for place, part in enumerate(_parts(value))
    )


def pointer(value: Value, *, secret: bool) -> Pointer:
    """Where a user name, or a secret, is; a secret that stands there itself is refused. Raises InvalidConfig."""
    parts = _parts(value)
    if len(parts) == 1 and not secret:
        return Pointer("text", value.text())
    match = _CALL.fullmatch(parts[1].strip()) if len(parts) == 3 and not parts[0] and not parts[2] else None
    if match is None:
        what = "a secret in the file" if secret and len(parts) == 1 else "a template that cannot be taken over"
        hint = 'Write {{env "NAME"}} or {{file "PATH"}} and nothing else; or log in with `puller login`.'
        raise value.wrong(what, hint=hint)  # without what stands there: it may be the secret
    return Pointer("env" if match["function"] == "env" else "file", match["quoted"] or match["raw"])


def _parts(value: Value) -> list[str]:
    """Text and actions in turn."""
    parts = _ACTION.split(value.text())
    if any("{{" in text for text in parts[::2]):
        raise value.wrong("a template that does not end")
    return parts


def _said(value: Value, action: str, environment: Mapping[str, str], fields: Mapping[str, str]) -> str:
    if action in fields:
        return fields[action]
    match = _CALL.fullmatch(action)
    if match is None or match["function"] != "env":
        raise _refused(value, action, fields)
    name = match["quoted"] or match["raw"]
    if not environment.get(name):
        raise value.wrong("a variable that is not set", got=name)
    return environment[name]


def _refused(value: Value, action: str, fields: Mapping[str, str]) -> InvalidConfig:
    wanted = " or ".join(['{{env "NAME"}}', *(f"{{{{{name}}}}}" for name in fields)])
    return value.wrong("a template that cannot be taken over", wanted=wanted, got=f"{{{{{action[:80]}}}}}")
