from __future__ import annotations

import pytest

from cdigen.host import Host
from cdigen.host.views import open_views
from cdigen.session.readiness import find_lacking
from tests.host.calls import CallHost
from tests.hosts import (
    Entries,
    bdf_of,
    char,
    host_of,
    information,
    link,
    minimal_entries,
    moved,
    text,
    unreadable,
    uuid_of,
    without,
)
from tests.nodes import DEVICES
from tests.pci import on_the_bus

PROC = "/proc/driver/nvidia"
NOT_LOADED = ("the kernel module nvidia is not loaded",)
INIT_STATE = "/sys/module/nvidia/initstate"


def up(gpus: int = 1) -> Entries:
    """Return a host whose driver is up, as a boot leaves it."""
    entries = minimal_entries(gpus=gpus) | {"/proc/devices": text(DEVICES), INIT_STATE: text("live\n")}
    for index in range(gpus):
        entries |= on_the_bus("nvidia", bdf=bdf_of(index))
    return entries


def unloaded(*buses: Entries) -> Entries:
    """Return a host whose module is not loaded, with these devices, by default a GPU that is bound to no driver."""
    nodes = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia0")
    entries = without(minimal_entries(), PROC, "/sys", *nodes)
    for bus in buses or (on_the_bus(None),):
        entries |= bus
    return entries


def lacking(
    entries: Entries | Host, driver_root: str = "/", *, makes_nodes: bool = False, late_driver_root: bool = False
) -> tuple[str, ...]:
    host = entries if isinstance(entries, Host) else host_of(entries)
    views = open_views(host, driver_root=driver_root, dev_root=None)
    return find_lacking(views, makes_nodes=makes_nodes, late_driver_root=late_driver_root)


def listed(*modules: str, release: str = "99.9.9-fictional") -> Entries:
    """Return what depmod has listed for a kernel."""
    lines = "".join(f"{module}: kernel/drivers/i2c/i2c-core.ko.xz\n" for module in modules)
    return {f"/usr/lib/modules/{release}/modules.dep": text(lines)}


# Nothing to wait for


def test_a_driver_that_is_up_lacks_nothing() -> None:
    assert lacking(up(gpus=2)) == ()
    assert lacking(minimal_entries()) == ()  # procfs alone tells of it


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param({}, id="nothing at all"),
        pytest.param(unloaded({"/sys/bus/pci/devices": {"kind": "dir"}}), id="no device on the bus"),
        pytest.param(unloaded(on_the_bus(None, vendor="0x1002")), id="another vendor's GPU"),
        pytest.param(unloaded(on_the_bus(None, device_class="0x040300")), id="NVIDIA's audio device"),
        pytest.param(unloaded(on_the_bus("nouveau")), id="nouveau"),
        pytest.param(
            unloaded(on_the_bus("nouveau"), on_the_bus("vfio-pci", bdf=bdf_of(1))), id="nouveau and a virtual machine"
        ),
        pytest.param(on_the_bus(None), id="no user-space driver"),
        pytest.param(unloaded() | {"/dev/nvidia0": char(195, 0)}, id="procfs and sysfs are masked"),
        pytest.param(without(up(), "/usr/lib/x86_64-linux-gnu"), id="a module without its user-space driver"),
        pytest.param(
            without(up() | {f"{PROC}/version": minimal_entries("999.22.33")[f"{PROC}/version"]}, "/dev/nvidiactl"),
            id="a module of another version, so nothing would be better with its nodes",
        ),
        pytest.param(
            unloaded() | {"/sys/bus/pci/devices": unreadable("EACCES", "dir")},
            id="a bus that may not be looked at",
        ),
    ],
)
def test_nothing_is_waited_for_that_nothing_tells_of(entries: Entries) -> None:
    assert lacking(entries) == ()


OF_THE_KERNEL = (
    "kernel/drivers/video/fbdev/nvidia/nvidiafb.ko",
    "kernel/drivers/platform/x86/nvidia-wmi-ec-backlight.ko",
)


