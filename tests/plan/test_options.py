from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.cdi.validate import find_violations
from cdigen.errors import UsageError
from cdigen.plan.options import BuildOptions

if TYPE_CHECKING:
    from cdigen.schema import Violation


def refusal(**options: object) -> str:
    with pytest.raises(UsageError) as caught:
        BuildOptions(**options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return str(caught.value)


def violations_of_kind(kind: str) -> tuple[Violation, ...]:
    device = {"name": "all", "containerEdits": {"env": ["A=b"]}}
    return find_violations({"cdiVersion": "0.5.0", "kind": kind, "devices": [device]})


@pytest.mark.parametrize("vendor", ["nvidia.com", "ab", "A-b_c.9", "x" * 253])
def test_a_vendor_is_like_a_domain_name(vendor: str) -> None:
    assert BuildOptions(vendor=vendor).vendor == vendor
    assert violations_of_kind(f"{vendor}/gpu") == ()


@pytest.mark.parametrize(
    ("vendor", "shown"),
    [
        ("", ""),
        ("a", "a"),
        ("9nvidia.com", "9nvidia.com"),
        ("nvidia.com.", "nvidia.com."),
        ("nvidia/com", "nvidia/com"),
        ("nvidia.com\n", "nvidia.com\\n"),
        ("é.com", "é.com"),
        ("x" * 254, "x" * 254),
    ],
)
def test_what_is_no_vendor_is_refused(vendor: str, shown: str) -> None:
    assert refusal(vendor=vendor) == (
        f"--vendor {shown}: not a vendor name; use two or more letters, digits, '.', '_' and '-', such as nvidia.com"
    )


@pytest.mark.parametrize("device_class", ["gpu", "ab", "a-b_9", "x" * 63])
def test_a_class_is_a_label(device_class: str) -> None:
    assert BuildOptions(device_class=device_class).device_class == device_class
    assert violations_of_kind(f"nvidia.com/{device_class}") == ()


@pytest.mark.parametrize(
    ("device_class", "shown"),
    [
        ("", ""),
        ("g", "g"),
        ("9gpu", "9gpu"),
        ("gpu-", "gpu-"),
        ("g.pu", "g.pu"),
        ("gpu=all", "gpu=all"),
        ("gpu\n", "gpu\\n"),
        ("x" * 64, "x" * 64),
    ],
)
def test_what_is_no_class_is_refused(device_class: str, shown: str) -> None:
    assert refusal(device_class=device_class) == (
        f"--class {shown}: not a class name; use two or more letters, digits, '_' and '-', such as gpu"
    )


@pytest.mark.parametrize("directory", ["/usr/lib64", "/a b/..c/.d", "/é", "/" + "x" * 1023])
def test_a_library_directory_is_an_absolute_path(directory: str) -> None:
    assert BuildOptions(library_directories=(directory,)).library_directories == (directory,)


@pytest.mark.parametrize(
    ("directory", "shown"),
    [
        ("", ""),
        ("/", "/"),
        ("usr/lib", "usr/lib"),
        ("/usr/lib/", "/usr/lib/"),
        ("/usr//lib", "/usr//lib"),
        ("/usr/./lib", "/usr/./lib"),
        ("/usr/../lib", "/usr/../lib"),
        ("/usr/..", "/usr/.."),
        ("/usr\n/lib", "/usr\\n/lib"),
        ("/usr/lib\n", "/usr/lib\\n"),
        ("/a\x85", "/a\\x85"),
        ("/a\udcff", "/a\\udcff"),
        ("/a\u3000b", "/a\\u3000b"),
        ("/" + "x" * 1024, "/" + "x" * 1024),
    ],
)
def test_what_is_no_absolute_path_is_refused(directory: str, shown: str) -> None:
    assert refusal(library_directories=("/usr/lib64", directory)) == (
        f"--container-lib-dir {shown}: not an absolute path without '.', '..', '//' and a slash at the end; use one"
        " such as /usr/lib64"
    )


def test_a_name_that_cannot_be_printed_is_no_device() -> None:
    assert refusal(devices=("0", "1\n")) == "--device 1\\n: no device has such a name; see: cdigen list"
