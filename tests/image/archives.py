"""Images as archives, written by Python's tarfile in the forms of `docker save` and of OCI."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIBDIR = "usr/lib/x86_64-linux-gnu"
VERSION = "999.88.77"
OTHER_VERSION = "999.11.22"

Files = "Mapping[str, bytes | str | None]"


def layer(files: Mapping[str, bytes | str | None], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a layer: bytes are a file, text is a link's, None is a directory, "hard:..." is a hard link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                hard = content.startswith("hard:")
                member.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
                member.linkname = content.removeprefix("hard:")
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(layers: Sequence[bytes], env: Sequence[str] = ()) -> bytes:
    history = [{"created_by": "ENV x", "empty_layer": True}]
    history += [{"created_by": f"RUN step {number}"} for number, _ in enumerate(layers)]
    document = {
        "config": {"Env": list(env)},
        "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]},
        "history": history,
    }
    return json.dumps(document).encode()


def docker_pieces(layers: Sequence[bytes], env: Sequence[str] = ()) -> dict[str, bytes | str | None]:
    """Return the members of an archive as `docker save` writes it."""
    names = [f"{number}/layer.tar" for number, _ in enumerate(layers)]
    manifest = [{"Config": "config.json", "RepoTags": ["made-up:latest"], "Layers": names}]
    return {
        **dict(zip(names, layers, strict=True)),
        "config.json": config(layers, env),
        "manifest.json": json.dumps(manifest).encode(),
    }


def oci_pieces(
    layers: Sequence[bytes], env: Sequence[str] = (), *, compressed: bool = True
) -> dict[str, bytes | str | None]:
    """Return the files of an OCI layout."""
    blobs = [gzip.compress(data, mtime=0) if compressed else data for data in layers]
    made = config(layers, env)
    descriptors = [{"digest": digest(blob), "size": len(blob)} for blob in blobs]
    manifest = json.dumps({"config": {"digest": digest(made), "size": len(made)}, "layers": descriptors}).encode()
    index = {"manifests": [{"digest": digest(manifest), "size": len(manifest)}]}
    return {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **{f"blobs/sha256/{digest(blob)[7:]}": blob for blob in (manifest, made, *blobs)},
    }