def test_a_module_that_is_not_built_for_this_kernel_is_not_waited_for() -> None:
    assert lacking(unloaded() | listed(*OF_THE_KERNEL)) == ()
    assert lacking(unloaded() | listed()) == ()


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param(listed(*OF_THE_KERNEL, "updates/dkms/nvidia-current.ko"), id="Debian"),
        pytest.param(listed("extra/nvidia/nvidia.ko.xz"), id="Fedora"),
        pytest.param(listed(*OF_THE_KERNEL, release="99.9.8-other"), id="nobody knows"),
        pytest.param(
            {
                "/usr/lib/modules/99.9.9-fictional/modules.dep": {
                    "kind": "file",
                    "unreadable": "Permission denied",
                    "errno": "EACCES",
                }
            },
            id="may not be read",
        ),
    ],
)
def test_a_module_that_may_be_built_is_waited_for(modules: Entries) -> None:
    assert lacking(unloaded() | modules) == NOT_LOADED


def test_a_driver_elsewhere_may_bring_its_module() -> None:
    root = "/run/nvidia/driver"
    entries = moved(unloaded(), root, "/usr") | listed(*OF_THE_KERNEL)

    assert lacking(entries, root, late_driver_root=True) == NOT_LOADED


def test_a_gpu_that_the_module_did_not_want_is_not_waited_for() -> None:
    assert lacking(up() | on_the_bus(None, bdf=bdf_of(1))) == ()


def test_a_virtual_function_of_a_vgpu_host_is_not_waited_for() -> None:
    assert lacking(up() | on_the_bus("nvidia", bdf="0000:01:00.4", physfn=bdf_of(0))) == ()


@pytest.mark.parametrize(
    "text_of_gpu",
    [
        information(bdf=bdf_of(1), minor=1, uuid=uuid_of(1), extra="GPU Excluded:\t Yes\n"),
        text(""),
        text("Model: \t\t NVIDIA Fictional 9000\n"),
    ],
    ids=["excluded", "cannot be woken", "no minor"],
)
def test_the_node_of_a_gpu_that_is_not_offered_is_not_waited_for(text_of_gpu: dict[str, object]) -> None:
    entries = without(up(gpus=2), "/dev/nvidia1") | {f"{PROC}/gpus/{bdf_of(1)}/information": text_of_gpu}

    assert lacking(entries) == ()


def test_nodes_that_not_every_program_needs_are_not_waited_for() -> None:
    assert lacking(without(up(), "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")) == ()


# Something to wait for


@pytest.mark.parametrize(
    "buses",
    [
        (on_the_bus(None),),
        (on_the_bus("nvidia"),),
        (on_the_bus("vfio-pci"), on_the_bus(None, bdf=bdf_of(1))),
    ],
    ids=["bound to nothing", "bound, and the module not seen", "one for a virtual machine, one not"],
)
def test_a_gpu_without_its_module_is_waited_for(buses: tuple[Entries, ...]) -> None:
    assert lacking(unloaded(*buses)) == NOT_LOADED


def test_a_module_that_tells_no_version_is_waited_for() -> None:
    assert lacking(unloaded() | {INIT_STATE: text("coming\n")}) == ("the kernel module nvidia tells no version",)


def test_a_module_that_still_looks_at_its_gpus_is_waited_for() -> None:
    assert lacking(up() | {INIT_STATE: text("coming\n")}) == ("the kernel module nvidia is still starting",)


def test_gpus_that_are_bound_and_not_listed_are_waited_for() -> None:
    entries = without(
        up(gpus=3), f"{PROC}/gpus/{bdf_of(1)}", f"{PROC}/gpus/{bdf_of(2)}", "/dev/nvidia1", "/dev/nvidia2"
    )

    assert lacking(entries) == (
        "GPU 0000:02:00.0 is not in /proc/driver/nvidia/gpus",
        "GPU 0000:03:00.0 is not in /proc/driver/nvidia/gpus",
    )
    assert lacking(without(entries, f"{PROC}/gpus")) == ()  # masked: nothing can be compared


