"""The choices in a spec's header: what is written is read back, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.catalog.modes import GPU_MODES
from cdigen.errors import ParseError
from cdigen.plan.header_options import Choices, format_choices, parse_choices
from cdigen.plan.options import CAPABILITIES, BuildOptions

PATHS = st.lists(
    st.text("abz019 .-_'\"$#äé", min_size=1, max_size=6).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=3,
).map(lambda parts: "/" + "/".join(parts))


@st.composite
def build_options(draw: st.DrawFn) -> BuildOptions:
    mode = draw(st.sampled_from((*[mode for mode in GPU_MODES if mode != "gpu"], "imex", "gds", "management")))
    by_name = mode in GPU_MODES or mode == "imex"
    return BuildOptions(
        mode=mode,
        vendor=draw(st.sampled_from(("nvidia.com", "example.org"))),
        device_class=draw(st.none() | st.sampled_from(("gpu", "card"))),
        strategies=tuple(draw(st.lists(st.sampled_from(("index", "uuid", "type-index")), min_size=1, max_size=3))),
        with_all=draw(st.booleans()) or not by_name,
        library_directories=tuple(draw(st.lists(PATHS, max_size=3))),
        capabilities=tuple(w for w in CAPABILITIES if draw(st.booleans())) or ("utility",),
        ipc=draw(st.booleans()),
        compat32=draw(st.booleans()),
        allow_incomplete=draw(st.booleans()),
        none_device=mode in GPU_MODES and draw(st.booleans()),
        annotations=draw(st.booleans()),
        additional_gids=draw(st.sampled_from(("auto", "always", "never"))),
        devices=tuple(draw(st.lists(st.sampled_from(("0", "1:0", "GPU-ab cd")), max_size=2))) if by_name else (),
    )


@given(build_options(), st.just("/") | PATHS, st.none() | st.just("/") | PATHS)
def test_what_is_written_is_read_back(options: BuildOptions, driver_root: str, dev_root: str | None) -> None:
    choices = Choices(options=options, driver_root=driver_root, dev_root=dev_root)

    assert parse_choices(format_choices(choices)) == choices


def test_defaults_need_no_text() -> None:
    assert format_choices(Choices(options=BuildOptions())) == ""
    assert format_choices(Choices(options=BuildOptions(mode="gpu"))) == ""
    assert parse_choices("") == Choices(options=BuildOptions())


def test_the_text_is_a_command_line() -> None:
    options = BuildOptions(
        mode="coherent",
        vendor="example.org",
        device_class="card",
        strategies=("uuid",),
        with_all=False,
        library_directories=("/usr/lib 64", "/lib"),
        capabilities=("compute", "utility"),
        ipc=True,
        compat32=True,
        allow_incomplete=True,
        none_device=True,
        annotations=True,
        additional_gids="always",
        devices=("0", "1"),
    )

    text = format_choices(Choices(options=options, driver_root="/run/nvidia/driver", dev_root="/"))

    assert text == (
        "--driver-root=/run/nvidia/driver --dev-root=/ --mode=coherent --vendor=example.org --class=card"
        " --additional-gids=always --device=0 --device=1 --device-name-strategy=uuid"
        " '--container-lib-dir=/usr/lib 64' --container-lib-dir=/lib"
        " --capabilities=compute,utility --no-all --none-device --ipc --compat32 --annotations --allow-incomplete"
    )


@given(st.text(max_size=60) | st.text("-=/ adeilmov'\"\\", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        choices = parse_choices(text)
    except ParseError:
        return
    assert parse_choices(format_choices(choices)) == choices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--output=/etc/passwd", "'--output=/etc/passwd' is not an option of a spec"),
        ("--mode", "'--mode' is not an option of a spec"),
        ("--ipc=1", "'--ipc=1' is not an option of a spec"),
        ("x\x1b[2J", "'x\\\\x1b[2J' is not an option of a spec"),
        ("--additional-gids=auto", "'auto' does not say whether there are groups"),
        ("--mode=uuid", "'uuid' is not a mode"),
        ("--device-name-strategy=coherent", "'coherent' is not a way to name devices"),
        ("--vendor='a", "no options: No closing quotation"),
        (
            "--vendor=!!",
            "--vendor !!: not a vendor name; use two or more letters, digits, '.', '_' and '-', such as nvidia.com",
        ),
        ("--ipc " * 20000, "more than 65536 bytes of options"),
    ],
)
def test_what_is_no_option_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_choices(text)

    assert str(caught.value) == message
