"""Images from every place that they are kept in, and what is no image."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from typing import TYPE_CHECKING

import pytest

from cdigen.errors import CdigenError, DocumentError, FileError, ParseError
from cdigen.image import Image, Layer, open_image
from cdigen.image.content import Keeper
from cdigen.image.directory import read_directory
from cdigen.image.layer import LayerReader
from cdigen.image.store import DirectoryStore
from cdigen.image.stream import Budget, FileStream, GzipStream
from tests.image.archives import config, digest, docker_pieces, layer, oci_pieces
from tests.work import calls_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdigen.image.image import Form

LAYERS = (
    layer(
        {
            "./": None,
            "./etc/": None,
            "etc/ld.so.cache": b"old",
            "usr/lib/x": b"1",
            "usr/lib/gone": b"2",
            "lib": "usr/lib",
        }
    ),
    layer({"usr/lib/.wh.gone": b"", "/usr/lib/y": "x", "usr/lib/hard": "hard:./usr/lib/x", "etc/ld.so.cache": b"new"}),
)
MERGED = {
    "/etc": ("dir", 0),
    "/etc/ld.so.cache": ("file", 1),
    "/lib": ("link", 0),
    "/usr": ("dir", 0),
    "/usr/lib": ("dir", 0),
    "/usr/lib/hard": ("file", 1),
    "/usr/lib/x": ("file", 0),
    "/usr/lib/y": ("link", 1),
}
ADVICE = "name a root directory, an OCI layout, or an archive saved by podman, docker, buildah or skopeo"


def write_files(place: Path, files: Mapping[str, bytes | str | None]) -> Path:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            path.symlink_to(content)
        else:
            path.mkdir(exist_ok=True)
    return place


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def merged(image: Image) -> dict[str, tuple[str, int]]:
    return {path: (node.kind, node.layer) for path, node in image.tree.walk()}


def check(image: Image, form: Form, names: list[str]) -> None:
    assert merged(image) == MERGED
    assert image.tree.read("/etc/ld.so.cache") == b"new"
    assert image.form == form
    assert image.layers == tuple(Layer(name=name, created_by=f"RUN step {n}") for n, name in enumerate(names))
    assert image.env == {"A": "b=c"}


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_archive_of_docker_is_merged(squeeze: type[bytes], tmp_path: Path) -> None:
    image = open_image(str(write(tmp_path / "x", squeeze(layer(docker_pieces(LAYERS, ["A=b=c"]))))))
    check(image, "docker archive", [digest(data) for data in LAYERS])


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("compressed", [True, False])
def test_an_archive_of_oci_is_merged(squeeze: type[bytes], compressed: bool, tmp_path: Path) -> None:
    pieces = layer(oci_pieces(LAYERS, ["A=b=c"], compressed=compressed))
    image = open_image(str(write(tmp_path / "x", squeeze(pieces))))
    names = [digest(gzip.compress(data, mtime=0) if compressed else data) for data in LAYERS]
    check(image, "OCI archive", names)


def test_a_layout_of_oci_is_merged(tmp_path: Path) -> None:
    image = open_image(str(write_files(tmp_path, oci_pieces(LAYERS, ["A=b=c"]))))
    check(image, "OCI layout", [digest(gzip.compress(data, mtime=0)) for data in LAYERS])


def test_layers_in_any_order_of_the_archive_are_applied_in_the_manifests(tmp_path: Path) -> None:
    pieces = dict(reversed(docker_pieces(LAYERS, ["A=b=c"]).items()))
    for data in (layer(pieces), gzip.compress(layer(pieces))):
        check(open_image(str(write(tmp_path / "x", data))), "docker archive", [digest(data) for data in LAYERS])


def test_a_layer_that_is_a_link_to_one_that_was_written_already_is_that_one(tmp_path: Path) -> None:
    pieces = docker_pieces([LAYERS[0], LAYERS[0]]) | {"1/layer.tar": "../0/layer.tar"}
    image = open_image(str(write(tmp_path / "x", layer(pieces))))
    assert {number for _, number in merged(image).values()} == {0, 1}


def test_a_directory_is_one_layer_and_no_link_is_followed(tmp_path: Path) -> None:
    write_files(tmp_path / "outside", {"secret": b"x"})
    root = write_files(tmp_path / "root", {"etc/ld.so.cache": b"c", "a": "../outside", "b": "/etc", "proc/1/x": b"x"})
    write_files(root, {".wh.b": b"", "etc/.wh..wh..opq": b""})  # a layer's marks mean nothing here
    os.mkfifo(root / "fifo")
    image = open_image(str(root))
    assert merged(image) == {
        "/.wh.b": ("file", 0),
        "/a": ("link", 0),
        "/b": ("link", 0),
        "/etc": ("dir", 0),
        "/etc/.wh..wh..opq": ("file", 0),
        "/etc/ld.so.cache": ("file", 0),
        "/fifo": ("fifo", 0),
        "/proc": ("dir", 0),
    }
    assert (image.form, image.layers, image.env) == ("directory", (Layer(name="directory"),), {})


def test_an_index_of_an_index_and_attestations_lead_to_the_one_image(tmp_path: Path) -> None:
    pieces = oci_pieces(LAYERS, ["A=b=c"])
    inner = pieces["index.json"]
    assert isinstance(inner, bytes)
    attestation = {"digest": "sha256:00", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    outer = {"manifests": [attestation, {"digest": digest(inner)}, {"digest": digest(inner)}]}
    pieces |= {"index.json": json.dumps(outer).encode(), f"blobs/sha256/{digest(inner)[7:]}": inner}
    check(open_image(str(write(tmp_path / "x", layer(pieces)))), "OCI archive", [
        digest(gzip.compress(data, mtime=0)) for data in LAYERS
    ])  # fmt: skip


# --- what is no image ---


def error(path: Path, kind: type[CdigenError] = DocumentError) -> str:
    with pytest.raises(kind) as caught:
        open_image(str(path))
    return str(caught.value).replace(str(path), "IMAGE")


def error_of(tmp_path: Path, pieces: Mapping[str, bytes | str | None]) -> str:
    return error(write(tmp_path / "x", layer(pieces))).removesuffix(f"; {ADVICE}").removeprefix("IMAGE: ")


def test_what_is_not_there_or_no_file_is_said(tmp_path: Path) -> None:
    assert error(tmp_path / "x", FileError) == (
        "cannot read IMAGE: No such file or directory; name an image that you may read"
    )
    os.mkfifo(tmp_path / "fifo")
    assert error(tmp_path / "fifo") == f"IMAGE: neither a directory nor a regular file; {ADVICE}"
    assert error(write(tmp_path / "text", b"hello")) == f"IMAGE: not a tar archive; {ADVICE}"
    assert error(write(tmp_path / "nothing", b"")) == (
        f"IMAGE: a tar archive with neither manifest.json nor index.json, so not an image; {ADVICE}"
    )


MANIFEST = "manifest.json"
IN_LAYER = "layer 0/layer.tar"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({MANIFEST: b"{"}, "manifest.json: line 1, column 2: expecting property name enclosed in double quotes"),
        ({MANIFEST: b"{}"}, "manifest.json is not a JSON array"),
        ({MANIFEST: b"[]"}, "0 images in manifest.json; save one at a time"),
        ({MANIFEST: b"[1]"}, "manifest.json, [0] is not a JSON object"),
        ({MANIFEST: b"[{}]"}, "manifest.json, Config is not a string"),
        ({MANIFEST: b'[{"Config": "../c"}]'}, "the name '../c', which leads out of the image"),
        ({MANIFEST: b'[{"Config": "c"}]'}, "c is missing"),
        ({MANIFEST: b'[{"Config": "config.json", "Layers": [1]}]'}, "manifest.json, a layer is not a string"),
        ({MANIFEST: b'[{"Config": "config.json", "Layers": ["l\\n"]}]'}, "the layer l\\n is missing"),
        ({"0/layer.tar": b"x" * 600}, "layer 0/layer.tar: not a tar archive"),
        ({"0/layer.tar": LAYERS[0][:1500]}, "layer 0/layer.tar: truncated"),
        ({"0/layer.tar": gzip.compress(LAYERS[0])[:-20]}, "layer 0/layer.tar: truncated"),
        ({"0/layer.tar": layer({"a/../../b": b""})}, f"{IN_LAYER}: the name 'a/../../b', which leads out of the image"),
        ({"0/layer.tar": layer({"a/.wh...": b""})}, f"{IN_LAYER}: the name 'a/.wh...', which leads out of the image"),
        (
            {"0/layer.tar": layer({"a": b"", "b": "hard:../a"})},
            f"{IN_LAYER}: the name '../a', which leads out of the image",
        ),
        ({"0/layer.tar": layer({"a": "hard:b"})}, "layer 0/layer.tar: /a is a hard link to nothing, /b"),
        ({"0/layer.tar": layer({"a/" * 201: None})}, "layer 0/layer.tar: directories more than 200 levels deep"),
    ],
    ids=range(17),
)
def test_damage_of_an_archive_of_docker_is_one_line(changes: dict[str, bytes], expected: str, tmp_path: Path) -> None:
    assert error_of(tmp_path, docker_pieces(LAYERS[:1]) | changes) == expected


def test_damage_of_a_layout_of_oci_is_one_line(tmp_path: Path) -> None:
    good = oci_pieces(LAYERS[:1])
    blob = f"blobs/sha256/{digest(gzip.compress(LAYERS[0], mtime=0))[7:]}"
    data = good[blob]
    assert isinstance(data, bytes)
    size = len(data)
    assert error_of(tmp_path, good | {blob: data[:-9]}) == f"{blob} has {size - 9} bytes, the manifest says {size}"
    assert error_of(tmp_path, {k: v for k, v in good.items() if k != blob}) == f"the layer {blob} is missing"
    for index, expected in (
        (b"[]", "index.json is not a JSON object"),
        (b"{}", "index.json, manifests is not a JSON array"),
        (b'{"manifests": []}', "0 images in index.json; save one of them, for one platform"),
        (b'{"manifests": [{"digest": "../../etc/passwd"}]}', "not a digest: ../../etc/passwd"),
        (b'{"manifests": [{"digest": "sha256:00"}]}', "blobs/sha256/00 is missing"),
    ):
        assert error_of(tmp_path, good | {"index.json": index}) == expected


def test_an_index_that_names_itself_ends(tmp_path: Path) -> None:
    index = b'{"manifests": [{"digest": "sha256:00"}]}'
    pieces = {"oci-layout": b"{}", "index.json": index, "blobs/sha256/00": index}
    assert error_of(tmp_path, pieces) == "0 images in index.json; save one of them, for one platform"


def test_too_many_manifests_are_refused(tmp_path: Path) -> None:
    names = [f"blobs/sha256/{number:02x}" for number in range(101)]
    index = {"manifests": [{"digest": f"sha256:{name[13:]}"} for name in names]}
    pieces = {"index.json": json.dumps(index).encode(), **dict.fromkeys(names, b'{"manifests": []}')}
    assert error_of(tmp_path, pieces) == "more than 100 manifests"


def test_a_layer_in_zstd_is_read_or_refused_in_words(tmp_path: Path) -> None:
    pieces = docker_pieces(LAYERS[:1]) | {"0/layer.tar": b"\x28\xb5\x2f\xfd" + b"x" * 20}
    said = error_of(tmp_path, pieces)
    assert said.startswith(
        (
            "layer 0/layer.tar: compressed with zstd, which needs Python 3.14 or later",
            "layer 0/layer.tar: damaged zstd data",
        )
    )


def test_a_truncated_archive_is_one_line_wherever_it_ends(tmp_path: Path) -> None:
    plain = layer(docker_pieces(LAYERS))
    for data in (plain.rstrip(b"\0"), gzip.compress(plain)[:-90]):  # what follows is but the end's padding
        for end in range(1, len(data), max(1, len(data) // 60)):
            said = error(write(tmp_path / "x", data[:end]))
            assert said.startswith("IMAGE: ")
            assert said.endswith(f"; {ADVICE}")
            assert "\n" not in said


def test_a_huge_file_costs_no_memory_and_a_bomb_ends() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = bomb.compress(bytes(1 << 20)) + bomb.flush()
    budget = Budget()
    budget.earn(1 << 30)
    budget.take((128 << 30) - (1 << 19))
    stream = GzipStream(FileStream(io.BytesIO(data)), budget)
    with pytest.raises(ParseError) as caught:
        stream.skip(1 << 20)
    assert str(caught.value) == "more than 128 GiB when decompressed"


def test_the_content_that_is_kept_is_bounded() -> None:
    keeper = Keeper()
    cache, packages = "/etc/ld.so.cache", "/var/lib/dpkg/info"
    assert [keeper.wants(path, 1 << 24) for path in (cache, f"{packages}/libcuda1.list", f"{packages}/bash.list")] == [
        True,
        True,
        False,
    ]
    assert not keeper.wants(cache, (1 << 24) + 1)
    assert keeper.wants(cache, 1 << 24)
    assert keeper.wants(cache, 1 << 24)
    with pytest.raises(ParseError) as caught:
        keeper.wants(cache, 1)
    assert str(caught.value) == "more than 64 MiB of linker caches and package lists"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_entries": 3}, None),
        ({"max_name_bytes": 12}, None),
        ({"max_entries": 2}, "more entries than any image has"),
        ({"max_name_bytes": 11}, "names longer together than those of any image"),
    ],
)
def test_the_entries_and_names_of_all_layers_are_counted_together(limits: dict[str, int], expected: str | None) -> None:
    reader = LayerReader(Keeper(), **limits)
    said = None
    try:
        reader.read(FileStream(io.BytesIO(layer({"abc": b"x", "def": "ghi"}))))
        reader.read(FileStream(io.BytesIO(layer({"jkl": b"x"}))))
    except ParseError as error:
        said = str(error)
    assert said == expected


def test_a_directory_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root" / "/".join("d" * 199)).mkdir(parents=True)
    open_image(str(tmp_path / "root"))
    (tmp_path / "root" / "/".join("d" * 201)).mkdir(parents=True)
    assert error(tmp_path / "root") == f"IMAGE: directories more than 200 levels deep; {ADVICE}"


def test_truncated_gzip_is_no_end() -> None:
    with pytest.raises(ParseError) as caught:
        GzipStream(FileStream(io.BytesIO(gzip.compress(b"one")[:-1])), Budget()).read(100)
    assert str(caught.value) == "truncated"


def test_gzip_of_several_members_is_one_stream() -> None:
    data = gzip.compress(b"one") + gzip.compress(b"") + gzip.compress(b"two") + bytes(100)
    assert GzipStream(FileStream(io.BytesIO(data)), Budget()).read(100) == b"onetwo"


def test_a_file_that_claims_more_than_is_there_is_truncated(tmp_path: Path) -> None:
    big = layer({"etc/ld.so.cache": b"x" * 100})
    claims = bytearray(big)
    claims[124:136] = b"00001000000\0"
    claims[148:156] = b" " * 8
    claims[148:156] = f"{sum(claims[:512]):06o}\0 ".encode()
    assert error_of(tmp_path, docker_pieces([bytes(claims)])) == "layer 0/layer.tar: truncated"


def test_the_configuration_may_say_nothing(tmp_path: Path) -> None:
    pieces = docker_pieces(LAYERS[:1]) | {"config.json": b'{"config": {"Env": [1, "A"]}, "history": [1]}'}
    image = open_image(str(write(tmp_path / "x", layer(pieces))))
    assert (image.layers, image.env) == ((Layer(name="0/layer.tar"),), {"A": ""})
    assert json.loads(config(LAYERS))["history"][0]["empty_layer"]


# --- what was made to cost more than it is worth ---


def test_what_is_compressed_twice_is_refused_by_its_ratio(tmp_path: Path) -> None:
    pieces = docker_pieces(LAYERS[:1]) | {"0/layer.tar": gzip.compress(layer({"zeros": bytes(400 << 20)}))}
    path = write(tmp_path / "x", gzip.compress(layer(pieces)))
    assert path.stat().st_size < 20_000
    assert error(path) == (
        "IMAGE: layer 0/layer.tar: more than 1100 times as large when decompressed, which no image is; " + ADVICE
    )


def test_a_file_of_zeros_in_a_layer_is_as_small_as_gzip_makes_it(tmp_path: Path) -> None:
    layers = [layer({"swap": bytes(400 << 20), "usr/lib/x": b"1"})]
    path = write(tmp_path / "x", layer(oci_pieces(layers)))
    assert path.stat().st_size < 1 << 20
    assert merged(open_image(str(path)))["/swap"] == ("file", 0)


def test_gzip_members_without_content_cost_as_if_they_had_some() -> None:
    empty = gzip.compress(b"") * 100_000
    stream = GzipStream(FileStream(io.BytesIO(empty)), Budget())
    with pytest.raises(ParseError) as caught:
        stream.read(1)
    assert str(caught.value) == "more than 1100 times as large when decompressed, which no image is"


def test_many_short_gzip_members_cost_in_proportion() -> None:
    def calls(members: int) -> int:
        data = gzip.compress(b"x" * 100) * members
        stream = GzipStream(FileStream(io.BytesIO(data)), Budget())
        return calls_of(lambda: stream.read(100 * members))

    assert calls(8000) < 9 * calls(1000)
    assert calls(8000) < 8000 * 15


def test_a_layout_is_read_below_its_directory_alone(tmp_path: Path) -> None:
    root = write_files(tmp_path / "root", oci_pieces(LAYERS))
    (root / "blobs").rename(tmp_path / "outside")
    (root / "blobs").symlink_to(tmp_path / "outside")
    (name,) = json.loads((root / "index.json").read_text())["manifests"]
    assert error(root) == f"IMAGE: blobs/sha256/{name['digest'][7:]} is missing; {ADVICE}"


def test_a_piece_that_becomes_a_fifo_is_no_piece(tmp_path: Path) -> None:
    store = DirectoryStore(str(write_files(tmp_path, {"index.json": b"{}"})), Budget())
    assert store.size("index.json") == 2
    (tmp_path / "index.json").unlink()
    os.mkfifo(tmp_path / "index.json")
    assert store.size("index.json") is None
    with pytest.raises(ParseError) as caught:
        store.open("index.json")
    assert str(caught.value) == "index.json is no regular file any more"
    store.close()


def test_the_json_of_an_image_is_bounded_together(tmp_path: Path) -> None:
    names = [f"blobs/sha256/{number:02x}" for number in range(5)]
    index = {"manifests": [{"digest": f"sha256:{name[13:]}"} for name in names]}
    filled = b'{"manifests": []}' + b" " * ((4 << 20) - 17)
    pieces = {"index.json": json.dumps(index).encode(), **dict.fromkeys(names, filled)}
    assert error_of(tmp_path, pieces) == "more than 16 MiB of manifests and configurations"


def become(path: Path, kind: str) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc")
    elif kind == "file":
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "kind"), [("d", "link"), ("d", "file"), ("d", "nothing"), ("etc/ld.so.cache", "fifo")]
)
def test_a_directory_that_changes_while_it_is_read_is_said_and_leads_nowhere(
    name: str, kind: str, tmp_path: Path
) -> None:
    root = write_files(tmp_path / "root", {"d": None, "etc/ld.so.cache": b"x"})

    class Meanwhile(Keeper):
        def wants(self, path: str, size: int) -> bool:
            become(root / name, kind)
            return super().wants(path, size)

    def read() -> None:
        for change in read_directory(str(root), Meanwhile() if "/" in name else Keeper()):
            if change.path == name:
                become(root / name, kind)

    with pytest.raises(FileError) as caught:
        read()
    said = f"{root}/{name} was changed while it was read; lint the image when nothing writes to it"
    assert (str(caught.value), caught.value.exit_code) == (said, 7)


def test_an_archive_whose_manifests_lie_backwards_is_not_read_for_each_at_a_discount(tmp_path: Path) -> None:
    names = [f"blobs/sha256/{number:02x}" for number in range(20)]
    index = {"manifests": [{"digest": f"sha256:{name[13:]}"} for name in reversed(names)]}
    pieces: dict[str, bytes | str | None] = {"zeros": bytes(100 << 20)}
    pieces |= dict.fromkeys(names, b'{"manifests": []}')
    path = write(tmp_path / "x", gzip.compress(layer(pieces | {"index.json": json.dumps(index).encode()})))
    said = "more than 1100 times as large when decompressed, which no image is"
    assert error(path) == f"IMAGE: blobs/sha256/0a: {said}; {ADVICE}"


def test_two_pieces_of_one_name_are_refused_and_two_files_in_a_layer_are_the_last(tmp_path: Path) -> None:
    pieces = docker_pieces(LAYERS[:1])
    again = {f"./{MANIFEST}": pieces[MANIFEST]}
    said = f"two members named {MANIFEST}, and engines may differ in which they take"
    assert error_of(tmp_path, {**pieces, **again}) == said
    image = open_image(str(write(tmp_path / "y", layer(docker_pieces([layer({"a": b"1", "./a": b"22"})])))))
    node = image.tree.node("/a")
    assert node is not None
    assert node.size == 2
