from __future__ import annotations

import pytest

from cdigen.errors import IncompleteError
from cdigen.findings import Remedy
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from cdigen.records import replace
from tests.hosts import LIBDIR, VERSION, damaged, inventory_of, library, minimal_entries, without

ML, NVVM = f"{LIBDIR}/libnvidia-ml.so.{VERSION}", f"{LIBDIR}/libnvidia-nvvm.so.{VERSION}"
WHY_ML = "nvidia-smi and whoever asks for the state of a GPU open it"
INVENTORY = inventory_of({**without(minimal_entries(), NVVM), ML: damaged()})


def test_a_spec_that_would_lack_a_library_is_refused() -> None:
    with pytest.raises(IncompleteError) as caught:
        build_plan(INVENTORY, BuildOptions())
    assert str(caught.value) == (
        f"the user-space driver {VERSION} is incomplete: {ML} cannot be used: empty file ({WHY_ML}),"
        f" libnvidia-nvvm.so.{VERSION} is missing (libcuda compiles with it); reinstall the user-space driver"
        f" {VERSION}, or leave them out with --allow-incomplete"
    )
    assert caught.value.code == "lacking-library"
    assert [finding.subject for finding in caught.value.findings] == [ML]


def test_what_only_another_group_needs_is_not_lacking() -> None:
    with pytest.raises(IncompleteError, match=r"libnvidia-ml.*or leave it out"):
        build_plan(INVENTORY, BuildOptions(capabilities=("utility",)))
    with pytest.raises(IncompleteError, match=r"libnvidia-nvvm.*or leave it out"):
        build_plan(INVENTORY, BuildOptions(capabilities=("compute",)))
    assert build_plan(INVENTORY, BuildOptions(capabilities=("ngx",))).findings == ()


def test_a_32_bit_library_is_lacking_only_where_32_bit_ones_are_wanted() -> None:
    path = f"/usr/lib/i386-linux-gnu/libcuda.so.{VERSION}"
    inventory = inventory_of({**minimal_entries(), path: library("libcuda.so.1", "i386")})
    assert build_plan(inventory, BuildOptions()).findings == ()
    with pytest.raises(IncompleteError, match=rf"32-bit libnvidia-ptxjitcompiler\.so.{VERSION} is missing"):
        build_plan(inventory, BuildOptions(compat32=True))


def test_a_library_is_named_once_however_many_need_it() -> None:
    twice = replace(INVENTORY, lacking=(*INVENTORY.lacking, *INVENTORY.lacking))
    with pytest.raises(IncompleteError) as caught:
        build_plan(twice, BuildOptions())
    assert str(caught.value).count("libnvidia-nvvm") == 1


def test_many_are_not_all_named() -> None:
    many = tuple(replace(INVENTORY.lacking[1], name=f"lib{number}.so") for number in range(20))
    with pytest.raises(IncompleteError) as caught:
        build_plan(replace(INVENTORY, lacking=many), BuildOptions())
    assert "lib7.so is missing (libcuda compiles with it) and 12 more; " in str(caught.value)


def test_whoever_allows_it_gets_the_spec_and_a_warning_for_each() -> None:
    plan = build_plan(INVENTORY, BuildOptions(allow_incomplete=True))
    assert [(one.level, one.code, one.subject, one.message, one.remedy) for one in plan.findings] == [
        (
            "warning",
            "lacking-library",
            subject,
            f"containers lack a library of the driver: {what}",
            Remedy(f"reinstall the user-space driver {VERSION}"),
        )
        for subject, what in (
            (ML, f"{ML} cannot be used: empty file ({WHY_ML})"),
            (f"libnvidia-nvvm.so.{VERSION}", f"libnvidia-nvvm.so.{VERSION} is missing (libcuda compiles with it)"),
        )
    ]
    whole = build_plan(inventory_of(minimal_entries()), BuildOptions())
    assert {mount.host_path for mount in whole.mounts} - {mount.host_path for mount in plan.mounts} == {ML, NVVM}
