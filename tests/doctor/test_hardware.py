"""The GPU, the kernel module and the device nodes."""

from __future__ import annotations

import pytest

from cdigen.doctor.kernel import SECURE_BOOT, check_kernel
from cdigen.doctor.nodes import check_nodes
from cdigen.doctor.pci import check_pci
from tests.doctor.contexts import context_of, lines
from tests.hosts import Entries, Entry, char, kernel_entries, mig_entries, minimal_entries, text, unreadable, without
from tests.nodes import proc_entries
from tests.pci import on_the_bus

BDF = "0000:01:00.0"
LOAD = "load the module; if that fails, the lines with NVRM in dmesg tell why: modprobe nvidia"
BLACKLIST = (
    "keep nouveau from being loaded, renew the initramfs, and reboot:"
    " echo 'blacklist nouveau' > /etc/modprobe.d/blacklist-nouveau.conf"
)
DIRECTORY: Entry = {"kind": "dir"}


@pytest.mark.parametrize(
    ("driver", "line"),
    [
        ("nvidia", f"ok pci {BDF}: NVIDIA GPU, bound to nvidia"),
        ("nouveau", f"problem pci {BDF}: bound to nouveau, so nvidia cannot have it -> {BLACKLIST}"),
        (
            "vfio-pci",
            (
                f"warning pci {BDF}: bound to vfio-pci, for a virtual machine: containers do not get it -> if"
                f" containers should get it, bind it to nvidia: echo {BDF} > /sys/bus/pci/drivers/vfio-pci/unbind &&"
                f" echo {BDF} > /sys/bus/pci/drivers/nvidia/bind"
            ),
        ),
        (None, f"problem pci {BDF}: bound to no driver -> {LOAD}"),
        ("pci-stub", f"warning pci {BDF}: bound to pci-stub, not to nvidia -> lspci -k -s {BDF}"),
    ],
)
def test_a_gpu_on_the_bus_is_judged_by_its_driver(driver: str | None, line: str) -> None:
    assert lines(check_pci(context_of(on_the_bus(driver)))) == [line]


def test_a_gpu_that_the_driver_has_lost_is_a_problem() -> None:
    listed: Entries = {"/proc/driver/nvidia/gpus": DIRECTORY, f"/sys/bus/pci/drivers/nvidia/{BDF}": DIRECTORY}
    assert lines(check_pci(context_of({**on_the_bus("nvidia"), **listed}))) == [
        (
            f"problem pci {BDF}: GPU {BDF} is bound to nvidia on the PCI bus, but the driver does not list it in"
            " /proc/driver/nvidia/gpus, so it is not offered -> if it fell off the bus, power-cycle the machine; see"
            " what the driver says in the kernel log: dmesg | grep -i nvrm"
        )
    ]


@pytest.mark.parametrize("other", [{"vendor": "0x1002"}, {"device_class": "0x040300"}], ids=["AMD", "audio"])
def test_a_bus_without_a_gpu_is_a_problem(other: dict[str, str]) -> None:
    found = check_pci(context_of(on_the_bus("nvidia", **other)))

    assert lines(found) == [
        (
            "problem pci /sys/bus/pci/devices: no NVIDIA GPU on the PCI bus -> if there should be one, check that it"
            " is seated and has power, check the firmware's settings, or pass it through to this virtual machine: lspci"
            " -d 10de:"
        )
    ]


def test_a_bus_that_cannot_be_seen_is_unknown() -> None:
    where = "unknown pci /sys/bus/pci/devices:"
    closed: Entries = {"/sys/bus/pci/devices": unreadable("EACCES", "dir")}

    assert lines(check_pci(context_of({}))) == [f"{where} no device of the PCI bus can be seen here"]
    assert lines(check_pci(context_of({}, is_recorded=True))) == [f"{where} not recorded in the snapshot"]
    assert lines(check_pci(context_of(closed))) == [f"{where} Permission denied -> run it as root"]


def modules(*names: str) -> Entries:
    return {f"/sys/module/{name}": DIRECTORY for name in names}


def test_modules_that_are_loaded_are_ok() -> None:
    entries = {**kernel_entries("999.88.77"), **modules("nvidia", "nvidia_uvm", "nvidia_modeset")}

    assert lines(check_kernel(context_of(entries))) == [
        "ok kernel nvidia: 999.88.77 is loaded, the open module",
        "ok kernel nvidia_uvm: loaded",
        "ok kernel nvidia_modeset: loaded",
    ]


