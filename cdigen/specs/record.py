"""The facts behind the specs that were written last, kept as a snapshot, so that it can be told what changed since."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from cdigen.catalog.modes import GPU_MODES, MODES
from cdigen.cdi.render import render_yaml
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import FileError, UsageError, one_line
from cdigen.host.recording import RecordingHost
from cdigen.records import Record
from cdigen.specs.header import RECORD, output_of, record_header
from cdigen.specs.outcome import Outcome, failed
from cdigen.wording import count
from cdigen.write import read_head, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdigen.discover.gpus import AskNvml
    from cdigen.session.session import Session
    from cdigen.session.target import Target


class Questions(Record):
    """What a host was asked for, so that it can be asked the same again.

    Attributes:
        modes: in their order; of the modes of GPUs only the first asks anything.
        ask_nvml: when NVML was asked.
    """

    modes: tuple[str, ...]
    ask_nvml: AskNvml

    @classmethod
    def of(cls, modes: Iterable[str], ask_nvml: AskNvml) -> Questions:
        """Return what the plans of these modes, made in this order, ask."""
        first, *rest = modes
        asking = ("gpu" if first == "auto" else first, *(mode for mode in rest if mode not in GPU_MODES))
        return cls(modes=asking, ask_nvml=ask_nvml)


def check_record(path: str, output: str, *, snapshot: str | None) -> None:
    """Check that a record can stand at `path`.

    Args:
        path: the file.
        output: the main spec's file; "-" is standard output.
        snapshot: what is read in place of a host.

    Raises:
        UsageError: it cannot, or has no meaning.
    """
    shown = one_line(path)
    if not path:
        raise UsageError("--record: the file has no name", hint=f"name a file such as {RECORD}", code="invalid-value")
    if path == "-":
        raise UsageError(
            "--record cannot write to standard output", hint=f"name a file such as {RECORD}", code="invalid-value"
        )
    if output == "-":
        raise UsageError(
            "--record keeps the facts behind a spec on the disk, and --output - leaves none there",
            hint="record the host with",
            commands=("cdigen snapshot",),
            code="conflicting-options",
        )
    if snapshot is not None:
        raise UsageError(
            "--record keeps the facts of a host, which --snapshot has already",
            hint="use one of them",
            code="conflicting-options",
        )
    place = os.path.realpath(path)
    if any(place == os.path.realpath(output_of(mode, output)) for mode in MODES):
        raise UsageError(
            f"--record {shown}: a spec is written to that file",
            hint=f"name another, such as {RECORD}",
            subject=path,
            code="invalid-value",
        )
    directories = [os.path.realpath(directory) for directory in (os.path.dirname(output) or ".", *DEFAULT_DIRECTORIES)]
    directories.append(os.path.dirname(os.path.realpath(output)))
    if os.path.dirname(place) in directories and place.endswith((".yaml", ".json")):
        raise UsageError(
            f"--record {shown}: engines would take it for a spec there",
            hint=f"name another, such as {RECORD}",
            subject=path,
            code="invalid-value",
        )


class Recorder:
    """Notes what a host is asked while specs are made of it, and keeps that at the end.

    Attributes:
        session: the host, through which everything has to be asked.
    """

    def __init__(self, target: Target, session: Session, path: str) -> None:
        """Record what is asked of `session`, the host of `target`, in the file at `path`."""
        self._recording = RecordingHost(session.host)
        self._path = path
        self._ask_nvml = target.ask_nvml
        self.session = session.through(self._recording)

    def keep(self, specs: Mapping[str, bytes], modes: Iterable[str], *, changed: bool) -> Outcome:
        """Write the record, unless one stands that belongs to the specs and none of them has changed.

        Whether it belongs to them, its head tells: it has their digests. So a run that ended between the specs and the
        record is made good by the next one, and nothing more is read or made where nothing is to be done.

        Args:
            specs: the bytes of the specs that stand now, by path, the main one first.
            modes: those that were planned, in their order.
            changed: whether one of them was written or removed now.
        """
        paths = [one_line(os.path.abspath(path)) for path in specs]
        digests = [sha256(data).hexdigest() for data in specs.values()]
        questions = Questions.of(modes, self._ask_nvml)
        document = self._recording.to_document(
            driver_root=self.session.driver_root,
            dev_root=self.session.dev_root,
            platform=self.session.platform,
            generated={
                "modes": list(questions.modes),
                "nvml": questions.ask_nvml,
                "specs": dict(zip(paths, digests, strict=True)),
            },
        )
        header = record_header(paths)
        head = render_yaml({**document, "entries": {}}, header, compact=True).removesuffix(b" {}\n") + b"\n"
        written = False
        if changed or read_head(self._path, len(head)) != head:
            try:
                written = write_file(self._path, render_yaml(document, header, compact=True))
            except FileError as error:
                return failed(self._path, error)
        return Outcome(
            path=self._path,
            state="wrote" if written else "unchanged",
            message=f"{'wrote' if written else 'unchanged:'} {one_line(self._path)}: the facts behind"
            f" {count(len(paths), 'spec')}",
        )


def questions_of(generated: Mapping[str, object] | None) -> Questions | None:
    """Return what was asked for the record that has this field; None if it is none, or one of another version."""
    if generated is None or not set(modes := cast("list[str]", generated["modes"])) <= set(MODES):
        return None
    return Questions.of(modes, cast("AskNvml", generated["nvml"]))
