from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cdigen.cdi.model import to_document
from cdigen.cdi.validate import find_violations
from cdigen.errors import IncompleteError
from cdigen.facts import DriverFile, Library, Socket
from cdigen.plan.options import BuildOptions, NameStrategy
from cdigen.plan.plan import (
    CONTAINER_LIBRARY_DIRECTORIES,
    CONTAINER_LIBRARY_DIRECTORIES_32,
    Plan,
    build_plan,
)
from cdigen.plan.spec import build_spec
from cdigen.records import replace
from tests.hosts import (
    LIBDIR,
    OWN_LIBRARIES,
    VERSION,
    Entries,
    gpu_entries,
    information,
    inventory_of,
    library_entries,
    minimal_entries,
    text,
    user_space_entries,
    uuid_of,
    without,
)
from tests.plan.inventories import elf, inventories, node

if TYPE_CHECKING:
    from cdigen.facts import DeviceNode, Gpu, Inventory, MigInstance

DIRECTORIES = st.lists(
    st.sampled_from(["/usr/lib64", "/opt/a b/lib", "/usr/lib", "/lib"]), unique=True, min_size=1, max_size=3
).map(tuple)
OPTIONS = st.builds(
    BuildOptions,
    strategies=st.lists(st.sampled_from(get_args(NameStrategy)), min_size=1, max_size=4).map(tuple),
    library_directories=st.one_of(st.just(()), DIRECTORIES),
    ipc=st.booleans(),
    compat32=st.booleans(),
)

any_inventory = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan_of(entries: Entries, options: BuildOptions | None = None) -> Plan:
    return build_plan(inventory_of(entries), options or BuildOptions())


def device_names(plan: Plan) -> list[str]:
    return [device.name for device in plan.devices]


def container_paths(plan: Plan, kind: type[object]) -> set[str]:
    return {mount.container_path for mount in plan.mounts if isinstance(mount.source, kind)}


@any_inventory
@given(inventory=inventories(), options=OPTIONS)
def test_a_spec_of_any_inventory_is_valid_and_hook_free(inventory: Inventory, options: BuildOptions) -> None:
    assert find_violations(to_document(build_spec(build_plan(inventory, options))), hook_free=True) == ()


@any_inventory
@given(inventory=inventories(), options=OPTIONS)
def test_names_and_container_paths_are_unique(inventory: Inventory, options: BuildOptions) -> None:
    plan = build_plan(inventory, options)
    names, paths = device_names(plan), [mount.container_path for mount in plan.mounts]
    assert len(set(names)) == len(names)
    assert len(set(paths)) == len(paths)
    assert paths == sorted(paths)


@any_inventory
@given(inventory=inventories(), options=OPTIONS)
def test_a_device_has_its_own_nodes_and_all_has_those_of_every_device(
    inventory: Inventory, options: BuildOptions
) -> None:
    *single, every = build_plan(inventory, options).devices
    for device in single:
        (gpu,) = device.gpus
        assert device.nodes == nodes_of(gpu, device.mig)
    offered = [gpu for gpu in inventory.gpus if gpu.mig != ()]
    assert (every.name, list(every.gpus)) == ("all", offered)
    assert set(every.nodes) == {found for gpu in offered for mig in (gpu.mig or [None]) for found in nodes_of(gpu, mig)}
    assert len(set(every.nodes)) == len(every.nodes)


def nodes_of(gpu: Gpu, mig: MigInstance | None) -> tuple[DeviceNode, ...]:
    """Return what a container needs for a GPU, or for a MIG instance of it."""
    assert gpu.node is not None
    if mig is None:
        assert gpu.mig is None, "a GPU that is divided is not offered as a whole"
        return (gpu.node, *gpu.drm_nodes)
    graphics = gpu.drm_nodes if mig.profile == "1g.24gb+gfx" else ()
    return (gpu.node, *mig.nodes, *graphics)


