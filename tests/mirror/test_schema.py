"""The published schema of `puller: 1`: it knows the keys that the reader knows, and refuses what that refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from puller.errors import InvalidConfig
from puller.mirror import ourformat
from puller.mirror.ourformat import read
from puller.mirror.yamlfile import load
from tests.mirror.test_ourformat import WHOLE

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "mirror.schema.json").read_text())
DEFINED = SCHEMA["$defs"]
EXAMPLES = [
    text
    for page in sorted(DOCS.glob("*.md"))
    for text in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    if text.startswith("puller: 1")
]


def is_valid(text: str) -> bool:
    return Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text))


def one(keys: str) -> str:
    return f"puller: 1\nmirrors:\n  - {{from: alpine, to: 'oci:/x', {keys}}}\n"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("known", "described"),
    [
        (ourformat.TOP, SCHEMA),
        (ourformat.HOST, DEFINED["registry"]),
        (ourformat.LOGIN, DEFINED["registry"]["properties"]["login"]),
        (ourformat.POINTER, DEFINED["pointer"]),
        (ourformat.MIRROR, DEFINED["mirror"]),
        (ourformat.REPOSITORIES, DEFINED["mirror"]["properties"]["repositories"]),
        (ourformat.TAGS, DEFINED["tags"]),
        (ourformat.PRUNE, DEFINED["prune"]),
    ],
)
def test_the_schema_knows_the_keys_that_the_reader_knows(known: tuple[str, ...], described: dict[str, Any]) -> None:
    assert set(described["properties"]) == set(known)
    assert described["additionalProperties"] is False


def test_every_key_is_described() -> None:
    for owner in (SCHEMA, DEFINED["registry"], DEFINED["mirror"]):
        for name, value in owner["properties"].items():
            assert value.get("description") or DEFINED[value["$ref"].rpartition("/")[2]]["description"], name


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        *EXAMPLES,
        "puller: 1\nmirrors: []",
        "puller: 1\nmirrors: []\njobs: 5\nregistries: {}",
        "puller: 1\nmirrors: []\nregistries: {'[::1]:5000': {insecure: true, rate: 0.5/m, cert-dir: /c}}",
        "puller: 1\nmirrors: []\nregistries: {a.example: {login: {user: john, password: {env: P}}}}",
        "puller: 1\nmirrors: []\nregistries: {a.example: {login: {user: {env: U}, password: {file: /p}}}}",
        "puller: 1\nmirrors: [{from: a.example/*, to: 'b.example/x/*', repositories: {allow: [a.*], deny: b}}]",
        one(f"tags: ['sha256:{'0' * 64}'], as: stable"),
        one("tags: [1.20, latest]"),
        one("tags: {exact: [1.2], allow: x, newest: 3, by: created, max-age: 2w, prereleases: true, suffix: -x}"),
        one("tags: {semver: 1.2 - 1.4}"),
        one("tags: {semver: 1.2}"),
        one("platforms: linux/arm64, index: single"),
        one("platforms: [linux/arm64, amd64], index: rewritten, backup: 'old-{tag}', reserve: 50"),
        one("prune: {enabled: true, keep: 0, max: 5, grace: 12h}"),
        one("prune: {enabled: false, max: 100%}, verify: digest, schedule: every 6h, immutable: '1.*'"),
    ],
)
def test_what_the_reader_takes_the_schema_takes(text: str) -> None:
    read(load(text.encode(), "f"))
    assert is_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        *["[]", "{}", "mirrors: []", "puller: 1", "puller: 2\nmirrors: []", "puller: '1'\nmirrors: []"],
        *["puller: true\nmirrors: []", "puller: 1\nmirrors: {}", "puller: 1\nmirrors: []\njobs: 0"],
        *["puller: 1\nmirrors: []\njobs: many", "puller: 1\nmirrors: []\nmirors: []", "puller: 1\nmirrors: [x]"],
        *[f"puller: 1\nmirrors: []\nregistries: {value}" for value in ("[]", "{'a b': {}}", "{a.example: []}")],
        *[
            f"puller: 1\nmirrors: []\nregistries: {{a.example: {{{keys}}}}}"
            for keys in (
                *("rate: 5", "rate: 0/s", "rate: 0.0/h", "rate: 5/d", "concurrency: 0", "concurrency: 1.5"),
                *("plain-http: 1", "insecure: sure", "cert-dir: []", "tls: off", "login: john"),
                *("login: {user: john}", "login: {password: {env: P}}", "login: {user: john, password: secret}"),
                *("login: {user: john, password: {env: A, file: b}}", "login: {user: john, password: {}}"),
                *("login: {user: [], password: {env: P}}", "login: {user: john, password: {text: x}}"),
                "login: {user: john, password: {env: P}, token: x}",
            )
        ],
        *["puller: 1\nmirrors: [{to: 'oci:/x'}]", "puller: 1\nmirrors: [{from: alpine}]"],
        *["puller: 1\nmirrors: [{from: 'oci:/y', to: 'oci:/x'}]", "puller: 1\nmirrors: [{from: alpine, to: 'oci:'}]"],
        *["puller: 1\nmirrors: [{from: [alpine], to: 'oci:/x'}]", "puller: 1\nmirrors: [{from: '', to: 'oci:/x'}]"],
        *map(
            one,
            (
                *(
                    "refererrs: true",
                    "referrers: 1",
                    "verify: shallow",
                    "immutable: {}",
                    "immutable: [[]]",
                    "tags: latest",
                ),
                *(
                    "tags: [yes]",
                    "tags: [a/b]",
                    "tags: [a:b]",
                    "tags: [[]]",
                    "tags: {only: x}",
                    "tags: {exact: latest}",
                ),
                *("tags: {newest: 0}", "tags: {newest: true}", "tags: {by: created}", "tags: {newest: 1, by: size}"),
                *("tags: {max-age: 3}", "tags: {max-age: 3m}", "tags: {semver: []}", "tags: {semver: }"),
                *("tags: {prereleases: 1}", "tags: {suffix: ''}", "tags: {allow: {}}", "tags: {deny: [true]}"),
                *("platforms: [a/b/c/d]", "platforms: {}", "platforms: [{}]", "index: sparse"),
                *("platforms: arm64, index: whole", "as: x", "tags: [a], as: a/b", "tags: [a], as: ''"),
                *("schedule: {}", "schedule: ''", "schedule: true", "backup: a/b", "backup: '{name}'", "backup: true"),
                *("reserve: -1", "reserve: few", "repositories: [a]", "repositories: {only: a}"),
                *("prune: true", "prune: {enabled: 1}", "prune: {enabled: true, keep: -1}", "prune: {always: true}"),
                *(
                    "prune: {enabled: true, max: 200%}",
                    "prune: {enabled: true, max: -1}",
                    "prune: {enabled: true, max: 5.5}",
                ),
                *("prune: {enabled: true, grace: 3}", "prune: {enabled: true, max: true}"),
            ),
        ),
    ],
)
def test_what_the_reader_refuses_for_its_structure_the_schema_refuses(text: str) -> None:
    with pytest.raises(InvalidConfig):
        read(load(text.encode(), "f"))
    assert not is_valid(text)
