"""Driver files that do not belong into an image: which there are, what they do on a host, and the way out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from cdigen.errors import one_line, shell_word
from cdigen.image.content import PACKAGE_LISTS, is_package_list
from cdigen.image.limits import MAX_FOUND
from cdigen.image.names import is_legitimate, is_program, split_library_name
from cdigen.image.search import PROGRAM_DIRECTORY, Search
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.findings import Level
    from cdigen.image.image import Image
    from cdigen.image.tree import Node

Code = Literal["driver-library", "driver-program", "empty-file", "dangling-link", "directory", "linker-cache"]

_TOO_SHORT = "'file too short'"
_SHOWN = 3  # paths of the linker cache that one finding repeats


class DriverFile(Record):
    """Something in an image that belongs to the host's driver.

    Attributes:
        level: "warning" if a container goes wrong, "note" if the host's files win all the same.
        code: what it is; stable, for programs.
        path: where it is.
        layer: the position of its layer in the image's.
        version: the driver's version in its name; None if there is none.
        effect: what happens in a container; one line.
        fix: what to do in the image; one line.
    """

    level: Level
    code: Code
    path: str
    layer: int
    version: str | None
    effect: str
    fix: str


class _Suspect(Record, kw_only=False):
    code: Code
    path: str
    node: Node
    version: str | None = None


def find_driver_files(image: Image, driver_version: str | None) -> tuple[DriverFile, ...]:
    """Return what of the driver is in `image`, sorted by path, what the linker cache has last.

    There are at most `MAX_FOUND` files and one more, which tells that there are more.

    Args:
        image: its merged files.
        driver_version: of the host that runs it; None if it is not known.
    """
    search = Search(image)
    suspects = _find_suspects(image, search, driver_version)
    packages = _find_packages(image, search, {suspect.path for suspect in suspects})
    found = []
    for suspect in suspects:
        level, effect = _judge(suspect, search, driver_version)
        found.append(
            DriverFile(
                level=level,
                code=suspect.code,
                path=suspect.path,
                layer=suspect.node.layer,
                version=suspect.version,
                effect=effect,
                fix=_fix(suspect, packages),
            )
        )
    baked = {suspect.path for suspect in suspects if suspect.code in ("driver-library", "empty-file")}
    return (*found, *_find_cached(image, search, baked))


def _find_suspects(image: Image, search: Search, driver_version: str | None) -> list[_Suspect]:
    found: dict[str, _Suspect] = {}
    others: list[tuple[str, Node, str]] = []
    versions = {driver_version}
    for path, node in image.tree.walk():
        directory, _, name = path.rpartition("/")
        library = split_library_name(name)
        if library is None:
            if is_program(name) and search.is_program_directory(directory) and (code := _code(path, node, search)):
                found[path] = _Suspect("driver-program" if code == "driver-library" else code, path, node)
            continue
        if is_legitimate(path):
            continue
        if not library.is_drivers:
            others.append((path, node, library.suffix))
            continue
        code = _code(path, node, search)
        if code == "driver-library" and not library.suffix:
            continue  # a library to link against: nothing loads it by that name but libcuda's own companions
        if code is not None:
            if len(found) > MAX_FOUND:
                break
            found[path] = _Suspect(code, path, node, library.version)
            if node.kind == "file":
                versions.add(library.version)
    for path, node, suffix in others:
        if len(found) > MAX_FOUND:
            break
        if suffix in versions and node.kind == "file":  # a library that nobody has heard of yet
            found[path] = _Suspect("driver-library" if node.size else "empty-file", path, node, suffix)
    return [found[path] for path in sorted(found)]


def _code(path: str, node: Node, search: Search) -> Code | None:
    """Return what is wrong with a file whose name is the driver's; None for a link that leads to something."""
    if node.kind == "file":
        return "driver-library" if node.size else "empty-file"
    if node.kind == "link":
        return "dangling-link" if search.resolve(path) is None else None
    return "directory" if node.kind == "dir" and search.is_mount_target(path) else None


