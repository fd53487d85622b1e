"""The real libnvidia-ml, asked by the real bindings, on a machine without a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.host import NvmlError
from cdigen.host.live import LiveHost

if TYPE_CHECKING:
    from tests.real.make_driver import HostTree


def test_the_real_library_is_loaded_from_below_the_root_and_says_that_no_driver_runs(driver_debian: HostTree) -> None:
    library = f"/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.{driver_debian.version}"
    with pytest.raises(NvmlError) as caught:
        LiveHost(str(driver_debian.root), procfs="/proc").nvml(library)
    assert str(caught.value) == "nvmlInit: Driver Not Loaded (9)"
