"""Source code and settings files, as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import looks_like_text, read_text
from backend.models.documents import PageText

LANGUAGES = (
    "py pyi pyx js mjs cjs jsx ts mts cts tsx vue svelte java kt kts scala groovy gradle c h cc cpp cxx hh hpp hxx ino "
    "m mm cs fs fsx vb go rs rb erb php pl pm lua r jl dart swift zig nim d hs elm ml mli clj cljs ex exs erl lisp scm "
    "el pas f f90 f95 asm s sol proto thrift graphql gql v sv vhd vhdl tcl awk sed"
)
SCRIPTS = "sh bash zsh fish ps1 psm1 bat cmd sql ddl mk cmake dockerfile nix tf hcl bzl"
SETTINGS = "yaml yml toml ini cfg conf properties env editorconfig service"
MARKUP = "xml xsd xsl xslt svg css scss sass less plist wsdl kml gpx diff patch"

NAMES = (
    "dockerfile containerfile makefile gnumakefile jenkinsfile vagrantfile procfile rakefile gemfile "
    "justfile caddyfile build workspace .gitignore .dockerignore .editorconfig .env license readme changelog authors "
    "copying notice todo"
)
"""Files without an extension, in lower case."""


class CodeLoader:
    name = "code"
    extensions = tuple(f".{each}" for each in f"{LANGUAGES} {SCRIPTS} {SETTINGS} {MARKUP}".split())
    filenames = tuple(NAMES.split())
    content_type = "text/plain"

    def accepts(self, head: bytes, extension: str) -> bool:
        """Some of its files are known by their whole name and have no extension."""
        return (not extension or extension in self.extensions) and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        yield PageText(None, read_text(path), form="code")


LOADER = CodeLoader()