def test_modules_that_are_missing_are_named_with_what_loads_them() -> None:
    entries = {"/sys/module/nvidia/version": text("999.88.77\n"), **modules("nouveau")}

    assert lines(check_kernel(context_of(entries))) == [
        f"warning kernel nouveau: loaded; it takes GPUs that nvidia should have -> {BLACKLIST}",
        "ok kernel nvidia: 999.88.77 is loaded",
        "problem kernel nvidia_uvm: not loaded; CUDA does not work without it -> nvidia-modprobe -u -c 0",
        "warning kernel nvidia_modeset: not loaded; Vulkan and displays do not work without it -> nvidia-modprobe -m",
    ]


def test_modules_that_a_container_does_not_see_are_unknown() -> None:
    assert lines(check_kernel(context_of(kernel_entries("999.88.77", is_open=False)))) == [
        "ok kernel nvidia: 999.88.77 is loaded, the proprietary module",
        "unknown kernel nvidia_uvm: /sys/module does not show the driver's modules",
        "unknown kernel nvidia_modeset: /sys/module does not show the driver's modules",
    ]


def test_a_damaged_version_is_said_with_its_place() -> None:
    entries = {"/proc/driver/nvidia/version": text("hello\n"), **modules("nvidia", "nvidia_uvm", "nvidia_modeset")}

    assert lines(check_kernel(context_of(entries)))[0] == (
        "problem kernel /proc/driver/nvidia/version: damaged: no line 'NVRM version: ...' -> report it as a"
        " bug of cdigen's, with what is in the file: cat /proc/driver/nvidia/version"
    )


def secure_boot(value: int) -> Entries:
    import base64

    data = bytes([6, 0, 0, 0, value])
    return {SECURE_BOOT: {"kind": "file", "base64": base64.b64encode(data).decode()}}


@pytest.mark.parametrize("entries", [{}, secure_boot(0)], ids=["no UEFI", "off"])
def test_a_module_that_is_not_loaded_is_a_problem(entries: Entries) -> None:
    assert lines(check_kernel(context_of(entries))) == [f"problem kernel nvidia: not loaded -> {LOAD}"]


def test_secure_boot_is_named_as_a_likely_cause() -> None:
    assert lines(check_kernel(context_of(secure_boot(1)))) == [
        (
            "problem kernel nvidia: not loaded; Secure Boot is on, which refuses a module that is not signed"
            " -> load the module; if that says 'Key was rejected', sign it and enrol its key (mokutil --import), or"
            " install the distribution's signed one: modprobe nvidia"
        )
    ]


def test_a_masked_procfs_is_not_taken_for_a_module_that_is_not_loaded() -> None:
    assert lines(check_kernel(context_of({"/dev/nvidia0": char(195, 0)}))) == [
        (
            "unknown kernel nvidia: neither /proc/driver/nvidia/version nor /sys/module/nvidia is there, but the"
            " device node of a GPU is: they are masked -> name the host's with --procfs and --sysfs"
        )
    ]


NODES = {
    "/dev/nvidiactl": char(195, 255),
    "/dev/nvidia-uvm": char(511, 0),
    "/dev/nvidia-uvm-tools": char(511, 1),
    "/dev/nvidia-modeset": char(195, 254),
    "/dev/nvidia0": char(195, 0),
}


def test_nodes_that_are_right_are_one_line() -> None:
    found = check_nodes(context_of({**proc_entries(params=None), **NODES}))

    assert lines(found) == ["ok nodes /dev: 5 device nodes, open to all users; 3 optional ones absent"]


def test_every_node_that_is_not_right_is_a_line() -> None:
    nodes = {
        **without(NODES, "/dev/nvidiactl", "/dev/nvidia-modeset"),
        "/dev/nvidia-uvm": char(510, 0),
        "/dev/nvidia-uvm-tools": text("no device"),
        "/dev/nvidia0": char(195, 0, "0660", "0:44"),
    }

    assert lines(check_nodes(context_of({**proc_entries(params=None), **nodes}))) == [
        "problem nodes /dev/nvidiactl: missing: control of all GPUs -> cdigen nodes --create",
        (
            "problem nodes /dev/nvidia-uvm: has the numbers 510:0, not 511:0: unified memory, which CUDA needs"
            " -> cdigen nodes --create"
        ),
        (
            "warning nodes /dev/nvidia-uvm-tools: not a character device: unified memory events, for profilers"
            " -> cdigen nodes --create"
        ),
        (
            "warning nodes /dev/nvidia0: mode 0660, owner root, group 44: only root and users in group 44 can open"
            " it -> give it the mode that the driver wants: cdigen nodes --create"
        ),
    ]


