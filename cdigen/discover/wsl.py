"""The driver of WSL2: Windows' own, which shows to Linux as a device, a library folder and a driver store.

The loaders of the library folder open the real libraries in the store by the absolute path that Windows tells, so
both directories are mounted at their own paths. What programs open by name is mounted in the library directories too,
the store's file where it has one of that name: that is what a linker cache over both finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import UNKNOWN_LIBRARY_GROUP, find_library_row
from cdigen.catalog.wsl import (
    CUDA,
    CUDA_NAMES,
    DEVICE,
    DRIVER_STORES,
    DXCORE,
    LIBRARIES,
    LIBRARY_FOLDER,
    NVIDIA_SMI,
    STORE_PREFIX,
)
from cdigen.discover.devices import find_node
from cdigen.discover.directories import find_library_directories
from cdigen.discover.driver import find_libcudas
from cdigen.discover.nvml import ask_nvml
from cdigen.discover.shared_object import read_elf
from cdigen.errors import IncompleteError, NoDriverError, one_line
from cdigen.facts import Driver, DriverFile, Inventory, Library, LibraryName
from cdigen.notes import Notes, is_safe_name

if TYPE_CHECKING:
    from cdigen.facts import DeviceNode
    from cdigen.host import View
    from cdigen.host.views import Views
    from cdigen.parse.elf import ElfFacts

_UPDATE = (
    "install or update NVIDIA's driver in Windows, never one in Linux, and start WSL again with wsl.exe --shutdown"
)
_NVML = "libnvidia-ml.so.1"
_ROWS = {row.stem: row for row in LIBRARIES}


def find_wsl_inventory(views: Views, notes: Notes, *, ask: bool, with_gpus: bool = True) -> Inventory:
    """Return everything that a spec of WSL2 is built from.

    Args:
        views: the host.
        notes: gets what is odd but can be lived with.
        ask: whether NVML is asked for UUIDs, which no file tells.
        with_gpus: False looks for the driver's files alone.

    Raises:
        NoDriverError: no driver package of NVIDIA is there.
        IncompleteError: something without which a container would not work is missing, or it cannot be told which of
            several packages is in use.
        HostReadError, LinkError: something without which nothing can be said cannot be read.
    """
    view = views.driver
    store = _find_store(view)
    finder = _Finder(view, store, notes)
    libraries = finder.find_libraries()
    cuda = next((library for library in libraries if library.file_name == CUDA), None)
    if cuda is None:
        raise IncompleteError(f"{view.host_path(f'{store}/{CUDA}')} cannot be used", hint=_UPDATE)
    files = finder.find_files()
    _note_linux_drivers(view, notes)
    nodes = _find_device(views) if with_gpus else ()
    uuids = _find_uuids(views, libraries, notes) if nodes and ask else ()
    return Inventory(
        driver=Driver(
            version=None,
            machine=cuda.elf.machine,
            kernel_version_source=None,
            libcuda=cuda.host_path,
            package=store.rpartition("/")[2],
            described=f"Windows' driver package {store.rpartition('/')[2]}",
        ),
        libraries=libraries,
        files=files,
        shared_nodes=nodes,
        shared_uuids=uuids,
        failed_reads=notes.failed_reads,
        findings=notes.findings,
        left_out=notes.left_out,
    )


def _find_device(views: Views) -> tuple[DeviceNode, ...]:
    node = find_node(views.dev, DEVICE, "all GPUs of Windows, which cannot be told apart")
    return () if node is None else (node,)


def _find_uuids(views: Views, libraries: tuple[Library, ...], notes: Notes) -> tuple[str, ...]:
    """Return the UUIDs of all GPUs, sorted: the order of NVML means nothing, and one device stands for all."""
    paths = [library.host_path for library in libraries if any(name.name == _NVML for name in library.names)]
    if not paths:
        return ()
    facts = ask_nvml(views, notes, paths[0], version=None, consequence="GPUs have no names by UUID")
    return tuple(sorted({gpu.uuid for gpu in facts.gpus if gpu.uuid})) if facts else ()


def _find_store(view: View) -> str:
    """Return the directory of NVIDIA's driver package, in the view."""
    shown = one_line(view.host_path(DRIVER_STORES))
    stores = []
    for name in view.names(DRIVER_STORES, (STORE_PREFIX,)):
        found = view.find(f"{DRIVER_STORES}/{name}/{CUDA}")
        if found is not None and found[1].kind == "file":
            stores.append(f"{DRIVER_STORES}/{name}")
    if not stores:
        raise NoDriverError(f"this host is WSL2 and no driver package of NVIDIA is in {shown}", hint=_UPDATE)
    if len(stores) > 1:
        names = " and ".join(one_line(store.rpartition("/")[2]) for store in stores)
        raise IncompleteError(
            f"{shown} has several driver packages of NVIDIA ({names}), and no file tells which one Windows uses",
            hint="remove the old one in Windows (pnputil.exe /enum-drivers lists them, /delete-driver removes one), and"
            " start WSL again with wsl.exe --shutdown",
            subject=shown,
            code="several-driver-packages",
        )
    name = stores[0].rpartition("/")[2]
    if not is_safe_name(name):
        raise IncompleteError(
            f"{shown}/{one_line(name)}: its name has characters that no driver package of Windows has", hint=_UPDATE
        )
    return stores[0]


