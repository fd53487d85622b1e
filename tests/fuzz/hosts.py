"""What is done with an input that is a host, or some texts of one; and what must hold of the answer."""

from __future__ import annotations

import contextlib
import io
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.catalog.engines import ENGINES
from cdigen.cdi.model import to_document
from cdigen.cdi.render import render_yaml
from cdigen.cdi.validate import find_violations
from cdigen.doctor.kernel import check_kernel
from cdigen.doctor.nodes import check_nodes
from cdigen.doctor.pci import check_pci
from cdigen.doctor.selinux import check_selinux
from cdigen.doctor.units import check_units
from cdigen.engines.engines import check_engines, find_programs
from cdigen.errors import CdigenError, ParseError
from cdigen.host import View
from cdigen.host.programs import Answer
from cdigen.host.recording import RecordingHost
from cdigen.host.snapshot import SnapshotHost, load_snapshot
from cdigen.image.layer import clean_path
from cdigen.plan.options import BuildOptions
from cdigen.plan.spec import build_spec
from cdigen.run import run
from cdigen.session.context import Context
from cdigen.session.planner import Planner
from cdigen.session.session import Session
from cdigen.session.target import Target
from cdigen.specs.questions import ask_everything

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdigen.diagnosis import Diagnosis


from tests.fuzz.properties import check_line, write_temporary


def snapshot(data: bytes) -> None:
    """Load a snapshot and plan every mode; the record of it loads and gives the same spec and the same record."""
    loaded = load_snapshot(data, "snapshot")
    opened = Session(loaded.host, driver_root=loaded.driver_root, dev_root=loaded.dev_root)
    record = _record_of(opened)
    loaded = load_snapshot(record, "record")
    again = Session(loaded.host, driver_root=loaded.driver_root, dev_root=loaded.dev_root)
    assert _record_of(again) == record
    assert _spec_of(again) == _spec_of(opened)


def verbs(data: bytes) -> None:
    """Let every verb that takes a snapshot show it: no bug, and nothing on the terminal that is not printable."""
    path = write_temporary("snapshot.yaml", data)
    for verb in (("list",), ("explain",), ("nodes",), ("doctor",), ("check",), ("generate", "--output", "-")):
        code, said = _run([*verb, "--snapshot", path])
        assert code in range(8), (verb, code)
        assert code != 6, (verb, said)
        check_line(*said.split("\n"))


def engines(data: bytes) -> None:
    """Read what engines are configured to; the first line is what each says for its version."""
    version, _, config = data.partition(b"\n")
    # One for another: an engine is looked for by each of its programs, and reads the files of `read_config`.
    paths = (
        "/etc/docker/daemon.json",
        "/etc/containers/containers.conf",
        "/etc/containers/containers.conf.d/50.conf",
        "/etc/crio/crio.conf",
        "/etc/nerdctl/nerdctl.toml",
        "/etc/containerd/config.toml",
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    )
    entries = {f"/usr/bin/{program}": _file(b"") for row in ENGINES for program in row.programs[:1]}
    context = _context(entries | {path: _file(config) for path in paths})
    programs = find_programs(context.views.system)
    assert len(programs) == len(ENGINES)
    answer = Answer(output=version.decode(errors="replace"), failure=None)
    lines, _ = check_engines(context, programs, [answer] * len(programs))
    _check_diagnoses(lines)


def host_texts(data: bytes) -> None:
    """Let doctor look at a host whose texts are the parts of the input."""
    parts = data.split(b"\0")
    directories = ("/sys/bus/pci/devices/0000:01:00.0", "/sys/fs/selinux/booleans", "/sys/firmware/efi/efivars")
    entries = {path: _file(parts[number % len(parts)]) for number, path in enumerate(_HOST_TEXTS)}
    entries |= {directory: {"kind": "dir"} for directory in directories}
    entries |= {"/dev/nvidia0": {"kind": "char", "rdev": "195:0", "mode": "0666"}}
    context = _context(entries)
    _check_diagnoses((*check_pci(context), *check_kernel(context), *check_nodes(context), *check_selinux(context)))


def units(data: bytes) -> None:
    """Read what systemctl says of units."""
    context = _context({"/run/systemd/system": {"kind": "dir"}, "/usr/bin/systemctl": _file(b"")})
    answer = Answer(output=data.decode(errors="replace"), failure=None)
    _check_diagnoses(check_units(context, answer, has_ours=True))


def links(data: bytes) -> None:
    """Resolve the path in the first line by the links of the others, a path and, behind `>`, where it leads."""
    first, *others = data.decode(errors="surrogateescape").split("\n")
    entries: dict[str, dict[str, object]] = {}
    for line in others:
        path, arrow, target = line.partition(">")
        with suppress(ParseError):
            path = f"/{clean_path(path)}"
            entries[path] = {"kind": "link", "to": target} if arrow else {"kind": "file", "text": ""}
    View(SnapshotHost(entries)).find(first)


_HOST_TEXTS = (
    "/proc/driver/nvidia/version",
    "/proc/driver/nvidia/params",
    "/proc/devices",
    "/proc/driver/nvidia/gpus/0000:01:00.0/information",
    "/sys/module/nvidia/version",
    "/sys/bus/pci/devices/0000:01:00.0/vendor",
    "/sys/bus/pci/devices/0000:01:00.0/class",
    "/sys/fs/selinux/enforce",
    "/sys/fs/selinux/booleans/container_use_devices",
    "/proc/driver/nvidia-caps/mig-minors",
    "/proc/driver/nvidia/capabilities/gpu0/mig/gi1/access",
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
)


def _record_of(opened: Session) -> bytes:
    recording = RecordingHost(opened.host)
    asked = ask_everything(
        Session(recording, driver_root=opened.driver_root, dev_root=opened.dev_root), ask_nvml="auto"
    )
    return render_yaml(recording.to_document(driver_root=opened.driver_root, dev_root=asked.dev_root), compact=True)


def _spec_of(opened: Session) -> bytes | str:
    """Return the spec that a host gives, or the error for which there is none; one that there is breaks no rule."""
    try:
        planned = Planner(Target(snapshot="-"), session=opened).plan(BuildOptions())
    except CdigenError as error:
        refusal = error
    else:
        document = to_document(build_spec(planned.plan))
        assert find_violations(document, hook_free=True) == ()
        return render_yaml(document)
    assert refusal.exit_code != 6
    check_line(str(refusal))
    return refusal.message


def _run(arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and all that it says. An unexpected exception is raised."""
    buffer = io.BytesIO()
    said = io.TextIOWrapper(buffer, encoding="utf-8", write_through=True)
    before = os.environ.get("CDIGEN_DEBUG")
    os.environ["CDIGEN_DEBUG"] = "1"
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = run(arguments)
    finally:
        os.environ.pop("CDIGEN_DEBUG") if before is None else os.environ.update(CDIGEN_DEBUG=before)
    return code, buffer.getvalue().decode()


def _file(content: bytes) -> dict[str, object]:
    return {"kind": "file", "text": content.decode(errors="replace")}


def _context(entries: Mapping[str, Mapping[str, object]]) -> Context:
    return Context(
        session=Session(SnapshotHost(entries)),
        is_recorded=False,
        runner=lambda _: (),
        ask_nvml="never",
    )


def _check_diagnoses(found: Iterable[Diagnosis]) -> None:
    for one in found:
        check_line(one.subject, one.message, one.remedy.hint, *one.remedy.commands, *one.about)
