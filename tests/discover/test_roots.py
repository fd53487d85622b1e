from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.errors import CdigenError
from tests.hosts import (
    LIBDIR,
    VERSION,
    Entries,
    inventory_of,
    library,
    link,
    minimal_entries,
    moved,
    text,
)

if TYPE_CHECKING:
    from cdigen.facts import Inventory

ROOT = "/run/nvidia/driver"


def in_driver_root(*also: str) -> Entries:
    """Return the minimal host with the driver's files, and what is below `also`, in the driver root."""
    return moved(minimal_entries(), ROOT, "/usr", "/lib", *also)


def host_paths(inventory: Inventory) -> list[str]:
    return [library.host_path for library in inventory.libraries] + [file.host_path for file in inventory.files]


def container_paths(inventory: Inventory) -> list[str]:
    return [path for file in inventory.files for path in file.container_paths]


def node_paths(inventory: Inventory) -> list[tuple[str, str]]:
    nodes = (*inventory.control_nodes, *(node for gpu in inventory.gpus for node in gpu.nodes))
    return [(node.path, node.host_path) for node in nodes]


def test_the_driver_root_is_kept_in_host_paths_and_dropped_from_container_paths() -> None:
    inventory = inventory_of(in_driver_root(), driver_root=ROOT)
    plain = inventory_of(minimal_entries())
    assert host_paths(inventory) == [ROOT + path for path in host_paths(plain)]
    assert container_paths(inventory) == container_paths(plain)
    assert inventory.driver.libcuda == f"{ROOT}{LIBDIR}/libcuda.so.{VERSION}"


def test_procfs_and_sysfs_are_those_of_the_host_whatever_the_driver_root() -> None:
    inventory = inventory_of(in_driver_root(), driver_root=ROOT)
    assert inventory.driver.kernel_version_source == "/proc/driver/nvidia/version"
    assert inventory.gpus == inventory_of(minimal_entries()).gpus


def test_without_control_nodes_in_the_driver_root_the_hosts_are_taken() -> None:
    assert node_paths(inventory_of(in_driver_root(), driver_root=ROOT)) == node_paths(inventory_of(minimal_entries()))


def test_control_nodes_in_the_driver_root_make_it_the_device_root() -> None:
    inventory = inventory_of(in_driver_root("/dev"), driver_root=ROOT)
    assert node_paths(inventory) == [
        (path, ROOT + host_path) for path, host_path in node_paths(inventory_of(minimal_entries()))
    ]


def test_the_device_root_can_be_any_directory() -> None:
    entries = moved(minimal_entries(), "/srv/devices", "/dev")
    inventory = inventory_of(entries, dev_root="/srv/devices")
    assert node_paths(inventory)[0] == ("/dev/nvidiactl", "/srv/devices/dev/nvidiactl")
    assert node_paths(inventory)[-1] == (
        "/dev/dri/by-path/pci-0000:01:00.0-render",
        "/srv/devices/dev/dri/renderD128",
    )
    assert host_paths(inventory) == host_paths(inventory_of(minimal_entries()))


def test_a_device_root_that_is_given_is_taken_though_the_driver_root_has_nodes() -> None:
    entries = {**in_driver_root("/dev"), **minimal_entries()}
    inventory = inventory_of(entries, driver_root=ROOT, dev_root="/")
    assert node_paths(inventory) == node_paths(inventory_of(minimal_entries()))


def test_an_absolute_link_in_the_driver_root_restarts_there() -> None:
    entries = {**in_driver_root(), f"{ROOT}{LIBDIR}/libcuda.so": link(f"{LIBDIR}/libcuda.so.1")}
    inventory = inventory_of(entries, driver_root=ROOT)
    assert inventory.libraries[0].host_path == f"{ROOT}{LIBDIR}/libcuda.so.{VERSION}"
    assert next(name.name for name in inventory.libraries[0].names) == "libcuda.so"


@pytest.mark.parametrize("target", ["/run/store/current", "../../run/store/current", "../store/current"])
def test_a_driver_root_that_is_a_link_is_resolved_by_the_hosts_root(target: str) -> None:
    entries = moved(minimal_entries(), "/run/store/current", "/usr", "/lib")
    inventory = inventory_of({**entries, ROOT: link(target)}, driver_root=ROOT)
    assert inventory.driver.libcuda == f"/run/store/current{LIBDIR}/libcuda.so.{VERSION}"


def test_a_driver_root_that_leads_to_the_hosts_root_is_that() -> None:
    inventory = inventory_of({**minimal_entries(), ROOT: link("../../..")}, driver_root=ROOT)
    assert inventory == inventory_of(minimal_entries())


def test_a_driver_root_that_is_a_cycle_is_an_error() -> None:
    with pytest.raises(CdigenError) as caught:
        inventory_of({**minimal_entries(), ROOT: link("driver")}, driver_root=ROOT)
    assert str(caught.value) == f"{ROOT} leads through more than 40 symbolic links; remove the link cycle"


def test_the_kernels_firmware_path_is_one_of_the_hosts_own_root() -> None:
    firmware = f"/var/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin"
    entries = {
        **in_driver_root(),
        "/sys/module/firmware_class/parameters/path": text("/var/lib/firmware"),
        firmware: text(""),
    }
    inventory = inventory_of(entries, driver_root=ROOT)
    assert [file.host_path for file in inventory.files if file.kind == "firmware"] == [firmware]


def test_findings_name_paths_of_the_host() -> None:
    path = f"{ROOT}{LIBDIR}/libnvidia-cfg.so.{VERSION}"
    inventory = inventory_of({**in_driver_root(), path: {"kind": "file", "damaged": "empty file"}}, driver_root=ROOT)
    assert [finding.subject for finding in inventory.findings] == [path]
    assert [entry.host_path for entry in inventory.left_out] == [path]


def test_a_link_that_leads_out_of_the_driver_root_is_a_finding() -> None:
    root, path = "/run/driver", f"{LIBDIR}/libnvidia-encode.so.1"
    outside = f"/opt/encode/libnvidia-encode.so.{VERSION}"
    entries = {
        **moved(minimal_entries(), root, "/usr", "/lib"),
        f"{root}{path}": link(outside),
        f"{root}{LIBDIR}/libnvidia-cfg.so.1": link("nowhere"),
        outside: library("libnvidia-encode.so.1"),
    }
    inventory = inventory_of(entries, driver_root=root)
    assert [(finding.code, finding.text) for finding in inventory.findings] == [
        (
            "link-leads-out",
            (
                f"{root}{path} leads to {outside}, out of the driver root, so it is not injected; make it a link within"
                " the driver root, or leave out --driver-root"
            ),
        )
    ]
    assert [entry.host_path for entry in inventory.left_out] == [
        f"{root}{LIBDIR}/libnvidia-cfg.so.1",
        f"{root}{path}",
    ]
