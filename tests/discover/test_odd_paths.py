from __future__ import annotations

import pytest

from cdigen.errors import IncompleteError
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from tests.hosts import (
    LIBDIR,
    OWN_LIBRARIES,
    VERSION,
    Entries,
    char,
    inventory_of,
    library_entries,
    link,
    minimal_entries,
    program,
    user_space_entries,
    without,
)

REASON = "its path has control characters or is not UTF-8, which no spec can hold"

ODD = pytest.mark.parametrize(
    ("odd", "shown"),
    [("a\nb", "a\\nb"), ("a\x1b[2J", "a\\x1b[2J"), ("a\x7f", "a\\x7f"), ("a\x85", "a\\x85"), ("a\udcff", "a\\udcff")],
)


@ODD
def test_a_driver_in_a_directory_that_no_spec_can_name_is_refused(odd: str, shown: str) -> None:
    directory = f"/usr/lib64/nvidia/{odd}"
    with pytest.raises(IncompleteError) as caught:
        inventory_of({**without(minimal_entries(), LIBDIR), **user_space_entries(VERSION, directory)})
    assert str(caught.value) == (
        f"no libcuda.so.{VERSION} can be used (/usr/lib64/nvidia/{shown}/libcuda.so.{VERSION}: {REASON});"
        f" reinstall the user-space driver {VERSION}"
    )


@ODD
def test_a_library_in_such_a_directory_does_not_hide_its_namesake(odd: str, shown: str) -> None:
    directory = f"/usr/lib64/nvidia/{odd}"
    entries: Entries = {
        **without(minimal_entries(), LIBDIR),
        **library_entries("libcuda", "libcuda.so.1", directory),
        **user_space_entries(VERSION, "/usr/lib"),
    }
    inventory = inventory_of(entries)
    assert [found.host_path for found in inventory.libraries] == [f"/usr/lib/{name}" for name in OWN_LIBRARIES]
    path = f"/usr/lib64/nvidia/{shown}/libcuda.so.{VERSION}"
    assert [(finding.subject, finding.text) for finding in inventory.findings] == [
        (path, f"{path}: {REASON}; it is not injected; rename it")
    ]
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [(path, REASON)]


@ODD
def test_a_program_behind_a_link_to_such_a_path_is_a_finding(odd: str, shown: str) -> None:
    entries = {**minimal_entries(), "/usr/bin/nvidia-smi": link(f"/opt/{odd}/smi"), f"/opt/{odd}/smi": program()}
    inventory = inventory_of(entries)
    assert [file.kind for file in inventory.files] == ["firmware"]
    assert [finding.text for finding in inventory.findings] == [
        f"/opt/{shown}/smi: {REASON}; it is not injected; rename it"
    ]


@ODD
def test_a_socket_behind_a_link_to_such_a_path_is_a_finding(odd: str, shown: str) -> None:
    entries: Entries = {**minimal_entries(), "/run/nvidia-persistenced": link(f"/opt/{odd}")}
    entries[f"/opt/{odd}/socket"] = {"kind": "socket"}
    inventory = inventory_of(entries)
    assert inventory.sockets == ()
    assert [finding.subject for finding in inventory.findings] == [f"/opt/{shown}/socket"]


@pytest.mark.parametrize("odd", ["a\nb", "a\udcff"])
def test_a_node_behind_a_link_to_such_a_path_is_as_good_as_missing(odd: str) -> None:
    entries = {**minimal_entries(), "/dev/nvidiactl": link(odd), f"/dev/{odd}": char(195, 255)}
    with pytest.raises(IncompleteError) as caught:
        build_plan(inventory_of(entries), BuildOptions())
    assert str(caught.value) == (
        "/dev/nvidiactl cannot be named: its path has control characters or is not UTF-8, which no spec can hold;"
        " create with: cdigen nodes --create"
    )


def test_a_path_with_spaces_yaml_syntax_or_other_scripts_is_a_path() -> None:
    directory = "/usr/lib64/nvidia/a: - #'\"{é 本"
    inventory = inventory_of({**without(minimal_entries(), LIBDIR), **user_space_entries(VERSION, directory)})
    assert inventory.driver.libcuda == f"{directory}/libcuda.so.{VERSION}"
    assert inventory.findings == ()
