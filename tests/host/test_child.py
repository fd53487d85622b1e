"""Work in a process of its own: whatever becomes of it, this process goes on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from cdigen.host.child import ChildError, run_in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMEOUT = 20.0  # far more than anything takes here


def refusal(work: Callable[[], bytes], timeout: float = TIMEOUT, limit: int = 100) -> str:
    with pytest.raises(ChildError) as caught:
        run_in_child(work, timeout=timeout, limit=limit)
    return str(caught.value)


def ended_by(number: signal.Signals | int) -> Callable[[], bytes]:
    def work() -> bytes:
        os.kill(os.getpid(), number)
        return b"not reached"

    return work


def sleep() -> bytes:
    time.sleep(TIMEOUT)
    return b""


@pytest.mark.parametrize("answer", [b"", b"x", b"\0\n" * 50])
def test_what_the_work_returns_is_returned(answer: bytes) -> None:
    assert run_in_child(lambda: answer, timeout=TIMEOUT, limit=100) == answer


def test_an_answer_of_many_pipes_full_is_returned() -> None:
    answer = bytes(range(256)) * 4000
    assert run_in_child(lambda: answer, timeout=TIMEOUT, limit=len(answer)) == answer


def test_an_answer_beyond_the_limit_is_refused() -> None:
    assert refusal(lambda: b"x" * 101) == "an answer of 101 bytes, more than 100"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGKILL, signal.SIGTERM])
def test_a_signal_that_ends_the_work_is_named(number: signal.Signals) -> None:
    assert refusal(ended_by(number)) == f"ended by signal {number.name}"


def test_a_signal_without_a_name_is_numbered() -> None:
    assert refusal(ended_by(signal.SIGRTMIN + 5)) == f"ended by signal {signal.SIGRTMIN + 5}"


def test_work_that_ends_the_process_gives_no_answer() -> None:
    def exits() -> NoReturn:
        os._exit(7)

    assert refusal(exits) == "ended with exit code 7 and no answer"


def test_work_that_raises_gives_no_answer_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def raises() -> bytes:
        raise KeyboardInterrupt

    assert refusal(raises) == "ended with exit code 1 and no answer"
    assert capfd.readouterr() == ("", "")


def test_work_that_hangs_is_killed_at_the_deadline() -> None:
    start = time.monotonic()
    assert refusal(sleep, timeout=0.2) == "no answer within 0.2 s"
    assert 0.2 <= time.monotonic() - start < 3
    with pytest.raises(ChildProcessError):  # nothing of it is left, not even its status
        os.waitpid(-1, os.WNOHANG)


def test_work_that_closes_everything_and_hangs_is_killed_at_the_deadline() -> None:
    def work() -> bytes:
        os.closerange(0, 1000)
        return sleep()

    assert refusal(work, timeout=0.2) == "no answer within 0.2 s"


def test_an_answer_counts_however_long_what_the_work_has_started_lives() -> None:
    def work() -> bytes:
        if os.fork() == 0:
            sleep()
        return b"done"

    start = time.monotonic()
    assert run_in_child(work, timeout=TIMEOUT, limit=4) == b"done"
    assert time.monotonic() - start < 3


def test_what_the_work_has_started_is_killed_with_it(tmp_path: Path) -> None:
    def work() -> bytes:
        pid = os.fork()
        if pid:
            (tmp_path / "pid").write_text(str(pid))
        return sleep()

    assert refusal(work, timeout=0.5) == "no answer within 0.5 s"
    status = f"/proc/{(tmp_path / 'pid').read_text()}/status"
    for _ in range(100):
        try:
            with open(status) as file:
                if "State:\tZ" in file.read():  # killed; whoever adopted it has not looked yet
                    return
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("it lives on")


def test_the_work_has_neither_our_streams_nor_our_environment_nor_core_files() -> None:
    def work() -> bytes:
        links = {os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in (0, 1, 2)}
        return repr((links, dict(os.environ), resource.getrlimit(resource.RLIMIT_CORE)[0])).encode()

    environment = dict(os.environ)
    assert run_in_child(work, timeout=TIMEOUT, limit=100) == b"({'/dev/null'}, {}, 0)"
    assert dict(os.environ) == environment


def test_signals_that_our_process_handles_end_the_work() -> None:
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.signal(number, lambda *_: None) for number in handled}
    try:
        for number in handled:
            assert refusal(ended_by(number)) == f"ended by signal {number.name}"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_no_descriptor_stays_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    run_in_child(lambda: b"", timeout=TIMEOUT, limit=1)
    refusal(ended_by(signal.SIGKILL))
    refusal(sleep, timeout=0.05)
    assert descriptors() == before


def in_another_interpreter(code: str) -> subprocess.CompletedProcess[str]:
    code = f"import os, resource, signal, time\nfrom cdigen.host.child import ChildError, run_in_child\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_a_status_that_the_kernel_does_not_keep_is_no_failure() -> None:
    done = in_another_interpreter(
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "print(run_in_child(lambda: b'x', timeout=20, limit=1))\n"
        "try:\n    run_in_child(os.abort, timeout=20, limit=1)\nexcept ChildError as error:\n    print(error)\n"
    )
    assert (done.stdout, done.stderr) == ("b'x'\nended with no answer\n", "")


def test_ctrl_c_ends_the_work_too(tmp_path: Path) -> None:
    code = (
        "import pathlib\n"
        "def work():\n"
        f"    pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "    os.kill(os.getppid(), signal.SIGINT)\n"
        "    time.sleep(20)\n"
        "try:\n    run_in_child(work, timeout=20, limit=1)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    start = time.monotonic()
    done = in_another_interpreter(code)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
    assert time.monotonic() - start < 10
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text()}")


def test_a_machine_that_can_start_no_process_is_said_to_be_one() -> None:
    # The limit is not for root.
    change_user = "os.setgroups([]); os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else "pass"
    done = in_another_interpreter(
        f"{change_user}\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "try:\n    run_in_child(lambda: b'x', timeout=20, limit=1)\n"
        "except OSError as error:\n    print(error.strerror)\n"
    )
    assert (done.stdout, done.stderr) == ("Resource temporarily unavailable\n", "")