@any_inventory
@given(inventory=inventories(), options=OPTIONS)
def test_no_device_number_and_no_hook_is_written_and_the_environment_is_two_variables(
    inventory: Inventory, options: BuildOptions
) -> None:
    document = to_document(build_spec(build_plan(inventory, options)))
    edits = document["containerEdits"]
    assert isinstance(edits, dict)
    assert set(edits) - {"mounts"} == {"env", "deviceNodes"}
    assert [variable.partition("=")[0] for variable in edits["env"]] == [
        "NVIDIA_VISIBLE_DEVICES",
        "TRITON_LIBCUDA_PATH",
    ]
    nodes = [*edits["deviceNodes"]]
    devices = document["devices"]
    assert isinstance(devices, list)
    for device in devices:
        assert set(device) == {"name", "containerEdits"}
        assert set(device["containerEdits"]) == {"deviceNodes"}
        nodes += device["containerEdits"]["deviceNodes"]
    assert {key for found in nodes for key in found} <= {"path", "hostPath", "fileMode", "permissions", "gid"}
    assert all("fileMode" in found for found in nodes)
    assert all(found.get("hostPath") != found["path"] for found in nodes)


@any_inventory
@given(inventory=inventories(), options=OPTIONS, directories=DIRECTORIES)
def test_libraries_go_to_the_chosen_directories_and_nowhere_else(
    inventory: Inventory, options: BuildOptions, directories: tuple[str, ...]
) -> None:
    inventory = replace(inventory, libraries=tuple(entry for entry in inventory.libraries if entry.elf.bits == 64))
    paths = container_paths(build_plan(inventory, replace(options, library_directories=directories)), Library)
    assert {path for path in paths if not path.startswith(tuple(f"{directory}/" for directory in directories))} == set()


@any_inventory
@given(inventory=inventories(), options=OPTIONS)
def test_what_is_not_mounted_is_left_out_with_a_reason(inventory: Inventory, options: BuildOptions) -> None:
    plan = build_plan(inventory, options)
    known = {mount.host_path for mount in plan.mounts} | {entry.host_path for entry in plan.left_out}
    facts: tuple[Library | DriverFile | Socket, ...] = (*inventory.libraries, *inventory.files, *inventory.sockets)
    assert {fact.host_path for fact in facts} <= known
    assert {entry.host_path for entry in inventory.left_out} <= known
    assert [entry.host_path for entry in plan.left_out] == sorted({entry.host_path for entry in plan.left_out})
    assert all(entry.reason for entry in plan.left_out)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_same_host_in_another_order_gives_the_same_plan(data: st.DataObject) -> None:
    entries = {
        **minimal_entries(gpus=3),
        **library_entries("libnvidia-encode", "libnvidia-encode.so.1", LIBDIR),
        **library_entries("libnvidia-encode", "libnvidia-encode.so.1", "/usr/lib64"),
        **library_entries("libfuture", "libfuture.so.1", LIBDIR),
    }
    shuffled = dict(data.draw(st.permutations(list(entries.items()))))
    assert plan_of(shuffled) == plan_of(entries)


def test_the_first_of_two_files_for_one_place_is_mounted_and_the_other_is_left_out() -> None:
    entries = {**minimal_entries(), "/usr/share/vulkan/icd.d/nvidia_icd.json": text("{}")}
    inventory = inventory_of(entries)
    rival = replace(next(file for file in inventory.files if file.kind == "config"), host_path="/zz/rival.json")
    plan = build_plan(replace(inventory, files=(*inventory.files, rival)), BuildOptions())
    assert "/zz/rival.json" not in {mount.host_path for mount in plan.mounts}
    assert [(entry.host_path, entry.reason) for entry in plan.left_out] == [
        (
            "/zz/rival.json",
            "/usr/share/vulkan/icd.d/nvidia_icd.json is already mounted at /etc/vulkan/icd.d/nvidia_icd.json",
        )
    ]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_libraries_are_mounted_in_both_families_directories(machine: str) -> None:
    plan = plan_of(minimal_entries(machine=machine))
    debian, other = CONTAINER_LIBRARY_DIRECTORIES[machine]
    assert (debian, other) == (f"/usr/lib/{machine}-linux-gnu", "/usr/lib64")
    assert container_paths(plan, Library) == {
        f"{directory}/{name}" for directory in (debian, other) for names in OWN_LIBRARIES.values() for name in names
    }


@pytest.mark.parametrize(
    ("strategies", "names"),
    [
        (("index",), ["0", "1", "all"]),
        (("type-index",), ["gpu0", "gpu1", "all"]),
        (("uuid",), [uuid_of(0), uuid_of(1), "all"]),
        (("index", "uuid"), ["0", uuid_of(0), "1", uuid_of(1), "all"]),
        (("uuid", "index", "uuid"), [uuid_of(0), "0", uuid_of(1), "1", "all"]),
    ],
)
def test_gpus_are_named_by_the_strategies_in_their_order(
    strategies: tuple[NameStrategy, ...], names: list[str]
) -> None:
    assert device_names(plan_of(minimal_entries(gpus=2), BuildOptions(strategies=strategies))) == names


