"""cdigen lint-image: driver files in an image that do not belong there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdigen.discover.directories import find_library_directories
from cdigen.discover.driver import KERNEL_VERSIONS, PROC_VERSION, is_version_suffix, read_kernel_module
from cdigen.discover.platform import find_platform
from cdigen.errors import UsageError, one_line
from cdigen.host import UNREADABLE, UNSEEN
from cdigen.image import open_image
from cdigen.image.limits import MAX_FOUND
from cdigen.image.rules import find_driver_files
from cdigen.notes import Notes, reason_of
from cdigen.options.shared import JSON, TARGET_OPTIONS, take_target, with_options
from cdigen.parse.procfs import is_driver_version
from cdigen.report import emit, emit_json, findings_to_json, say_findings
from cdigen.session.target import Target, open_session
from cdigen.wording import count

if TYPE_CHECKING:
    from cdigen.host.views import Views
    from cdigen.image import Image
    from cdigen.image.rules import DriverFile

_OPTION = "--driver-version"


@click.command("lint-image")
@click.argument("path", metavar="DIR|ARCHIVE")
@click.option(
    "--driver-version",
    metavar="VERSION",
    help="Driver version of the host that will run the image, such as 535.309.01.  [default: this host's]",
)
@JSON
@with_options(*TARGET_OPTIONS)
def command(path: str, driver_version: str | None, as_json: bool, **values: Any) -> int:
    """Find driver files in an image. They do not belong there: the host's are mounted into the container.

    The image is a root directory, an OCI layout, or an archive saved by podman, docker, buildah or skopeo; it is not
    unpacked. Exits with 0 if there are none, else with 1.
    """
    target = take_target(values)
    notes = Notes()
    version, source = _find_version(target, driver_version, notes)
    image = open_image(path)
    files = find_driver_files(image, version)
    found = count(len(files), "driver file") if files else "no driver files"
    if len(files) > MAX_FOUND:
        files, found = files[:MAX_FOUND], f"more than {MAX_FOUND} driver files"
        notes.add("note", "more-driver-files", path, f"more than {MAX_FOUND} driver files; the first are listed")
    if as_json:
        emit_json(
            "lint-image",
            {
                "image": path,
                "form": image.form,
                "layers": [{"name": layer.name, "createdBy": layer.created_by} for layer in image.layers],
                "driverVersion": version,
                "driverVersionSource": source,
                "found": [_to_json(file, image) for file in files],
                "findings": findings_to_json(notes.findings),
            },
        )
    else:
        say_findings(notes.findings)
        host = f"a host with driver {version} ({source})" if version else "a host with an unknown driver"
        kept = image.form if image.form == "directory" else f"{image.form}, {count(len(image.layers), 'layer')}"
        emit(
            f"{path} ({kept}): found {found}, for {host}",
            *(line for file in files for line in _to_lines(file, image)),
        )
    return 1 if files else 0


def _to_json(file: DriverFile, image: Image) -> dict[str, object]:
    return {
        "level": file.level,
        "code": file.code,
        "path": one_line(file.path),
        "layer": image.layers[file.layer].name,
        "version": file.version,
        "effect": file.effect,
        "fix": file.fix,
    }


def _to_lines(file: DriverFile, image: Image) -> list[str]:
    layer = image.layers[file.layer]
    made = f", {layer.created_by}" if layer.created_by else ""
    version = f", {file.version}" if file.version else ""
    return [
        "",
        f"{file.path} ({file.code}{version})",
        f"  {file.level:<7}  {file.effect}",
        f"  layer    {layer.name}{made}",
        f"  fix      {file.fix}",
    ]


def _find_version(target: Target, given: str | None, notes: Notes) -> tuple[str | None, str | None]:
    """Return the driver's version of the host that is to run the image, and what told it; None if nothing did."""
    if given is not None:
        if not is_driver_version(given):
            raise UsageError(
                f"{_OPTION} {one_line(given)}: not a driver's version",
                hint="use one such as 535.309.01",
                code="invalid-value",
            )
        if target != Target():
            raise UsageError(
                f"{_OPTION} takes the place of a host and cannot be used together with the options that name one",
                hint="use one of them",
                code="conflicting-options",
            )
        return given, _OPTION
    views = open_session(target).views
    version, source = None, None
    if find_platform(views) == "pci":  # elsewhere a version of these is another driver's
        version, source = _kernel_version(views, notes)
        if version is None:
            version, source = _libcuda_version(views, notes)
    if version is None:
        notes.add(
            "note",
            "driver-unknown",
            "",
            f"the version of the host's driver is unknown: no {PROC_VERSION}, and no single libcuda",
            hint=f"name it with {_OPTION}",
        )
    return version, source


def _kernel_version(views: Views, notes: Notes) -> tuple[str | None, str | None]:
    for path in KERNEL_VERSIONS:
        try:
            module = read_kernel_module(views.system, path)
            if module is not None:
                return module.version, path
        except UNREADABLE as error:
            message = f"{path}: {reason_of(error)}; it does not tell the version of the host's driver"
            notes.add("warning", "unusable-file", path, message)
    return None, None


def _libcuda_version(views: Views, notes: Notes) -> tuple[str | None, str | None]:
    """Return the version that the only libcuda of the host has in its name."""
    found: dict[str, str] = {}
    view = views.driver
    for directory in find_library_directories(view, notes):
        try:
            for name in view.names(directory, ("libcuda.so.",)):
                version = name.removeprefix("libcuda.so.")
                if is_version_suffix(version):
                    found.setdefault(version, one_line(view.host_path(f"{directory}/{name}")))
        except UNSEEN as error:
            place = view.host_path(directory)
            message = f"{one_line(place)}: {reason_of(error)}; skipped its libraries"
            notes.add("warning", "unusable-file", place, message)
    return next(iter(found.items())) if len(found) == 1 else (None, None)
