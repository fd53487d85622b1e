"""Which pieces of a store are the layers of its image, in which order, and what the configuration says.

Sources: the OCI image specification (image-layout.md, image-index.md, manifest.md, config.md); for `docker save`,
moby's image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format", which podman writes as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from cdigen.errors import ParseError, one_line
from cdigen.image.image import Layer
from cdigen.image.layer import clean_path
from cdigen.image.limits import MAX_LAYERS
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.image.store import Store

_DIGEST = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]{1,128})")
_MAX_MANIFESTS = 100
_MAX_COMMAND = 200
_MAX_DIGEST = 200

Json = dict[str, object]


class Pieces(Record):
    """What an image is made of.

    Attributes:
        layers: lowest first.
        names: for each layer the piece with its archive.
        env: the environment that the configuration sets.
    """

    layers: tuple[Layer, ...]
    names: tuple[str, ...]
    env: dict[str, str]


def find_docker_pieces(store: Store) -> Pieces:
    """Return the pieces of the image in an archive that `docker save` or `podman save` made.

    Raises:
        ParseError: `manifest.json` or the configuration is damaged, a layer is missing, or there are several images.
    """
    images = _list(store.read_json("manifest.json"), "manifest.json")
    if len(images) != 1:
        raise ParseError(f"{len(images)} images in manifest.json", hint="save one at a time")
    image = _object(images[0], "manifest.json, [0]")
    names = tuple(
        clean_path(_text(name, "manifest.json, a layer"))
        for name in _list(image.get("Layers") or [], "manifest.json, Layers")
    )
    config = _config(store, clean_path(_text(image.get("Config"), "manifest.json, Config")))
    digests = _list(_object(config.get("rootfs") or {}, "rootfs").get("diff_ids") or [], "diff_ids")
    known = digests if len(digests) == len(names) else names
    return _pieces(store, names, [_text(digest, "diff_ids") for digest in known], config)


def find_oci_pieces(store: Store) -> Pieces:
    """Return the pieces of the image in an OCI layout.

    Raises:
        ParseError: an index, the manifest or the configuration is damaged, a layer is missing or not whole, or there
            are several images.
    """
    manifests = _manifests(store, "index.json", set())
    if len(manifests) != 1:
        raise ParseError(f"{len(manifests)} images in index.json", hint="save one of them, for one platform")
    manifest = manifests[0]
    descriptors = [_object(layer, "a layer") for layer in _list(manifest.get("layers") or [], "layers of the manifest")]
    names = tuple(_blob(descriptor) for descriptor in descriptors)
    for name, descriptor in zip(names, descriptors, strict=True):
        size, wanted = store.size(name), descriptor.get("size")
        if size is not None and size != wanted:
            raise ParseError(f"{one_line(name)} has {size} bytes, the manifest says {one_line(str(wanted))[:30]}")
    config = _config(store, _blob(_object(manifest.get("config"), "config of the manifest")))
    return _pieces(store, names, [str(descriptor["digest"]) for descriptor in descriptors], config)


def _manifests(store: Store, name: str, seen: set[str]) -> list[Json]:
    """Return the manifests that an index names, also through other indexes, without attestations.

    Args:
        store: where they are.
        name: the index, or a manifest itself.
        seen: those that were read already, because an image can have several names; more are added.
    """
    seen.add(name)
    if len(seen) > _MAX_MANIFESTS:
        raise ParseError(f"more than {_MAX_MANIFESTS} manifests")
    index = _object(store.read_json(name), name)
    if "layers" in index:
        return [index]
    found: list[Json] = []
    for entry in _list(index.get("manifests"), f"{name}, manifests"):
        descriptor = _object(entry, f"{name}, a manifest")
        annotations = _object(descriptor.get("annotations") or {}, f"{name}, annotations")
        if annotations.get("vnd.docker.reference.type") == "attestation-manifest":
            continue
        blob = _blob(descriptor)
        if blob not in seen:
            found += _manifests(store, blob, seen)
    return found


def _config(store: Store, name: str) -> Json:
    return _object(store.read_json(name), name)


def _pieces(store: Store, names: tuple[str, ...], digests: list[str], config: Json) -> Pieces:
    if len(names) > MAX_LAYERS:
        raise ParseError(f"{len(names)} layers, more than {MAX_LAYERS}")
    for name in names:
        if store.size(name) is None:
            raise ParseError(f"the layer {one_line(name)} is missing")
    commands = _commands(config)
    if len(commands) != len(names):
        commands = [""] * len(names)
    return Pieces(
        layers=tuple(
            Layer(name=one_line(digest[:_MAX_DIGEST]), created_by=command)
            for digest, command in zip(digests, commands, strict=True)
        ),
        names=names,
        env=_env(config),
    )


def _commands(config: Json) -> list[str]:
    """Return the command of each step of the history that made a layer."""
    history = config.get("history")
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    texts = [step.get("created_by") for step in steps if step.get("empty_layer") is not True]
    return [one_line(text[:_MAX_COMMAND]) if isinstance(text, str) else "" for text in texts]


def _env(config: Json) -> dict[str, str]:
    inner = config.get("config")
    entries = inner.get("Env") if isinstance(inner, dict) else None
    texts = [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _blob(descriptor: Json) -> str:
    digest = descriptor.get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise ParseError(f"not a digest: {one_line(str(digest)[:80])}")
    return f"blobs/{match[1]}/{match[2]}"


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise ParseError(f"{one_line(what)} is not a JSON object")
    return cast("Json", value)


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise ParseError(f"{one_line(what)} is not a JSON array")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ParseError(f"{one_line(what)} is not a string")
    return value
