from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from tests.hosts import (
    LIBDIR,
    OTHER_VERSION,
    VERSION,
    Entries,
    Entry,
    bdf_of,
    damaged,
    information,
    inventory_of,
    library,
    library_entries,
    link,
    linker_cache,
    minimal_entries,
    program,
    text,
    unreadable,
    uuid_of,
    without,
)

if TYPE_CHECKING:
    from cdigen.facts import DriverFile, Inventory

INFORMATION = f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"
FIRMWARE = f"nvidia/{VERSION}/gsp_ga10x.bin"
MANIFEST = "/usr/share/nvidia/files.d/sandboxutils-filelist.json"
VULKAN = "/usr/share/vulkan/icd.d/nvidia_icd.json"
SMI = "/usr/bin/nvidia-smi"
GLX = library_entries("libGLX_nvidia", "libGLX_nvidia.so.0", LIBDIR)
OPENCL = library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)


def icd(library_path: str) -> Entry:
    return text(f'{{"file_format_version": "1.0.0", "ICD": {{"library_path": "{library_path}"}}}}')


def scan(entries: Entries) -> Inventory:
    return inventory_of({**minimal_entries(), **entries})


def files(inventory: Inventory, kind: str) -> list[DriverFile]:
    return [file for file in inventory.files if file.kind == kind]


def findings(inventory: Inventory) -> list[tuple[str, str, str, str]]:
    return [(finding.level, finding.code, finding.subject, finding.text) for finding in inventory.findings]


def left_out(inventory: Inventory) -> list[tuple[str, str]]:
    return [(entry.host_path, entry.reason) for entry in inventory.left_out]


@pytest.mark.parametrize(
    ("path", "target", "entry", "libraries"),
    [
        ("/etc/OpenCL/vendors/nvidia.icd", "/etc/OpenCL/vendors/nvidia.icd", text("libnvidia-opencl.so.1\n"), OPENCL),
        (
            "/usr/share/OpenCL/vendors/nvidia.icd",
            "/etc/OpenCL/vendors/nvidia.icd",
            text("libnvidia-opencl.so.1"),
            OPENCL,
        ),
        (VULKAN, "/etc/vulkan/icd.d/nvidia_icd.json", icd("libGLX_nvidia.so.0"), GLX),
        (
            "/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json",
            "/etc/vulkan/icd.d/nvidia_icd.x86_64.json",
            icd("libGLX_nvidia.so.0"),
            GLX,
        ),
        (
            "/usr/local/share/glvnd/egl_vendor.d/10_nvidia.json",
            "/usr/share/glvnd/egl_vendor.d/10_nvidia.json",
            icd("libGLX_nvidia.so.0"),
            GLX,
        ),
        (
            "/etc/egl/egl_external_platform.d/15_nvidia_gbm.json",
            "/usr/share/egl/egl_external_platform.d/15_nvidia_gbm.json",
            icd("libGLX_nvidia.so.0"),
            GLX,
        ),
        (
            "/etc/vulkan/implicit_layer.d/nvidia_layers.json",
            "/etc/vulkan/implicit_layer.d/nvidia_layers.json",
            text('{"layers": [{"library_path": "libGLX_nvidia.so.0"}, {"component_layers": []}]}'),
            GLX,
        ),
    ],
)
def test_a_configuration_file_goes_to_one_place_wherever_the_host_has_it(
    path: str, target: str, entry: Entry, libraries: Entries
) -> None:
    inventory = scan({path: entry, **libraries})
    (file,) = files(inventory, "config")
    assert (file.host_path, file.container_paths) == (path, (target,))
    assert findings(inventory) == []


def test_of_the_places_of_a_configuration_file_the_first_is_taken() -> None:
    inventory = scan(
        {VULKAN: icd("libGLX_nvidia.so.0"), VULKAN.replace("/usr/share", "/etc"): icd("libGLX_nvidia.so.0"), **GLX}
    )
    assert [file.host_path for file in files(inventory, "config")] == ["/etc/vulkan/icd.d/nvidia_icd.json"]