def _note_linux_drivers(view: View, notes: Notes) -> None:
    """Leave out a Linux driver that a distribution has put beside Windows' own, and say so."""
    found = find_libcudas(view, find_library_directories(view, notes), notes)
    for version, paths in found.items():
        for path in paths:
            notes.leave_out(view.host_path(path), "of a Linux driver, which has no part in WSL2")
        notes.add(
            "note",
            "linux-driver",
            view.host_path(paths[0]),
            f"the Linux driver {version} ({one_line(view.host_path(paths[0]))}) has no part in WSL2 and is left out",
        )


class _Finder:
    """Finds the files of one driver package and of the library folder."""

    def __init__(self, view: View, store: str, notes: Notes) -> None:
        self._view = view
        self._store = store
        self._notes = notes

    def find_libraries(self) -> tuple[Library, ...]:
        """Return the libraries that programs open by name, sorted by file name."""
        ours = self._names(LIBRARY_FOLDER)
        stored = self._names(self._store)
        names: dict[str, list[str]] = {}
        for name in ours:
            if name not in (*CUDA_NAMES, DXCORE):
                names.setdefault(f"{self._store if name in stored else LIBRARY_FOLDER}/{name}", []).append(name)
        names[f"{self._store}/{CUDA}"] = list(CUDA_NAMES)
        found = []
        for path in (*names, *(f"{self._store}/{name}" for name in stored if f"{self._store}/{name}" not in names)):
            elf = self._elf(path)
            if elf is None:
                continue
            name = path.rpartition("/")[2]
            if path not in names and elf.soname != name:  # a loader, or what no program asks for
                continue
            found.append(self._library(path, elf, names.get(path, [name])))
        return tuple(sorted(found, key=lambda library: library.file_name))

    def find_files(self) -> tuple[DriverFile, ...]:
        """Return the two directories, libdxcore and nvidia-smi.

        Raises:
            IncompleteError: there is no libdxcore.
        """
        view = self._view
        dxcore = f"{LIBRARY_FOLDER}/{DXCORE}"
        if self._elf(dxcore) is None:
            raise IncompleteError(
                f"{one_line(view.host_path(dxcore))} is missing or cannot be used: without it no program finds a GPU",
                hint="update WSL with wsl.exe --update, and start it again with wsl.exe --shutdown",
                subject=one_line(view.host_path(dxcore)),
                code="missing-library",
            )
        files = [
            DriverFile(
                kind="data",
                host_path=self._host_path(path),
                container_paths=() if relative else (path,),
                group=None,
                why=why,
                library_relative=relative,
            )
            for path, why, relative in (
                (dxcore, "asks Windows for the adapters; opened by name", (DXCORE,)),
                (LIBRARY_FOLDER, "libraries are opened in it by absolute path", ()),
                (self._store, "the real libraries are opened in it by the absolute path that Windows tells", ()),
            )
        ]
        for directory in (self._store, LIBRARY_FOLDER):
            path = f"{directory}/{NVIDIA_SMI}"
            if view.find(path) is not None and (elf := self._elf(path)) is not None:
                files.append(
                    DriverFile(
                        kind="binary",
                        host_path=self._host_path(path),
                        container_paths=(f"/usr/bin/{NVIDIA_SMI}",),
                        group="utility",
                        why="shows GPUs and their state",
                        elf=elf,
                    )
                )
                break
        return tuple(sorted(files, key=lambda file: (file.kind, file.container_paths)))

    def _names(self, directory: str) -> tuple[str, ...]:
        """Return the names of libraries in a directory, but for those that no spec can have."""
        names = [name for name in self._view.names(directory, ("lib",)) if ".so" in name]
        for name in names:
            if not is_safe_name(name):
                host_path = self._view.host_path(f"{directory}/{name}")
                self._notes.leave_out(host_path, "its name has characters that no library's name has")
        return tuple(name for name in names if is_safe_name(name))

    def _host_path(self, path: str) -> str:
        return self._view.host_path(self._view.resolve(path) or path)

    def _elf(self, path: str) -> ElfFacts | None:
        return read_elf(self._view, path, self._notes, hint=_UPDATE)

    def _library(self, path: str, elf: ElfFacts, names: list[str]) -> Library:
        file_name = path.rpartition("/")[2]
        stem = file_name.partition(".so")[0]
        row = _ROWS.get(stem) or find_library_row(stem)
        place = "the driver package" if path.startswith(self._store) else "the library folder"
        return Library(
            file_name=file_name,
            host_path=self._host_path(path),
            elf=elf,
            group=UNKNOWN_LIBRARY_GROUP if row is None else row.group,
            why=f"in {place} of Windows" + ("" if row is None else f": {row.reason}"),
            names=tuple(LibraryName(subdir="", name=name, why="file name") for name in sorted(names)),
        )