def without_uuids(gpus: int) -> Entries:
    entries = minimal_entries(gpus=0)
    for number in range(gpus):
        made = gpu_entries(number)
        path = next(path for path in made if path.endswith("/information"))
        entries |= {**made, path: information(bdf=path.split("/")[-2], minor=number, uuid=None)}
    return entries


def test_a_gpu_without_a_uuid_has_no_name_by_it() -> None:
    assert device_names(plan_of(without_uuids(2))) == ["0", "1", "all"]
    assert device_names(plan_of(without_uuids(2), BuildOptions(strategies=("uuid",)))) == ["all"]


def test_without_all_every_gpu_has_its_own_names_only() -> None:
    assert device_names(plan_of(minimal_entries(gpus=2), BuildOptions(with_all=False, strategies=("index",)))) == [
        "0",
        "1",
    ]


def test_without_all_and_without_any_name_there_is_nothing_to_ask_for() -> None:
    with pytest.raises(IncompleteError) as caught:
        plan_of(without_uuids(2), BuildOptions(with_all=False, strategies=("uuid",)))
    assert str(caught.value) == ("no GPU has a known UUID, so none would have a name; add --device-name-strategy index")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("gpu", "no device: MIG is enabled on every GPU and there is no MIG device"),
        ("coherent", "no GPU is known to be coherent"),
        ("noncoherent", "no GPU is known to be non-coherent"),
    ],
)
def test_a_spec_without_any_device_is_refused_with_the_reason(mode: str, message: str) -> None:
    inventory = inventory_of(minimal_entries(gpus=2))
    divided = replace(inventory, gpus=tuple(replace(gpu, mig=()) for gpu in inventory.gpus))

    with pytest.raises(IncompleteError) as caught:
        build_plan(divided if mode == "gpu" else inventory, BuildOptions(mode=mode))

    assert caught.value.message.startswith(message)


SOCKETS: Entries = {
    "/run/nvidia-persistenced/socket": {"kind": "socket"},
    "/tmp/nvidia-mps": {"kind": "dir"},  # noqa: S108 - a fixed name of CUDA's
}


def test_sockets_are_mounted_writable_and_only_on_demand() -> None:
    plan = plan_of({**minimal_entries(), **SOCKETS}, BuildOptions(ipc=True))
    assert [
        (mount.host_path, mount.container_path, mount.options)
        for mount in plan.mounts
        if isinstance(mount.source, Socket)
    ] == [(path, path, ("nosuid", "nodev", "noexec", "bind")) for path in SOCKETS]
    assert plan.left_out == ()


def test_sockets_are_left_out_with_the_option_that_takes_them() -> None:
    plan = plan_of({**minimal_entries(), **SOCKETS})
    assert container_paths(plan, Socket) == set()
    assert [(entry.host_path, entry.reason) for entry in plan.left_out] == [
        (
            "/run/nvidia-persistenced/socket",
            "socket of nvidia-persistenced: it stops every container's start when it is gone; injected with --ipc",
        ),
        (
            "/tmp/nvidia-mps",  # noqa: S108
            "pipes of the multi-process service: it stops every container's start when it is gone; injected with --ipc",
        ),
    ]


MPS = "/tmp/nvidia-mps"  # noqa: S108 - a fixed name of CUDA's
MISPLACED: Entries = {"/run/nvidia-persistenced/socket": {"kind": "fifo"}, MPS: {"kind": "socket"}}


def test_what_is_in_a_sockets_place_is_left_out_and_a_finding_where_sockets_are_wanted() -> None:
    entries = {**minimal_entries(), **MISPLACED}
    left_out = [
        (
            "/run/nvidia-persistenced/socket",
            "not a socket, where the socket of nvidia-persistenced should be",
        ),
        (
            MPS,
            "not a directory, where the pipes of the multi-process service should be",
        ),
    ]
    plain, asked = plan_of(entries), plan_of(entries, BuildOptions(ipc=True))
    for plan in (plain, asked):
        assert container_paths(plan, Socket) == set()
        assert [(entry.host_path, entry.reason) for entry in plan.left_out] == left_out
    assert plain.findings == ()
    assert [(finding.level, finding.code, finding.subject, finding.text) for finding in asked.findings] == [
        (
            "warning",
            "not-a-socket",
            "/run/nvidia-persistenced/socket",
            (
                "/run/nvidia-persistenced/socket is not a socket, so containers do not get the socket of"
                " nvidia-persistenced; see what it is with: ls -ld /run/nvidia-persistenced/socket"
            ),
        ),
        (
            "warning",
            "not-a-socket",
            MPS,
            (
                f"{MPS} is not a directory, so containers do not get the pipes of the multi-process service;"
                f" see what it is with: ls -ld {MPS}"
            ),
        ),
    ]