def test_a_configuration_file_is_taken_behind_its_link() -> None:
    inventory = scan({VULKAN: link("/opt/icd"), "/opt/icd": icd("libGLX_nvidia.so.0"), **GLX})
    (file,) = files(inventory, "config")
    assert (file.host_path, file.container_paths) == ("/opt/icd", ("/etc/vulkan/icd.d/nvidia_icd.json",))


def test_a_configuration_file_that_names_a_missing_library_is_a_finding_and_injected() -> None:
    inventory = scan({VULKAN: icd("libGLX_nvidia.so.0")})
    assert [file.host_path for file in files(inventory, "config")] == [VULKAN]
    assert findings(inventory) == [
        (
            "warning",
            "dangling-configuration",
            VULKAN,
            (
                f"{VULKAN} names libGLX_nvidia.so.0, which is not injected; programs that read it will not find that"
                " library; install the library, or remove the file"
            ),
        )
    ]


def test_a_32_bit_library_does_not_serve_a_configuration_file() -> None:
    inventory = scan(
        {
            VULKAN: icd("libGLX_nvidia.so.0"),
            f"{LIBDIR}/libGLX_nvidia.so.{VERSION}": library("libGLX_nvidia.so.0", "i386"),
        }
    )
    assert [code for _, code, _, _ in findings(inventory)] == ["dangling-configuration"]


def test_a_library_that_is_named_by_an_absolute_path_is_mounted_there_too() -> None:
    store = "/nix/store/fictional-nvidia-x11/lib"
    inventory = scan(
        {
            VULKAN: icd(f"{store}/libGLX_nvidia.so.0"),
            f"{LIBDIR}/libGLX_nvidia.so.0": link(f"{store}/libGLX_nvidia.so.0"),
            **library_entries("libGLX_nvidia", "libGLX_nvidia.so.0", store),
        }
    )
    (glx,) = (found for found in inventory.libraries if "GLX" in found.file_name)
    assert glx.host_path == f"{store}/libGLX_nvidia.so.{VERSION}"
    assert glx.absolute_paths == (f"{store}/libGLX_nvidia.so.0",)
    assert findings(inventory) == []


@pytest.mark.parametrize(
    "path", ["/nowhere/libGLX_nvidia.so.0", "/usr/bin/nvidia-smi", f"{LIBDIR}/../x86_64-linux-gnu/libGLX_nvidia.so.0"]
)
def test_an_absolute_path_that_leads_to_no_library_of_the_driver_or_climbs_is_a_finding(path: str) -> None:
    inventory = scan({VULKAN: icd(path), **GLX})
    assert all(found.absolute_paths == () for found in inventory.libraries)
    assert [(code, subject) for _, code, subject, _ in findings(inventory)] == [("dangling-configuration", VULKAN)]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (text("{"), "not JSON: line 1, column 2: expecting property name enclosed in double quotes"),
        (text("[]"), "not a JSON object"),
        (text("{}"), "neither ICD nor layer nor layers"),
        (icd("a\\nb"), "not a library name: 'a\\nb'"),
        (icd("a\\u0000b"), "not a library name: 'a\\x00b'"),
        (unreadable("EACCES"), "Permission denied"),
    ],
)
def test_a_configuration_file_that_cannot_be_read_is_injected_with_a_finding(entry: Entry, reason: str) -> None:
    inventory = scan({VULKAN: entry})
    assert [file.host_path for file in files(inventory, "config")] == [VULKAN]
    assert findings(inventory) == [
        (
            "warning",
            "configuration-file",
            VULKAN,
            f"{VULKAN}: {reason}; it is injected as it is; reinstall the package that it belongs to",
        )
    ]


def test_a_configuration_file_that_is_a_dangling_link_is_left_out() -> None:
    inventory = scan({VULKAN: link("nowhere")})
    assert files(inventory, "config") == []
    assert left_out(inventory) == [(VULKAN, "a link that leads to nothing")]


