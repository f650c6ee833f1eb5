"""A strict, scriptable OCI registry for tests: `serve()` one, add `images` to it, arm `faults`, read its journal."""

from __future__ import annotations

from testregistry import faults, images
from testregistry.answer import Answer, json_answer
from testregistry.app import TestRegistry, serve
from testregistry.auth import Basic, Bearer, Open
from testregistry.body import BytesBody
from testregistry.fault import Match
from testregistry.journal import Journal, Request
from testregistry.manner import Manner
from testregistry.quota import Quota

__all__ = [
    "Answer",
    "Basic",
    "Bearer",
    "BytesBody",
    "Journal",
    "Manner",
    "Match",
    "Open",
    "Quota",
    "Request",
    "TestRegistry",
    "faults",
    "images",
    "json_answer",
    "serve",
]