CLOSED = "ModifyDeviceFiles: 1\nDeviceFileMode: 432\nDeviceFileGID: 44\n"  # 0660
ADD_GROUP = (
    "a container whose program gives up root needs the group: from the spec (cdigen generate --additional-gids"
    " always), or from the engine (--group-add 44; with rootless podman --group-add keep-groups, by"
    " a user in the group)"
)


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        (text("root:x:0:\nvideo:x:44:me,you\n"), "video"),
        (text("broken\n:x:4\n"), "44"),
        ({"kind": "file", "unreadable": "Permission denied"}, "44"),
    ],
)
def test_who_can_open_closed_nodes_is_said_by_the_names_of_the_host(groups: Entry, name: str) -> None:
    nodes = {path: {**node, "mode": "0660", "owner": "0:44"} for path, node in NODES.items()}
    nodes |= {path: NODES[path] for path in NODES if "uvm" in path}

    found = lines(check_nodes(context_of({**proc_entries(params=CLOSED), **nodes, "/etc/group": groups})))
    only = f"only root and users in group {name} can open it"

    assert found == [
        f"warning nodes {path}: mode 0660, owner root, group {name}: {only} -> {ADD_GROUP}"
        for path in ("/dev/nvidiactl", "/dev/nvidia0")
    ]


def test_a_node_of_root_alone_is_said_so() -> None:
    nodes = {**NODES, "/dev/nvidia0": char(195, 0, "0600", "0:0")}
    params = "ModifyDeviceFiles: 1\nDeviceFileMode: 384\n"

    assert lines(check_nodes(context_of({**proc_entries(params=params), **nodes}))) == [
        (
            "warning nodes /dev/nvidia0: mode 0600, owner root, group 0: only root can open it -> if others should have"
            " it, load the module with NVreg_DeviceFileMode=0666"
        )
    ]


def mig_nodes(mode: str) -> Entries:
    """Return a GPU with an instance whose capability nodes have a mode."""
    devices = "Character devices:\n195 nvidia\n195 nvidiactl\n508 nvidia-caps\n511 nvidia-uvm\n"
    capabilities = {
        path: {**entry, "mode": mode} if path.startswith("/dev/nvidia-caps/") else entry
        for path, entry in mig_entries(0, (1, 0)).items()
    }
    return {**proc_entries(devices, params=None), **NODES, **capabilities}


def test_capability_nodes_of_mig_are_made_for_reading_alone() -> None:
    found = lines(check_nodes(context_of(mig_nodes("0444"))))
    assert [line.partition(",")[0] for line in found] == ["ok nodes /dev: 7 device nodes"]

    found = lines(check_nodes(context_of(mig_nodes("0400"))))
    assert len(found) == 2
    assert all("mode 0400, owner root, group 0: only root can open it -> " in line for line in found)
    assert not any("chmod" in line for line in found)


def test_nodes_that_the_driver_must_not_make_and_a_module_that_is_not_loaded() -> None:
    devices = "Character devices:\n195 nvidia\n195 nvidiactl\n\nBlock devices:\n"
    entries = {**proc_entries(devices, params="ModifyDeviceFiles: 0\n"), "/dev/nvidia0": char(195, 0)}

    assert lines(check_nodes(context_of(entries))) == [
        (
            "problem nodes /dev/nvidiactl: missing: control of all GPUs -> the driver is told to leave the nodes alone"
            " (NVreg_ModifyDeviceFiles=0): make it yourself: mknod -m 0666 /dev/nvidiactl c 195 255"
        ),
        (
            "problem nodes /dev/nvidia-uvm: the module nvidia-uvm is not loaded: unified memory, which CUDA needs"
            " -> modprobe nvidia-uvm && cdigen nodes --create"
        ),
    ]


def test_without_a_module_or_its_numbers_nothing_is_known_of_nodes() -> None:
    assert lines(check_nodes(context_of({}))) == [
        "unknown nodes /dev: no kernel module tells which nodes there should be"
    ]
    assert lines(check_nodes(context_of(minimal_entries(), is_recorded=True)))[0] == (
        "unknown nodes /proc/devices: not recorded in the snapshot"
    )
    assert lines(check_nodes(context_of(minimal_entries())))[0].replace(" -> ", "; ") == (
        "warning nodes /proc/devices: /proc/devices tells no major number of the driver, which is loaded, so only"
        " minors are compared and no node can be made; name the host's procfs with --procfs"
    )
