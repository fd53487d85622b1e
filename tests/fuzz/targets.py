"""The readers of bytes that others wrote, each with the errors that it may raise and the work that it may do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cdigen.errors import CdigenError, DocumentError, ParseError
from cdigen.host import LinkError
from cdigen.parse.capabilities import parse_capability_access, parse_capability_minors
from cdigen.parse.filelist import parse_filelist
from cdigen.parse.icd import parse_icd_json, parse_icd_text
from cdigen.parse.jetson_csv import parse_jetson_csv
from cdigen.parse.ldcache import parse_ldcache
from cdigen.parse.params import parse_device_file_parameters
from cdigen.parse.procfs import parse_gpu_information, parse_module_version, parse_nvidia_version, parse_proc_devices
from cdigen.watch.status import parse_status
from tests.fuzz import documents, hosts, images, seeds
from tests.fuzz.properties import check_line
from tests.work import TooMuchWorkError, calls_of, peak_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Errors = tuple[type[Exception], ...]


def no_seeds() -> Iterator[bytes]:
    """Return nothing: all of a target's inputs are its own."""
    yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader of bytes.

    Attributes:
        name: of it, and of its directories in `corpus/` and `cases/`.
        read: takes any bytes, and asserts what must hold of the answer.
        raises: the errors that say why bytes are not what they should be.
        modules: those of the program that it is for; its inputs reach them.
        borrowed: inputs from other places than `corpus/`.
        calls: the most calls of functions: without a byte, and for each byte of the input.
        memory: the most bytes that are held at once, likewise.
    """

    name: str
    read: Callable[[bytes], object]
    raises: Errors = (ParseError,)
    modules: tuple[str, ...]
    borrowed: Callable[[], Iterator[bytes]] = no_seeds
    calls: tuple[int, int] = (2_000, 50)
    memory: tuple[int, int] = (256 << 10, 500)

    def seeds(self) -> Iterator[tuple[str, bytes]]:
        """Return all inputs that are kept, each with a name."""
        for directory in (seeds.CORPUS, seeds.FOUND):
            for path in seeds.files_of(directory, self.name):
                yield f"{directory.name}/{path.name}", path.read_bytes()
        for number, data in enumerate(self.borrowed()):
            yield f"borrowed-{number}", data


def judge(target: Target, data: bytes) -> None:
    """Let a target read an input; what it raises is a finding, but for what it declares.

    Raises:
        Exception: whatever a reader must not raise; AssertionError for a property that does not hold.
    """
    with suppress(*target.raises):
        try:
            target.read(data)
        except CdigenError as error:
            check_line(str(error))
            raise


def find_excess(target: Target, data: bytes) -> str | None:
    """Return what is too much for an input of this size; None if nothing is.

    Raises:
        Exception: as of `judge`.
    """
    judge(target, data)  # once for what is imported, compiled and remembered
    calls = target.calls[0] + target.calls[1] * len(data)
    try:
        calls_of(lambda: judge(target, data), most=calls)
    except TooMuchWorkError:
        return f"more than {calls} calls for {len(data)} bytes"
    memory = target.memory[0] + target.memory[1] * len(data)
    peak = peak_of(lambda: judge(target, data))
    return f"{peak} bytes of memory for {len(data)} bytes, more than {memory}" if peak > memory else None


TARGETS = (
    Target(name="elf", read=documents.elf, modules=("parse.elf",), borrowed=seeds.elves),
    Target(name="ldcache", read=parse_ldcache, modules=("parse.ldcache",)),
    Target(
        name="version",
        read=parse_nvidia_version,
        modules=("parse.procfs", "parse.text"),
        borrowed=lambda: seeds.texts("/proc/driver/nvidia/version"),
    ),
    Target(name="kmsg", read=documents.kmsg, modules=("parse.kmsg",)),
    Target(name="device-plugin", read=documents.device_plugin, modules=("kubernetes.protobuf", "kubernetes.api")),
    Target(name="watch-status", read=parse_status, modules=("watch.status",)),
    Target(name="module-version", read=parse_module_version, modules=("parse.procfs",)),
    Target(
        name="gpu-information",
        read=parse_gpu_information,
        modules=("parse.procfs",),
        borrowed=lambda: seeds.texts("/proc/driver/nvidia/gpus/.*/information"),
    ),
    Target(
        name="proc-devices",
        read=parse_proc_devices,
        modules=("parse.procfs",),
        borrowed=lambda: seeds.texts("/proc/devices"),
    ),
    Target(name="params", read=parse_device_file_parameters, modules=("parse.params",)),
    Target(
        name="capability",
        read=parse_capability_access,
        modules=("parse.capabilities",),
        borrowed=lambda: seeds.texts("/proc/driver/nvidia/capabilities/.*"),
    ),
    Target(name="capability-minors", read=parse_capability_minors, modules=("parse.capabilities",)),
    Target(name="filelist", read=parse_filelist, modules=("parse.filelist", "parse.json_document")),
    Target(name="jetson-csv", read=parse_jetson_csv, modules=("parse.jetson_csv",)),
    Target(
        name="icd-text",
        read=parse_icd_text,
        modules=("parse.icd",),
        borrowed=lambda: seeds.texts(".*[.]icd"),
    ),
    Target(
        name="icd-json",
        read=parse_icd_json,
        modules=("parse.icd", "parse.json_document"),
        borrowed=lambda: seeds.texts("/(?:usr|etc)/.*[.]json"),
    ),
    Target(name="nvml", read=documents.nvml, modules=("parse.nvml", "parse.nvml_values")),
    Target(name="nvml-value", read=documents.nvml_value, raises=(), modules=("parse.nvml_values",)),
    Target(
        name="yaml",
        calls=(5_000, 150),
        read=documents.yaml,
        modules=("parse.document", "parse.limits", "parse.yaml_document", "cdi.render"),
        borrowed=seeds.engine_documents,
    ),
    Target(
        name="json",
        read=documents.json,
        modules=("parse.document", "parse.json_document", "cdi.render"),
        borrowed=lambda: seeds.texts("/(?:usr|etc)/.*[.]json"),
    ),
    Target(
        name="engine-document",
        calls=(5_000, 150),
        read=documents.engine_document,
        modules=("parse.engine_document",),
        borrowed=seeds.engine_documents,
    ),
    Target(
        name="validate",
        calls=(20_000, 300),
        memory=(1 << 20, 2_000),
        read=documents.validate,
        modules=("cdi.validate", "schema", "cdi.version", "cdi.values"),
        borrowed=seeds.specs,
    ),
    Target(
        name="spec",
        calls=(5_000, 150),
        read=documents.spec,
        modules=("specs.reading", "cdi.engine_form"),
        borrowed=seeds.engine_documents,
    ),
    Target(
        name="registry",
        calls=(10_000, 150),
        read=documents.registry,
        raises=(DocumentError,),
        modules=("cdi.registry", "oci.edits", "oci.devices"),
        borrowed=seeds.specs,
    ),
    Target(
        name="oci-config",
        calls=(5_000, 100),
        read=documents.oci_config,
        modules=("oci.config", "oci.edits", "oci.devices"),
    ),
    Target(name="header", read=documents.header, modules=("specs.header", "plan.header_options", "plan.options")),
    Target(name="duration", read=documents.duration, raises=(click.BadParameter,), modules=("options.duration",)),
    Target(
        name="snapshot",
        calls=(50_000, 300),
        memory=(2 << 20, 2_000),
        read=hosts.snapshot,
        raises=(DocumentError,),
        modules=("host.snapshot", "host.recording", "discover.scan", "plan.plan", "schema"),
        borrowed=seeds.snapshots,
    ),
    Target(
        name="verbs",
        calls=(100_000, 500),
        memory=(18 << 20, 2_000),
        read=hosts.verbs,
        raises=(),
        modules=("verbs.explain", "verbs.list", "verbs.nodes", "doctor.checks"),
        borrowed=seeds.snapshots,
    ),
    Target(
        name="engines",
        calls=(20_000, 200),
        read=hosts.engines,
        raises=(),
        modules=("engines.config", "engines.engines"),
    ),
    Target(
        name="host-texts",
        calls=(10_000, 200),
        read=hosts.host_texts,
        raises=(),
        modules=("doctor.kernel", "doctor.nodes", "doctor.pci", "doctor.selinux", "nodes.expected"),
    ),
    Target(name="units", read=hosts.units, raises=(), modules=("doctor.units",)),
    Target(name="links", calls=(2_000, 200), read=hosts.links, raises=(LinkError,), modules=("host.view",)),
    Target(name="tar", read=images.tar, modules=("image.tar", "image.stream")),
    Target(
        name="image",
        read=images.image,
        raises=(DocumentError,),
        modules=("image.open", "image.store", "image.layer", "image.tree", "image.stream", "image.rules"),
    ),
    Target(name="manifest", read=images.manifest, modules=("image.manifest", "image.store")),
    Target(
        name="layers",
        read=images.layers,
        modules=("image.tree", "image.layer", "image.rules", "image.search"),
        calls=(20_000, 100),  # each of some fifty directories that are looked at can be a cycle of forty links
    ),
)
