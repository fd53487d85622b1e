"""The questions to NVML, through its Python bindings. Each can fail by itself; what failed is noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cdigen.errors import ParseError, one_line
from cdigen.parse.nvml import MAX_GPUS, MAX_MIG_DEVICES, MAX_PROBLEMS, NvmlFacts, NvmlGpu, NvmlMig
from cdigen.parse.nvml_values import (
    MAX_TEXT,
    parse_bus_id,
    parse_compute,
    parse_gpu_uuid,
    parse_memory,
    parse_mig_name,
    parse_mig_uuid,
    parse_name,
    parse_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

T = TypeVar("T")

# nvml.h, nvmlReturn_t and nvmlDeviceAddressingModeType_t. Numbers, because the bindings may be older than the library.
_NOT_SUPPORTED = 3
_NOT_FOUND = 6
_FUNCTION_NOT_FOUND = 13
_ATS = 2

_UNTOLD = (_NOT_SUPPORTED, _FUNCTION_NOT_FOUND)


class NoAnswerError(Exception):
    """NVML cannot be asked at all; the text is the reason."""


class _CallError(Exception):
    """One call failed. `code` is NVML's, None where it was not NVML that failed."""

    def __init__(self, reason: str, code: int | None) -> None:
        super().__init__(reason)
        self.code = code


def ask_everything(bindings: ModuleType) -> NvmlFacts:
    """Return all that NVML tells of what `NvmlFacts` has.

    Args:
        bindings: the module pynvml of the package nvidia-ml-py, which finds the library that is to be asked. Functions
            that it does not have, because it is old, count as functions that the library does not have.

    Raises:
        NoAnswerError: NVML cannot be initialised, or does not tell how many GPUs there are.
    """
    return _Questions(bindings).ask()