def with_32_bit() -> Entries:
    return {**minimal_entries(), **user_space_entries(VERSION, "/usr/lib/i386-linux-gnu", "i386")}


def test_32_bit_libraries_are_left_out_with_the_option_that_takes_them() -> None:
    plan = plan_of(with_32_bit())
    assert plan.mounts == plan_of(minimal_entries()).mounts
    assert [(entry.host_path, entry.reason) for entry in plan.left_out] == [
        (f"/usr/lib/i386-linux-gnu/{name}", "32-bit; injected with --compat32") for name in OWN_LIBRARIES
    ]


def test_32_bit_libraries_go_to_their_own_directories() -> None:
    plan = plan_of(with_32_bit(), BuildOptions(compat32=True, library_directories=("/usr/lib64",)))
    assert {
        mount.container_path for mount in plan.mounts if mount.host_path.startswith("/usr/lib/i386-linux-gnu/")
    } == {
        f"{directory}/{name}"
        for directory in CONTAINER_LIBRARY_DIRECTORIES_32
        for names in OWN_LIBRARIES.values()
        for name in names
    }
    assert plan.left_out == ()


def test_a_64_bit_library_wins_where_both_word_sizes_would_go() -> None:
    plan = plan_of(with_32_bit(), BuildOptions(compat32=True, library_directories=("/usr/lib",)))
    sources = {mount.container_path: mount.host_path for mount in plan.mounts}
    assert sources["/usr/lib/libcuda.so.1"] == f"{LIBDIR}/libcuda.so.{VERSION}"
    assert sources["/usr/lib/i386-linux-gnu/libcuda.so.1"] == f"/usr/lib/i386-linux-gnu/libcuda.so.{VERSION}"


def test_triton_is_told_the_first_library_directory() -> None:
    plan = plan_of(minimal_entries(), BuildOptions(library_directories=("/opt/b", "/opt/a")))
    assert [(variable.name, variable.value) for variable in plan.env] == [
        ("NVIDIA_VISIBLE_DEVICES", "void"),
        ("TRITON_LIBCUDA_PATH", "/opt/b"),
    ]


def test_a_library_is_also_mounted_where_a_configuration_file_asks_for_it() -> None:
    inventory = inventory_of(minimal_entries())
    first, *rest = inventory.libraries
    absolute = replace(first, absolute_paths=("/nix/store/x/libcuda.so.1",))
    plan = build_plan(replace(inventory, libraries=(absolute, *rest)), BuildOptions())
    (mount,) = (mount for mount in plan.mounts if mount.container_path.startswith("/nix"))
    assert (mount.host_path, mount.why) == (
        first.host_path,
        f"{first.why}; a configuration file names this path",
    )


def test_a_node_that_two_gpus_share_is_once_in_all() -> None:
    inventory = inventory_of(minimal_entries(gpus=2))
    shared = node("/dev/shared")
    gpus = tuple(replace(gpu, drm_nodes=(*gpu.drm_nodes, shared)) for gpu in inventory.gpus)
    every = build_plan(replace(inventory, gpus=gpus), BuildOptions()).devices[-1]
    assert [found.path for found in every.nodes].count("/dev/shared") == 1


@given(inventory=inventories())
@any_inventory
def test_without_the_optional_choices_no_socket_and_no_32_bit_library_is_mounted(inventory: Inventory) -> None:
    assume(any(entry.elf.bits == 32 for entry in inventory.libraries))
    plan = build_plan(inventory, BuildOptions())
    assert container_paths(plan, Socket) == set()
    assert {mount.source.elf.bits for mount in plan.mounts if isinstance(mount.source, Library)} <= {elf(64).bits}


def test_a_host_without_optional_nodes_has_a_plan_without_them() -> None:
    plan = plan_of(without(minimal_entries(), "/dev/nvidia-modeset"))
    assert [found.path for found in plan.nodes] == ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
