"""The device plugins of a node: whose they are, and whether two serve one resource."""

from __future__ import annotations

import pytest

from cdigen.doctor.kubelet import check_kubelet
from cdigen.doctor.units import check_units
from cdigen.host.programs import Answer
from tests.doctor.contexts import context_of, lines, no_answers
from tests.hosts import Entries, Entry, minimal_entries, unreadable

DIRECTORY = "/var/lib/kubelet/device-plugins"
SOCKET: Entry = {"kind": "socket"}
TWICE = (
    "serve the same resource: the kubelet believes the one that registered last -> take one of them away from this"
    " node; if the vendor's is gone already, its socket is left over: rm"
)


def node(*names: str) -> Entries:
    return minimal_entries() | {f"{DIRECTORY}/{name}": SOCKET for name in names}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), []),
        (("cdigen-nvidia.com-gpu.sock",), []),  # of a kubelet that is gone
        (("kubelet.sock", "other.sock", "kubelet_internal_checkpoint"), []),
        (
            ("kubelet.sock", "cdigen-nvidia.com-gpu.sock", "cdigen-nvidia.com-mig-1g.5gb.sock"),
            [
                f"ok kubelet {DIRECTORY}/cdigen-nvidia.com-{name}.sock: cdigen's device plugin serves here"
                for name in ("gpu", "mig-1g.5gb")
            ],
        ),
        (
            ("kubelet.sock", "nvidia-gpu.sock"),
            [
                (
                    f"ok kubelet {DIRECTORY}/nvidia-gpu.sock: the vendor's device plugin serves here; the specs that it"
                    " writes have hooks"
                )
            ],
        ),
        (
            ("kubelet.sock", "nvidia-gpu.sock", "cdigen-nvidia.com-gpu.sock", "cdigen-nvidia.com-gdrcopy.sock"),
            [
                f"ok kubelet {DIRECTORY}/cdigen-nvidia.com-gdrcopy.sock: cdigen's device plugin serves here",
                (
                    f"warning kubelet {DIRECTORY}/cdigen-nvidia.com-gpu.sock: cdigen's device plugin and the vendor's"
                    f" (nvidia-gpu.sock) {TWICE} {DIRECTORY}/nvidia-gpu.sock"
                ),
            ],
        ),
    ],
)
def test_each_plugin_is_a_line_and_two_of_one_resource_a_warning(names: tuple[str, ...], expected: list[str]) -> None:
    assert lines(check_kubelet(context_of(node(*names)))) == expected


def test_what_cannot_be_read_is_unknown() -> None:
    [line] = check_kubelet(context_of(minimal_entries() | {DIRECTORY: unreadable("EACCES", "dir")}))

    assert (line.level, line.topic, line.code) == ("unknown", "kubelet", "not-permitted")


def test_where_a_pod_keeps_the_spec_units_that_are_not_installed_are_no_matter() -> None:
    context = context_of(minimal_entries(), runner=no_answers)
    missing = Answer(
        output="Id=cdigen.service\nLoadState=not-found\n\nId=cdigen.path\nLoadState=not-found\n", failure=None
    )

    assert check_units(context, missing, has_ours=True, has_pod=True) == ()
    assert {one.code for one in check_units(context, missing, has_ours=True)} == {"unit-not-installed"}
    failed = Answer(output="Id=cdigen.service\nLoadState=loaded\nActiveState=failed\nResult=exit-code\n", failure=None)
    assert [one.code for one in check_units(context, failed, has_ours=True, has_pod=True)] == ["unit-failed"]