@pytest.mark.parametrize("name", ["nvidia_icd\n- x.json", "nvidia_icd: y.json", "nvidia_icd #.json"])
def test_a_configuration_file_with_an_odd_name_is_left_out(name: str) -> None:
    path = f"/etc/vulkansc/icd.d/{name}"
    inventory = scan({path: icd("libGLX_nvidia.so.0"), **GLX})
    assert files(inventory, "config") == []
    assert left_out(inventory) == [(path.replace("\n", "\\n"), "not a regular file with an ordinary name")]


def test_data_below_a_library_directory_is_mounted_below_every_one() -> None:
    (dll,) = files(scan({f"{LIBDIR}/nvidia/wine/_nvngx.dll": text("")}), "data")
    assert (dll.container_paths, dll.library_relative) == ((), ("nvidia/wine/_nvngx.dll",))


@pytest.mark.parametrize(
    "place",
    [
        f"{LIBDIR}/nvidia/xorg/libglxserver_nvidia.so.{VERSION}",
        f"/usr/lib64/xorg/modules/extensions/libglxserver_nvidia.so.{VERSION}",
        "/usr/lib/xorg/modules/extensions/libglxserver_nvidia.so",
    ],
)
def test_a_module_of_the_x_server_is_mounted_where_both_families_look(place: str) -> None:
    (module,) = files(scan({place: library("libglxserver_nvidia.so")}), "xorg")
    assert (module.host_path, module.container_paths) == (
        place,
        (
            "/usr/lib/xorg/modules/extensions/libglxserver_nvidia.so",
            "/usr/lib64/xorg/modules/extensions/libglxserver_nvidia.so",
        ),
    )


def test_firmware_is_found_in_a_merged_lib() -> None:
    (firmware,) = files(scan({}), "firmware")
    assert (firmware.host_path, firmware.container_paths) == (
        f"/usr/lib/firmware/{FIRMWARE}",
        (f"/lib/firmware/{FIRMWARE}",),
    )


@pytest.mark.parametrize(
    "place",
    ["/usr/lib/firmware/updates/99.9.9-fictional", "/usr/lib/firmware/updates", "/usr/lib/firmware/99.9.9-fictional"],
)
def test_firmware_for_this_kernel_comes_first(place: str) -> None:
    (firmware,) = files(scan({f"{place}/{FIRMWARE}": text("")}), "firmware")
    assert firmware.host_path == f"{place}/{FIRMWARE}"


def test_firmware_of_another_kernel_release_is_not_looked_at() -> None:
    (firmware,) = files(scan({f"/usr/lib/firmware/1.2.3-other/{FIRMWARE}": text("")}), "firmware")
    assert firmware.host_path == f"/usr/lib/firmware/{FIRMWARE}"


def test_a_custom_firmware_path_of_the_kernel_comes_before_all() -> None:
    inventory = scan(
        {
            "/sys/module/firmware_class/parameters/path": text("/var/lib/firmware\n"),
            f"/var/lib/firmware/{FIRMWARE}": text(""),
            f"/usr/lib/firmware/updates/{FIRMWARE}": text(""),
        }
    )
    (firmware,) = files(inventory, "firmware")
    assert (firmware.host_path, firmware.container_paths, firmware.why) == (
        f"/var/lib/firmware/{FIRMWARE}",
        (f"/lib/firmware/{FIRMWARE}",),
        f"firmware of driver {VERSION}, below /var/lib/firmware",
    )


@pytest.mark.parametrize("path", ["", "relative", "/a/../../b", "/a\x1b[2J", "/none", "(null)", "/{release}{0}"])
def test_a_firmware_path_that_leads_nowhere_is_passed_over(path: str) -> None:
    inventory = scan({"/sys/module/firmware_class/parameters/path": text(f"{path}\n")})
    assert [file.host_path for file in files(inventory, "firmware")] == [f"/usr/lib/firmware/{FIRMWARE}"]
    assert findings(inventory) == []


