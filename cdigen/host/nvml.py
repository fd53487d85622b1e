"""What NVML, the driver's management library, says of this host's GPUs, through the extra `nvml`, nvidia-ml-py.

The library is the driver's, so that it is of the build that the kernel module wants, and all that is asked is asked in
a process of its own (`cdigen.host.child`): NVML talks to hardware that can be lost and to a kernel that can hang.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cdigen.errors import ParseError, one_line
from cdigen.host.child import ChildError, run_in_child
from cdigen.host.host import NVML_NOT_INSTALLED, NvmlError
from cdigen.host.nvml_questions import NoAnswerError, ask_everything
from cdigen.parse.nvml import parse_nvml, render_nvml
from cdigen.parse.nvml_values import MAX_TEXT, parse_name
from cdigen.parse.text import decode_json

if TYPE_CHECKING:
    from types import ModuleType

    from cdigen.parse.nvml import NvmlFacts

SONAME = "libnvidia-ml.so.1"
"""The name by which the bindings load the library."""

_MAX_BYTES = 1 << 20  # 16 GPUs with 7 MIG devices each make some 20 kB


def ask_nvml(library_path: str, timeout: float, *, name: str | None = None) -> NvmlFacts:
    """Ask NVML everything that `NvmlFacts` has.

    Args:
        library_path: where this process finds the driver's libnvidia-ml, a file.
        timeout: seconds to wait for all of it. The first program on an idle machine initialises every GPU, which can
            take a second or two for each.
        name: how messages call the library; by default `library_path`.

    Raises:
        NvmlError: there is no answer; the reason says why.
        OSError: no process can be started to ask in.
    """
    import importlib.util

    if importlib.util.find_spec("pynvml") is None:
        raise NvmlError(
            "nvidia-ml-py is not installed",
            hint="install nvidia-ml-py into cdigen's environment",
            code=NVML_NOT_INSTALLED,
        )
    try:
        data = run_in_child(lambda: _answer(library_path, name or library_path), timeout=timeout, limit=_MAX_BYTES)
        return read_answer(decode_json(data))
    except (ChildError, ParseError) as error:
        raise NvmlError(str(error)) from error


def read_answer(document: object) -> NvmlFacts:
    """Return the facts of an answer: a document of `cdigen.parse.nvml`, or `{failed: reason}`.

    Raises:
        NvmlError: it is the latter; with its reason.
        ParseError: it is neither.
    """
    if isinstance(document, dict) and document.keys() == {"failed"}:
        try:
            reason = parse_name(document["failed"])
        except ParseError as error:
            raise ParseError(f"failed: {error}") from error
        raise NvmlError(reason)
    return parse_nvml(document)


def wake(path: str, timeout: float) -> bool:
    """Open a GPU's device node once, as a program would that uses it; that initialises the GPU.

    With O_NONBLOCK the kernel module initialises it in the background, and the close waits for that and can be
    interrupted; without, the open waits in the kernel where nothing can end it (NVIDIA's open kernel modules,
    kernel-open/nvidia/nv.c, nvidia_open and nvidia_close).

    Args:
        path: the node, e.g. `/dev/nvidia0`.
        timeout: seconds to wait.

    Returns:
        Whether it is a character device and could be opened in time.

    Raises:
        OSError: no process can be started to open it in.
    """
    try:
        return run_in_child(lambda: b"1" if _open_once(path) else b"0", timeout=timeout, limit=1) == b"1"
    except ChildError:
        return False


def _open_once(path: str) -> bool:
    import os
    import stat

    if not stat.S_ISCHR(os.lstat(path).st_mode):  # before as well: to open a FIFO or a disk is not without effect
        return False
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return stat.S_ISCHR(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _answer(library_path: str, name: str) -> bytes:
    """Return the answer as a document; in the child."""
    document: dict[str, object]
    try:
        document = render_nvml(ask_everything(_load(library_path, name)))
    except NoAnswerError as error:
        document = {"failed": _cut(str(error))}
    except Exception as error:
        document = {"failed": _cut(f"{type(error).__name__}: {error}")}
    return json.dumps(document).encode()


def _load(library_path: str, name: str) -> ModuleType:
    """Return the bindings, with the library at `library_path` as the one that they find."""
    import ctypes
    import os

    try:
        import pynvml as bindings
    except Exception as error:  # a broken installation can raise anything
        raise NoAnswerError(f"the module pynvml cannot be imported: {type(error).__name__}: {error}") from error
    try:
        library = ctypes.CDLL(library_path, mode=os.RTLD_NOW | os.RTLD_GLOBAL)
    except OSError as error:
        raise NoAnswerError(str(error).replace(library_path, name)) from error
    # The bindings load the library by its SONAME, and for the linker an object that is loaded answers to that.
    # One of another SONAME would let it search, and find the library of another driver.
    try:
        found = ctypes.CDLL(SONAME, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except OSError:
        found = None
    if found is None or found._handle != library._handle:  # noqa: SLF001 - ctypes documents the attribute
        raise NoAnswerError(f"{name}: its SONAME is not {SONAME}")
    return bindings  # type: ignore[no-any-return]  # it has no annotations


def _cut(text: str) -> str:
    return one_line(text)[:MAX_TEXT] or "no reason given"