def test_nodes_that_are_missing_or_other_devices_are_waited_for() -> None:
    entries = without(up(gpus=2), "/dev/nvidia1") | {
        "/dev/nvidiactl": text("a file"),
        "/dev/nvidia-uvm": char(234, 0),
        "/dev/nvidia0": char(195, 7),
    }

    assert lacking(entries) == (
        "/dev/nvidiactl is not a character device",
        "/dev/nvidia-uvm is 234:0 and not 511:0, which its driver has",
        "/dev/nvidia0 (GPU 0000:01:00.0) is 195:7 and not 195:0, which its driver has",
        "/dev/nvidia1 (GPU 0000:02:00.0) is missing",
    )


def test_nodes_are_looked_for_below_the_device_root() -> None:
    entries = moved(up(), "/run/driver", "/dev", "/usr")

    assert lacking(entries, "/run/driver") == ()
    assert lacking(without(entries, "/run/driver/dev/nvidia-uvm"), "/run/driver") == (
        "/run/driver/dev/nvidia-uvm is missing",
    )


def test_nodes_that_will_be_made_are_not_waited_for_but_their_modules_are() -> None:
    nodes = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0")
    entries = without(up(), *nodes)

    assert lacking(entries, makes_nodes=True) == ()
    assert lacking(entries | {"/proc/devices": text(DEVICES.replace("511 nvidia-uvm\n", ""))}, makes_nodes=True) == (
        "/dev/nvidia-uvm is missing",
    )
    assert len(lacking(without(entries, "/proc/devices"), makes_nodes=True)) == len(nodes)  # none can be made
    assert lacking(unloaded(), makes_nodes=True) == NOT_LOADED


def test_what_is_mounted_at_the_driver_root_is_waited_for_once_the_module_is_there() -> None:
    entries = without(up(), "/usr")
    root = "/run/nvidia/driver"
    late = moved(up(), root, "/usr")

    assert lacking(entries, root, late_driver_root=True) == (
        "there is no libcuda.so.999.88.77 below /run/nvidia/driver",
    )
    assert lacking(without(entries, "/dev/nvidiactl"), root, late_driver_root=True) == (
        "/dev/nvidiactl is missing",
        "there is no libcuda.so.999.88.77 below /run/nvidia/driver",
    )
    assert lacking(late, root, late_driver_root=True) == ()
    # Who mounts it may be waiting for us, and nothing else tells that it comes.
    assert lacking(without(unloaded(), "/usr"), root, late_driver_root=True) == ()
    assert lacking(moved(unloaded(), root, "/usr"), root, late_driver_root=True) == NOT_LOADED


# What changes while it is looked at


def broken(path: str, name: str) -> Entries:
    return up() | {path: {"kind": "file", "unreadable": "whatever the kernel calls it", "errno": name}}


@pytest.mark.parametrize("path", [INIT_STATE, f"{PROC}/gpus/{bdf_of(0)}/information"])
@pytest.mark.parametrize("name", ["ENOENT", "ENODEV"])
def test_what_goes_while_it_is_read_is_looked_at_again(path: str, name: str) -> None:
    assert lacking(broken(path, name)) == (f"{path} is about to change",)


@pytest.mark.parametrize("path", [INIT_STATE, f"{PROC}/gpus/{bdf_of(0)}/information"])
def test_what_may_not_be_read_is_left_to_the_scan(path: str) -> None:
    assert lacking(broken(path, "EACCES")) == ()


def test_a_cycle_of_links_is_left_to_the_scan() -> None:
    assert lacking(up() | {"/dev/nvidiactl": link("nvidiactl")}) == ()


# Cost


def test_a_driver_that_is_up_costs_few_questions_however_many_devices_the_bus_has() -> None:
    def questions(devices: int) -> int:
        entries = up(gpus=8)
        for index in range(devices):
            entries |= on_the_bus("pcieport", bdf=f"0001:{index:02x}:00.0", vendor="0x8086", device_class="0x060400")
        host = CallHost(host_of(entries))
        assert lacking(host) == ()
        return len(host.calls)

    assert questions(0) == questions(200) < 120