def _judge(suspect: _Suspect, search: Search, driver_version: str | None) -> tuple[Level, str]:
    """Return how bad it is and what happens."""
    path = suspect.path
    directory = one_line(path.rpartition("/")[0])
    if suspect.code == "directory":
        return "warning", "the container does not start: a file cannot be mounted on a directory"
    if suspect.code == "dangling-link":
        if search.is_mount_target(path):
            return "warning", "crun cannot mount over a dangling link (ENOENT): the container does not start; runc can"
        return "note", "harmless: nothing is mounted there, and the loader ignores it"
    first = search.found_first_by(path)
    is_program = suspect.code == "driver-program"
    mismatch = _mismatch(suspect.version, driver_version)
    if (target := search.mounted_over(path)) is not None:
        way = "" if target == path else f" by way of {one_line(target)}"
        without = f"; without a driver, programs stop with {_TOO_SHORT}" if suspect.code == "empty-file" else ""
        return "note", f"hidden by the host's file, which is mounted over it{way}{without}"
    if suspect.code == "empty-file":
        if first is not None:
            return "warning", f"the loader finds it first ({one_line(first)}) and stops with {_TOO_SHORT}"
        return "note", f"left over from an earlier injection; a program that loads it stops with {_TOO_SHORT}"
    if suspect.version is not None and suspect.version == driver_version and not is_program:
        if first is not None:
            return (
                "note",
                f"works on this host until its driver is upgraded: the loader finds it first ({one_line(first)})",
            )
        return "note", "harmless until the host's driver, which has the same version, is upgraded"
    if first is not None:
        if is_program:
            return (
                "warning",
                f"runs in place of the host's ({one_line(first)}): version mismatch unless both have the same version",
            )
        return "warning", f"the loader finds it first ({one_line(first)}): {mismatch}"
    if is_program:
        return "note", f"runs only by its path; the host's is mounted in {PROGRAM_DIRECTORY}"
    if search.is_mount_directory(path.rpartition("/")[0]):
        return "note", "harmless, but takes space: the names by which programs load it are mounted beside it"
    return "note", f"programs that search {directory} (LD_LIBRARY_PATH, RUNPATH) load it: {mismatch}"


def _mismatch(version: str | None, driver_version: str | None) -> str:
    if driver_version is None:
        return f"version mismatch unless the host's driver is {version or 'the one it was built for'}"
    return f"version mismatch with the host's driver {driver_version}" + (
        "" if version else " unless it has that version"
    )


def _find_packages(image: Image, search: Search, paths: set[str]) -> dict[str, str]:
    """Return which package of dpkg's each of `paths` came in, where that is known."""
    names = {path.rpartition("/")[2] for path in paths}
    packages: dict[str, str] = {}
    seen: set[int] = set()  # hard links to one list are but one
    for list_name in search.names(PACKAGE_LISTS):
        node = image.tree.node(f"{PACKAGE_LISTS}/{list_name}")
        if node is None or node.content is None or not is_package_list(list_name) or id(node.content) in seen:
            continue
        seen.add(id(node.content))
        package = one_line(list_name.removesuffix(".list").partition(":")[0])
        for line in node.content.decode(errors="surrogateescape").splitlines():
            directory, _, name = line.rpartition("/")
            if name in names and (resolved := search.resolve(directory)) is not None:
                packages.setdefault(f"{resolved.rstrip('/')}/{name}", package)
    return packages


def _fix(suspect: _Suspect, packages: dict[str, str]) -> str:
    package = packages.get(suspect.path)
    if package is not None:
        return f"do not install the package {package} in the image"
    quoted = shell_word(suspect.path)
    return f"RUN rm{' -r' if suspect.code == 'directory' else ''} {quoted}, or leave out the step that makes it"


def _find_cached(image: Image, search: Search, baked: set[str]) -> Iterable[DriverFile]:
    """Return what the linker cache says of driver libraries that are not there or should not be."""
    if search.cache_path is None or (node := image.tree.node(search.cache_path)) is None:
        return
    note = partial(
        DriverFile, level="note", code="linker-cache", path=search.cache_path, layer=node.layer, version=None
    )
    if search.cache_error is not None:
        yield note(
            effect=f"{one_line(search.cache_error)}; the loader ignores a cache that it cannot read",
            fix="RUN ldconfig, as the last step",
        )
        return
    missing: dict[str, None] = {}
    stale: dict[str, None] = {}
    for entry in search.cache:
        library = split_library_name(entry.name)
        if library is None or not library.is_drivers or is_legitimate(entry.path):
            continue
        resolved = search.resolve(entry.path)
        if resolved is None:
            missing[entry.path] = None
        elif resolved in baked:
            stale[entry.path] = None
    for paths, what, effect in (
        (missing, "missing", "harmless: the loader goes on to its built-in directories"),
        (stale, "baked in", "the loader goes there for these names; see each file"),
    ):
        if paths:
            some = ", ".join(map(one_line, list(paths)[:_SHOWN]))
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            yield note(
                effect=f"lists driver libraries that are {what} ({some}{more}); {effect}",
                fix="RUN ldconfig, after the driver's files are removed",
            )
