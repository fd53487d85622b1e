"""A path that a user names to an image."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from cdigen.errors import DocumentError, FileError, ParseError, one_line
from cdigen.image.content import Keeper
from cdigen.image.directory import read_directory
from cdigen.image.image import DIRECTORY, Form, Image, Layer
from cdigen.image.layer import LayerReader
from cdigen.image.manifest import find_docker_pieces, find_oci_pieces
from cdigen.image.store import ArchiveStore, DirectoryStore
from cdigen.image.stream import Budget, decompress
from cdigen.image.tree import Tree

if TYPE_CHECKING:
    from cdigen.image.manifest import Pieces
    from cdigen.image.store import Store

_FORMS = "a root directory, an OCI layout, or an archive saved by podman, docker, buildah or skopeo"


_IMAGE_NAME = re.compile(
    r"[a-z0-9][a-z0-9._-]*(?::[0-9]+)?(?:/[a-z0-9._-]+)*(?::[A-Za-z0-9_.-]+)?(?:@sha256:[0-9a-f]{64})?"
)
"""What engines take for the name of an image, such as docker.io/library/debian:12."""

_ARCHIVE_SUFFIXES = (".tar", ".tgz", ".gz", ".zst")


def open_image(path: str) -> Image:
    """Return the image at `path`.

    Args:
        path: a root directory, an OCI layout, or an archive of an image; see `Form`.

    Raises:
        FileError: it, or something in it, cannot be read.
        DocumentError: it is no image, or damaged, truncated or beyond the limits.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            budget = Budget()
            store = DirectoryStore(path, budget)
            try:
                if store.size("oci-layout") is None or store.size("index.json") is None:
                    return _open_root(path)
                return _merge(store, find_oci_pieces(store), "OCI layout", budget)
            finally:
                store.close()
        if not stat.S_ISREG(mode):
            raise DocumentError(
                f"{one_line(path)}: neither a directory nor a regular file",
                hint=f"name {_FORMS}",
                subject=path,
                code="not-an-image",
            )
        return _open_archive(path)
    except ParseError as error:
        raise DocumentError(
            f"{one_line(path)}: {error.message}",
            hint=error.remedy.hint or f"name {_FORMS}",
            subject=path,
            code="invalid-image",
        ) from error
    except FileNotFoundError as error:
        if error.filename == path and _IMAGE_NAME.fullmatch(path) and not path.endswith(_ARCHIVE_SUFFIXES):
            raise FileError(
                f"cannot read {path}: {error.strerror}",
                hint="if it is the name of an image, save that to a file first",
                commands=(f"podman save --output image.tar {path}", "cdigen lint-image image.tar"),
                subject=path,
                code="no-such-image-file",
            ) from error
        raise _unreadable(path, error) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError | ValueError) -> FileError:
    reason = error.strerror if isinstance(error, OSError) else "a NUL character in the path"
    place = str(getattr(error, "filename", None) or path)
    return FileError(
        f"cannot read {one_line(place)}: {reason}",
        hint="name an image that you may read",
        subject=place,
        code="cannot-read",
    )


def _open_root(path: str) -> Image:
    tree = Tree()
    tree.apply(read_directory(path, Keeper()), 0, has_whiteouts=False)
    return Image(form="directory", tree=tree, layers=(Layer(name=DIRECTORY),), env={})


def _open_archive(path: str) -> Image:
    budget = Budget()
    with open(path, "rb") as file:
        store = ArchiveStore(file, budget)
        if store.size("manifest.json") is not None:
            return _merge(store, find_docker_pieces(store), "docker archive", budget)
        if store.size("index.json") is not None:
            return _merge(store, find_oci_pieces(store), "OCI archive", budget)
    raise ParseError("a tar archive with neither manifest.json nor index.json, so not an image")


def _merge(store: Store, pieces: Pieces, form: Form, budget: Budget) -> Image:
    reader = LayerReader(Keeper())
    changes = {}
    # Read in the order in which they lie there, applied in the image's.
    for name in sorted(set(pieces.names), key=store.place):
        try:
            changes[name] = reader.read(decompress(store.open(name), budget))
        except ParseError as error:
            raise ParseError(f"layer {one_line(name)}: {error}") from error
    tree = Tree()
    for position, name in enumerate(pieces.names):
        try:
            tree.apply(changes[name], position)
        except ParseError as error:
            raise ParseError(f"layer {one_line(name)}: {error}") from error
    return Image(form=form, tree=tree, layers=pieces.layers, env=pieces.env)