@pytest.mark.parametrize(
    ("path", "directory"), [("/var/x/../lib/firmware", "/var/lib/firmware"), ("/a\x1b[2J", "/a\x1b[2J")]
)
def test_a_firmware_path_that_climbs_or_cannot_be_printed_is_not_followed(path: str, directory: str) -> None:
    inventory = scan(
        {
            "/sys/module/firmware_class/parameters/path": text(f"{path}\n"),
            f"{directory}/{FIRMWARE}": text(""),
        }
    )
    assert [file.host_path for file in files(inventory, "firmware")] == [f"/usr/lib/firmware/{FIRMWARE}"]


def test_a_program_says_the_links_that_lead_to_it_and_only_those() -> None:
    (plain,) = files(inventory_of(minimal_entries()), "binary")
    entries = {**minimal_entries(), SMI: link("/opt/driver/nvidia-smi"), "/opt/driver/nvidia-smi": program()}
    (linked,) = files(inventory_of(entries), "binary")
    assert (plain.host_path, linked.host_path) == (SMI, "/opt/driver/nvidia-smi")
    assert linked.why == f"{plain.why}, through {SMI}"


@pytest.mark.parametrize("path", ["/proc/sys/kernel/osrelease", "/sys/module/firmware_class/parameters/path"])
def test_where_the_kernel_does_not_tell_its_firmware_directories_the_usual_ones_are_searched(path: str) -> None:
    inventory = scan({path: unreadable("EIO")})
    assert [file.host_path for file in files(inventory, "firmware")] == [f"/usr/lib/firmware/{FIRMWARE}"]
    message = f"{path}: Input/output error; it is taken as empty; see what it is with: ls -ld {path}"
    assert findings(inventory) == [("warning", "unreadable", path, message)]


@pytest.mark.parametrize("line", ["", "GPU Firmware: \t N/A\n"], ids=["no line", "N/A"])
def test_firmware_that_no_gpu_runs_may_be_missing(line: str) -> None:
    entries = {
        **without(minimal_entries(), "/usr/lib/firmware"),
        INFORMATION: information(bdf=bdf_of(0), minor=0, uuid=uuid_of(0), extra=line),
    }
    assert findings(inventory_of(entries)) == []


