"""The images to build: the full set that figures are taken with, and a small one that tests can afford.

Versions are fixed so that figures of different days compare; Debian's own packages follow its stable release.
"""

from bench.layer import LayerRecipe
from bench.layout import ImageRecipe, Platform, Recipe
from bench.tree import Debian, Debs, Library, Npm, Tree, Wheels

BASE = Debian()
COMPILER = Debs(("gcc-12", "g++-12"))
GO_SOURCE = Debs(("golang-1.19-src",))
BOOST = Debs(("libboost1.74-dev",))
DEVELOPMENT = Debs(("gcc-12", "g++-12", "golang-1.19-src", "libboost1.74-dev"))
SCIENCE = Wheels("science", ("numpy==2.4.6", "scipy==1.17.1", "pandas==3.1.1", "scikit-learn==1.9.1"))
WEB = Wheels(
    "web",
    (
        "botocore==1.44.5",
        "django==5.2.19",
        "google-api-python-client==2.202.0",
        "lxml==6.1.3",
        "matplotlib==3.11.2",
        "pillow==13.0.0",
        "sqlalchemy==2.1.9",
        "sympy==1.14.0",
    ),
)
NODE = Npm(
    (
        "@babel/core@7.29.13",
        "@babel/preset-env@7.29.14",
        "@mui/material@9.5.0",
        "aws-sdk@2.1693.0",
        "core-js@3.51.0",
        "date-fns@4.4.0",
        "eslint@10.15.0",
        "lodash@4.18.1",
        "next@16.4.6",
        "react@19.3.1",
        "react-dom@19.3.1",
        "rxjs@7.8.2",
        "typescript@7.0.2",
        "webpack@5.112.2",
    )
)

ARM64 = Platform("arm64", "v8")
ARMV7 = Platform("arm", "v7")


def recipes(set_name: str) -> tuple[Recipe, ...]:
    """The images of `full` or `ci`, under the same names: small, medium, many, zstd, index."""
    return {"full": _full, "ci": _ci}[set_name]()


def _full() -> tuple[Recipe, ...]:
    return (
        _image("small", BASE),
        _image("medium", BASE, DEVELOPMENT, SCIENCE, WEB, NODE),
        _many(NODE),
        _image("zstd", BASE, DEVELOPMENT, SCIENCE, compression="zstd"),
        _index(BASE, Debian(architecture="arm64"), Debian(architecture="armhf")),
    )


def _ci() -> tuple[Recipe, ...]:
    library = Library()
    return (
        _image("small", BASE),
        _image("medium", BASE, COMPILER, GO_SOURCE, BOOST, library),
        _many(library),
        _image("zstd", COMPILER, library, compression="zstd"),
        # Any real files do where nothing is run: what is under test is the choice of platform.
        _index(BASE, GO_SOURCE, library),
    )


def _image(name: str, *trees: Tree, compression: str = "gzip") -> Recipe:
    return Recipe(name, (ImageRecipe(tuple(LayerRecipe(tree, compression) for tree in trees)),))


def _many(tree: Tree) -> Recipe:
    parts = tuple(LayerRecipe(tree, part=number, parts=39) for number in range(39))
    return Recipe("many", (ImageRecipe((LayerRecipe(BASE), *parts)),))


def _index(amd64: Tree, arm64: Tree, armv7: Tree) -> Recipe:
    platforms = ((Platform(), amd64), (ARM64, arm64), (ARMV7, armv7))
    return Recipe("index", tuple(ImageRecipe((LayerRecipe(tree),), platform) for platform, tree in platforms))
