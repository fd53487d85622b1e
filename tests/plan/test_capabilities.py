from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import UsageError
from cdigen.facts import Driver, DriverFile, Gpu, Inventory, Library, LibraryName
from cdigen.plan.options import CAPABILITIES, BuildOptions, parse_capabilities
from cdigen.plan.plan import build_plan, choose_libraries
from cdigen.records import replace
from tests.plan.inventories import elf, node

NUMBERS = st.integers(0, 7)


def library(name: str, group: str, *needed: str, bits: int = 64) -> Library:
    return Library(
        file_name=f"{name}.so.999.88.77",
        host_path=f"/usr/lib{bits}/{name}.so.999.88.77",
        elf=replace(elf(bits, f"{name}.so.1"), needed=needed),
        group=group,
        why="made up",
        names=(LibraryName(subdir="", name=f"{name}.so.1", why="soname"),),
    )


def inventory(*libraries: Library, files: tuple[DriverFile, ...] = ()) -> Inventory:
    return Inventory(
        driver=Driver(version="999.88.77", machine="x86_64", kernel_version_source=None, libcuda="/usr/lib64/libcuda"),
        libraries=libraries,
        lacking=(),
        files=files,
        sockets=(),
        control_nodes=(),
        gpus=(Gpu(index=0, minor=0, bdf=None, uuid=None, model=None, node=node("/dev/nvidia0"), drm_nodes=()),),
        missing=(),
        failed_reads=(),
        findings=(),
        left_out=(),
    )


@pytest.mark.parametrize(
    ("text", "groups", "has_compat32"),
    [
        ("all", CAPABILITIES, False),
        ("compute", ("compute",), False),
        ("utility,compute", ("compute", "utility"), False),
        (" video , ngx,, ", ("video", "ngx"), False),
        ("compute,compat32", ("compute",), True),
        ("all,compat32", CAPABILITIES, True),
        ("compute,cuda,Utility", ("compute", "Utility", "cuda"), False),
        ("", (), False),
    ],
)
def test_a_list_of_capabilities_is_read_in_any_order(text: str, groups: tuple[str, ...], has_compat32: bool) -> None:
    assert parse_capabilities(text) == (groups, has_compat32)


@pytest.mark.parametrize(
    ("capabilities", "message"),
    [
        (
            ("compute", "cu\nda"),
            (
                "--capabilities: 'cu\\\\nda' is not a capability; use some of compute, utility, graphics, video,"
                " display, ngx, compat32, separated by commas"
            ),
        ),
        ((), "--capabilities: none given; use some of compute, utility, graphics, video, display, ngx, compat32"),
    ],
)
def test_a_capability_that_is_none_is_refused(capabilities: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        BuildOptions(capabilities=capabilities)
    assert str(caught.value) == message


def test_libraries_of_other_groups_are_left_out_with_the_reason() -> None:
    plan = build_plan(
        inventory(library("libcuda", "compute"), library("libnvcuvid", "video")),
        BuildOptions(capabilities=("compute",)),
    )
    assert [mount.container_path for mount in plan.mounts] == [
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        "/usr/lib64/libcuda.so.1",
    ]
    assert [(entry.host_path, entry.reason) for entry in plan.left_out] == [
        ("/usr/lib64/libnvcuvid.so.999.88.77", "of capability video, which is not chosen with --capabilities")
    ]


def test_what_a_chosen_library_needs_is_never_left_out_and_says_who_needs_it() -> None:
    chain = inventory(
        library("libEGL_nvidia", "graphics", "libnvidia-glsi.so.1", "libc.so.6"),
        library("libnvidia-glsi", "compute", "libnvidia-tls.so.1"),
        library("libnvidia-tls", "video", "libEGL_nvidia.so.1"),
        library("libcuda", "compute"),
    )
    assert choose_libraries(chain, ("graphics",)) == {
        "/usr/lib64/libEGL_nvidia.so.999.88.77": "",
        "/usr/lib64/libnvidia-glsi.so.999.88.77": "needed by libEGL_nvidia.so.999.88.77",
        "/usr/lib64/libnvidia-tls.so.999.88.77": "needed by libnvidia-glsi.so.999.88.77",
    }
    why = {mount.why for mount in build_plan(chain, BuildOptions(capabilities=("graphics",))).mounts}
    assert "made up; needed by libEGL_nvidia.so.999.88.77; by soname" in why


def test_what_a_chosen_program_needs_is_there_and_the_others_are_left_out() -> None:
    def program(name: str, group: str, needed: str) -> DriverFile:
        return DriverFile(
            kind="binary",
            host_path=f"/usr/bin/{name}",
            container_paths=(f"/usr/bin/{name}",),
            group=group,
            why="made up",
            elf=replace(elf(64), kind="executable", needed=(needed,)),
        )

    host = inventory(
        library("libnvidia-ml", "utility"),
        library("libcuda", "compute"),
        files=(program("a", "display", "libnvidia-ml.so.1"), program("b", "utility", "libcuda.so.1")),
    )
    plan = build_plan(host, BuildOptions(capabilities=("display",), library_directories=("/lib64",)))
    assert [mount.container_path for mount in plan.mounts] == ["/lib64/libnvidia-ml.so.1", "/usr/bin/a"]
    assert {entry.host_path for entry in plan.left_out} == {"/usr/bin/b", "/usr/lib64/libcuda.so.999.88.77"}


def test_a_need_is_met_by_a_library_of_the_same_word_size() -> None:
    host = inventory(
        library("liba", "video", "libb.so.1", bits=32), library("libb", "compute"), library("libb", "compute", bits=32)
    )
    assert set(choose_libraries(host, ("video",))) == {"/usr/lib32/liba.so.999.88.77", "/usr/lib32/libb.so.999.88.77"}


@given(
    needs=st.dictionaries(NUMBERS, st.sets(NUMBERS), min_size=1),
    groups=st.lists(st.sampled_from(CAPABILITIES), min_size=8, max_size=8),
    capabilities=st.sets(st.sampled_from(CAPABILITIES), min_size=1),
)
def test_the_choice_is_closed_and_has_nothing_that_nobody_asked_for(
    needs: dict[int, set[int]], groups: list[str], capabilities: set[str]
) -> None:
    libraries = tuple(
        library(f"lib{number}", groups[number], *(f"lib{other}.so.1" for other in sorted(needs.get(number, ()))))
        for number in range(8)
    )
    chosen = choose_libraries(inventory(*libraries), tuple(sorted(capabilities)))
    taken = {number for number in range(8) if libraries[number].host_path in chosen}
    assert taken >= {number for number in range(8) if groups[number] in capabilities}
    for number in taken:
        assert taken >= needs.get(number, set())
        needed_by = chosen[libraries[number].host_path]
        assert (needed_by == "") == (groups[number] in capabilities)
        if needed_by:
            name = int(needed_by.removeprefix("needed by lib").partition(".")[0])
            assert number in needs[name]
            assert name in taken