class _Questions:
    def __init__(self, bindings: ModuleType) -> None:
        self._bindings = bindings
        self._problems: list[str] = []

    def ask(self) -> NvmlFacts:
        try:
            self._call("nvmlInit")
            count = self._call("nvmlDeviceGetCount")
        except _CallError as error:
            raise NoAnswerError(str(error)) from error
        version = self._tell("NVML", parse_name, "nvmlSystemGetDriverVersion")
        gpus: dict[str, NvmlGpu] = {}
        for index in self._indices("NVML", "GPUs", count, MAX_GPUS):
            gpu = self._gpu(index)
            if gpu is not None and gpus.setdefault(gpu.bdf, gpu) is not gpu:
                self._note(f"GPU {gpu.bdf}", "NVML has it twice; the first is taken")
        problems = self._problems
        if len(problems) > MAX_PROBLEMS:
            problems = [*problems[: MAX_PROBLEMS - 1], f"NVML: and {len(problems) - MAX_PROBLEMS + 1} more problems"]
        return NvmlFacts(driver_version=version, gpus=tuple(gpus.values()), problems=tuple(problems))

    def _gpu(self, index: int) -> NvmlGpu | None:
        place = f"GPU {index} of NVML"
        handle = self._tell(place, _anything, "nvmlDeviceGetHandleByIndex", index)
        bdf = None if handle is None else self._tell(place, _bus_id, "nvmlDeviceGetPciInfo", handle)
        if bdf is None:
            return None
        place = f"GPU {bdf}"
        mig_enabled = self._tell(
            place, _current_mode, "nvmlDeviceGetMigMode", handle, silent=(_NOT_SUPPORTED, _FUNCTION_NOT_FOUND)
        )
        return NvmlGpu(
            bdf=bdf,
            minor=self._tell(place, parse_number, "nvmlDeviceGetMinorNumber", handle),
            uuid=self._tell(place, parse_gpu_uuid, "nvmlDeviceGetUUID", handle),
            model=self._tell(place, parse_name, "nvmlDeviceGetName", handle),
            mig_enabled=mig_enabled,
            mig=tuple(self._mig_devices(place, handle)) if mig_enabled else (),
            coherent=self._coherent(place, handle),
            memory=self._tell(place, _mebibytes, "nvmlDeviceGetMemoryInfo", handle, silent=_UNTOLD),
            compute=self._tell(place, _capability, "nvmlDeviceGetCudaComputeCapability", handle, silent=_UNTOLD),
        )

    def _coherent(self, place: str, handle: object) -> bool | None:
        try:
            return self._call("nvmlDeviceGetAddressingMode", handle) == _ATS
        except _CallError as error:
            if error.code == _NOT_SUPPORTED:
                return False
            if error.code != _FUNCTION_NOT_FOUND:
                self._note(place, str(error))
            return None

    def _mig_devices(self, place: str, handle: object) -> Iterator[NvmlMig]:
        count = self._tell(place, _anything, "nvmlDeviceGetMaxMigDeviceCount", handle)
        seen = set()
        for index in self._indices(place, "MIG devices", count, MAX_MIG_DEVICES):
            where = f"{place}, MIG device {index}"
            device = self._tell(
                where, _anything, "nvmlDeviceGetMigDeviceHandleByIndex", handle, index, silent=(_NOT_FOUND,)
            )
            if device is None:
                continue
            instance = self._tell(where, parse_number, "nvmlDeviceGetGpuInstanceId", device)
            compute = self._tell(where, parse_number, "nvmlDeviceGetComputeInstanceId", device)
            if instance is None or compute is None:
                continue
            if (instance, compute) in seen:
                self._note(where, f"NVML has the instance {instance}/{compute} twice; the first is taken")
                continue
            seen.add((instance, compute))
            yield NvmlMig(
                index=index,
                uuid=self._tell(where, parse_mig_uuid, "nvmlDeviceGetUUID", device),
                gpu_instance=instance,
                compute_instance=compute,
                profile=self._tell(where, parse_mig_name, "nvmlDeviceGetName", device),
            )

    def _indices(self, place: str, what: str, count: object, most: int) -> range:
        number = count if isinstance(count, int) else 0
        if number > most:
            self._note(place, f"{number} {what}, of which {most} are looked at")
        return range(min(number, most))

    def _tell(
        self, place: str, parse: Callable[[object], T], name: str, *arguments: object, silent: tuple[int, ...] = ()
    ) -> T | None:
        """Return the parsed answer of the function `name`, or None and note why, but for the codes in `silent`."""
        try:
            return parse(self._call(name, *arguments))
        except ParseError as error:
            self._note(place, f"{name}: {error}")
        except _CallError as error:
            if error.code not in silent:
                self._note(place, str(error))
        return None

    def _call(self, name: str, *arguments: object) -> object:
        function = getattr(self._bindings, name, None)
        if function is None:
            raise _CallError(f"{name}: not in the module pynvml", _FUNCTION_NOT_FOUND)
        try:
            answer: object = function(*arguments)
        except self._bindings.NVMLError as error:
            raise _CallError(f"{name}: {self._text_of(error)} ({error.value})", error.value) from error
        except Exception as error:
            raise _CallError(f"{name}: {type(error).__name__}: {error}", None) from error
        return answer.decode(errors="replace") if isinstance(answer, bytes) else answer

    def _text_of(self, error: Exception) -> str:
        """Return the library's own words for an error, which people know from nvidia-smi; else the bindings'."""
        try:
            text: object = self._bindings.nvmlErrorString(error.value)  # type: ignore[attr-defined]  # of NVMLError
        except Exception:  # an error on the way to the words for another
            text = None
        # The bindings ask the library too where they have no words, and make a text of the None that they get.
        words = [word for word in (text, str(error)) if isinstance(word, str) and word not in ("", "None")]
        return words[0] if words else "an error without a name"

    def _note(self, place: str, problem: str) -> None:
        self._problems.append(one_line(f"{place}: {problem}")[:MAX_TEXT])


def _anything(value: object) -> object:
    return value


def _mebibytes(value: object) -> int:
    """Return the memory that there is in all, which NVML tells in bytes."""
    total = getattr(value, "total", None)
    return parse_memory(total >> 20 if isinstance(total, int) else total)


def _capability(value: object) -> str:
    """Return the two numbers that the bindings give as one text."""
    return parse_compute(".".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _bus_id(value: object) -> str:
    text = getattr(value, "busId", None)
    return parse_bus_id(text.decode(errors="replace") if isinstance(text, bytes) else text)


def _current_mode(value: object) -> bool:
    """Return the first of the two MIG modes, the current and the pending one."""
    if isinstance(value, list | tuple) and value:
        return bool(value[0])
    raise ParseError("not a current and a pending mode")