def test_firmware_that_a_gpu_runs_and_that_is_missing_is_noted() -> None:
    entries = {
        **without(minimal_entries(), "/usr/lib/firmware"),
        INFORMATION: information(bdf=bdf_of(0), minor=0, uuid=uuid_of(0), extra=f"GPU Firmware: \t {VERSION}\n"),
    }
    assert findings(inventory_of(entries)) == [
        (
            "note",
            "no-firmware",
            f"nvidia/{VERSION}",
            (
                f"GPU {bdf_of(0)} runs firmware that is not in nvidia/{VERSION} below"
                " /lib/firmware/updates/99.9.9-fictional, /lib/firmware/updates, /lib/firmware/99.9.9-fictional,"
                " /lib/firmware, /firmware; containers do not need it, the GPU does when the module is loaded again;"
                " see that the driver's firmware is still installed"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("entry", "reason", "remedy"),
    [
        (damaged(), "empty file", ""),
        (unreadable("EACCES"), "Permission denied", "; run as a user who may read it"),
        (link("nvidia-smi"), "leads through more than 40 symbolic links", "; remove the link cycle"),
    ],
)
def test_a_program_that_cannot_be_used_is_a_finding(entry: Entry, reason: str, remedy: str) -> None:
    inventory = scan({SMI: entry})
    assert files(inventory, "binary") == []
    assert findings(inventory) == [("warning", "unusable-file", SMI, f"{SMI}: {reason}; it is not injected{remedy}")]


def test_a_program_for_another_machine_is_left_out() -> None:
    inventory = scan({SMI: library(None, "aarch64")})
    assert files(inventory, "binary") == []
    assert left_out(inventory) == [(SMI, "made for 64-bit aarch64, not for x86_64")]


def test_a_program_that_changes_the_host_is_left_out_with_the_reason() -> None:
    inventory = scan({"/usr/bin/nvidia-modprobe": program()})
    assert [file.host_path for file in files(inventory, "binary")] == [SMI]
    assert left_out(inventory) == [("/usr/bin/nvidia-modprobe", "setuid root and works on the host's kernel modules")]


def test_what_the_drivers_own_list_has_and_nobody_found_is_a_finding() -> None:
    listed = (
        '[{"name": "libcuda.so.999.88.77", "type": "LIB", "category": ["cuda"]},'
        ' {"name": "nvidia-smi", "type": "BINARY"},'
        ' {"name": "firmware/gsp_ga10x.bin", "type": "FIRMWARE"},'
        ' {"name": "libcuda.so.1", "type": "SYMLINK"},'
        ' {"name": "libnvidia-fbc.so.999.88.77", "type": "LIB"},'
        ' {"name": "libnvidia-new.so.999.88.77", "type": "LIB", "optional": true}]'
    )
    assert findings(scan({MANIFEST: text(listed)})) == [
        (
            level,
            "manifest",
            f"{name}.so.{VERSION}",
            f"{MANIFEST} lists {name}.so.{VERSION} (LIB), which was not found in the directories that are searched",
        )
        for level, name in (("warning", "libnvidia-fbc"), ("note", "libnvidia-new"))
    ]


def test_what_was_left_out_for_a_reason_is_no_finding_of_the_drivers_list() -> None:
    listed = '[{"name": "libnvidia-gtk3.so.999.88.77", "type": "LIB"}]'
    inventory = scan({MANIFEST: text(listed), f"{LIBDIR}/libnvidia-gtk3.so.{VERSION}": library("libnvidia-gtk3.so.1")})
    assert findings(inventory) == []


def test_a_drivers_list_that_cannot_be_read_is_a_note() -> None:
    assert findings(scan({MANIFEST: text("{}")})) == [
        (
            "note",
            "manifest",
            MANIFEST,
            f"{MANIFEST}: not a JSON array; what was found cannot be compared with the driver's own list",
        )
    ]


def test_sockets_that_are_there_now_are_facts() -> None:
    inventory = scan(
        {
            "/var/run": link("/run"),
            "/run/nvidia-persistenced/socket": {"kind": "socket"},
            "/run/nvidia-fabricmanager/socket": text("no socket"),
            "/tmp/nvidia-mps": {"kind": "dir"},  # noqa: S108 - a fixed name of CUDA's
        }
    )
    assert [(entry.host_path, entry.container_path, entry.problem) for entry in inventory.sockets] == [
        ("/run/nvidia-persistenced/socket", "/run/nvidia-persistenced/socket", ""),
        ("/run/nvidia-fabricmanager/socket", "/run/nvidia-fabricmanager/socket", "not a socket"),
        ("/tmp/nvidia-mps", "/tmp/nvidia-mps", ""),  # noqa: S108
    ]
    assert findings(inventory) == []


def test_sockets_that_cannot_be_looked_at_are_findings() -> None:
    persistenced, mps = "/run/nvidia-persistenced/socket", "/tmp/nvidia-mps"  # noqa: S108 - fixed names
    inventory = scan({"/run/nvidia-persistenced": unreadable("EACCES", "dir"), mps: link(mps)})
    assert inventory.sockets == ()
    assert findings(inventory) == [
        (
            "warning",
            "unusable-file",
            persistenced,
            f"{persistenced}: Permission denied; it is not injected; run as a user who may read it",
        ),
        (
            "warning",
            "unusable-file",
            mps,
            f"{mps}: leads through more than 40 symbolic links; it is not injected; remove the link cycle",
        ),
    ]
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [
        (persistenced, "Permission denied"),
        (mps, "leads through more than 40 symbolic links"),
    ]


@pytest.mark.parametrize(
    ("directory", "libraries"),
    [
        ("/usr/libexec/nvidia/tesla/bin", LIBDIR),
        ("/var/lib/nvidia/bin", LIBDIR),
        ("/opt/elsewhere/bin", "/opt/elsewhere/lib64"),
    ],
)
def test_programs_in_private_directories_are_found(directory: str, libraries: str) -> None:
    entries = without(minimal_entries(), "/usr/bin/nvidia-smi")
    entries |= {
        f"{directory}/nvidia-smi": program(),
        f"{libraries}/libnvidia-encode.so.{VERSION}": library("libnvidia-encode.so.1"),
        "/etc/ld.so.cache": linker_cache(f"{libraries}/libnvidia-encode.so.1"),
    }
    inventory = inventory_of(entries)
    assert [file.host_path for file in inventory.files if file.kind == "binary"] == [f"{directory}/nvidia-smi"]
    assert inventory.findings == ()


def test_an_nvidia_smi_that_is_nowhere_is_a_finding() -> None:
    inventory = inventory_of(without(minimal_entries(), "/usr/bin/nvidia-smi"))
    assert [(finding.level, finding.code, finding.text) for finding in inventory.findings] == [
        (
            "warning",
            "no-nvidia-smi",
            (
                "no nvidia-smi was found, so containers do not have it; install the programs of the user-space driver"
                f" {VERSION}"
            ),
        )
    ]


@pytest.mark.parametrize("kind", ["dir", "fifo", "socket"])
@pytest.mark.parametrize("path", ["/usr/bin/nvidia-debugdump", "/etc/vulkan/icd.d/nvidia_icd.json"])
def test_what_is_no_file_in_the_place_of_one_is_a_finding(kind: str, path: str) -> None:
    inventory = inventory_of({**minimal_entries(), path: {"kind": kind}})
    assert [finding.text for finding in inventory.findings] == [
        f"{path}: not a regular file; it is not injected; see what it is with: ls -ld {path}"
    ]


def test_x_modules_below_a_directory_of_the_drivers_own_are_found() -> None:
    path = f"/usr/lib64/xorg/modules/nvidia/extensions/libglxserver_nvidia.so.{VERSION}"
    inventory = inventory_of({**minimal_entries(), path: library("libglxserver_nvidia.so")})
    assert [file.host_path for file in inventory.files if file.kind == "xorg"] == [path]


def test_a_module_of_another_driver_is_left_out_whatever_its_link_is_called() -> None:
    module = f"{LIBDIR}/nvidia/xorg/libglxserver_nvidia.so.{OTHER_VERSION}"
    asked_for = "/usr/lib/xorg/modules/extensions/libglxserver_nvidia.so"
    inventory = inventory_of({**minimal_entries(), module: library("libglxserver_nvidia.so"), asked_for: link(module)})
    assert [file for file in inventory.files if file.kind == "xorg"] == []
    reasons = {entry.host_path: entry.reason for entry in inventory.left_out}
    assert reasons[module] == f"of driver {OTHER_VERSION}; this one is {VERSION}"


def test_the_vulkan_file_of_32_bit_programs_comes_with_32_bit_libraries() -> None:
    path = "/usr/share/vulkan/icd.d/nvidia_icd.i686.json"
    icd = text('{"file_format_version": "1.0.0", "ICD": {"library_path": "libGLX_nvidia.so.0"}}')
    glx = f"/usr/lib/i386-linux-gnu/libGLX_nvidia.so.{VERSION}"
    inventory = inventory_of({**minimal_entries(), path: icd, glx: library("libGLX_nvidia.so.0", "i386")})
    assert inventory.findings == ()
    plan = build_plan(inventory, BuildOptions())
    assert [(entry.host_path, entry.reason) for entry in plan.left_out if entry.host_path == path] == [
        (path, "32-bit; injected with --compat32")
    ]
    mounts = build_plan(inventory, BuildOptions(compat32=True)).mounts
    assert [mount.container_path for mount in mounts if mount.host_path == path] == [
        "/etc/vulkan/icd.d/nvidia_icd.i686.json"
    ]
    (finding,) = inventory_of({**minimal_entries(), path: icd}).findings
    assert finding.code == "dangling-configuration"
