"""cdigen device-plugin as a process, and a kubelet that talks to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.cli.conftest import FIXTURES, lack
from tests.cli.program import run_program
from tests.hosts import (
    bdf_of,
    capability_minor,
    kernel_entries,
    link,
    mig_entries,
    minimal_entries,
    text,
    uuid_of,
    write_tree,
)
from tests.kubernetes.background import Background, running, wait_until
from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.messages import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosts import Entries
    from tests.kubernetes.kubelet import Registered

GPU = "nvidia.com/gpu"
SOCKET = "cdigen-nvidia.com-gpu.sock"


class Node:
    """A host with a spec, a kubelet, and the plugin between them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "host"
        self.sockets = Path(tempfile.mkdtemp(prefix="kubelet-"))  # the path of a socket has room for 107 bytes
        self.kubelet = Kubelet(self.sockets / "plugins")

    def make(self, entries: Entries | None = None, *options: str) -> None:
        """Make the host, and its spec as cdigen writes it."""
        write_tree(self.root, minimal_entries(gpus=4) if entries is None else entries, FIXTURES)
        run = self.generate(*options)
        assert run.code == 0, run.err

    def generate(self, *options: str) -> Any:
        return run_program("generate", "--host-root", self.root, *options)

    @contextmanager
    def plugin(self, *options: str, before: tuple[str, ...] = ()) -> Iterator[Background]:
        arguments = ("device-plugin", "--host-root", self.root, "--plugin-dir", self.kubelet.directory)
        with running(self.place, *arguments, "--no-xids", *options, before=before) as background:
            yield background

    def write(self, path: str, content: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    if os.geteuid() != 0:
        lack("making device nodes needs root")
    made = Node(tmp_path)
    yield made
    made.kubelet.stop()
    shutil.rmtree(made.sockets)


def healthy(count: int) -> Any:
    return lambda found: [health for _, health, _ in found] == ["Healthy"] * count


def refusal(plugin: Registered, method: str, request: Any, answer: str) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.call(method, request, answer)
    error: Any = caught.value
    return error.code().name, error.details()


def test_devices_are_registered_listed_and_given_by_their_cdi_names(node: Node) -> None:
    node.make()
    node.kubelet.start()
    with node.plugin() as background:
        plugin = node.kubelet.plugin(GPU)
        found = plugin.wait(healthy(4))

        assert found == [(uuid_of(n), "Healthy", None) for n in range(4)]
        request = plugin.request
        assert (request.version, request.endpoint, request.resource_name) == ("v1beta1", SOCKET, GPU)
        assert request.options.get_preferred_allocation_available
        assert not request.options.pre_start_required
        options = plugin.call("GetDevicePluginOptions", MESSAGES["Empty"](), "DevicePluginOptions")
        assert options == request.options
        assert plugin.allocate([uuid_of(2), uuid_of(0)], [], [uuid_of(1)]) == [
            [f"{GPU}={uuid_of(2)}", f"{GPU}={uuid_of(0)}"],
            [],
            [f"{GPU}={uuid_of(1)}"],
        ]
        assert plugin.call("PreStartContainer", MESSAGES["PreStartContainerRequest"](), "Empty") == MESSAGES["Empty"]()
        assert (node.kubelet.directory / SOCKET).stat().st_mode & 0o777 == 0o600
        assert background.end() == 0
        assert background.said == f"cdigen: {GPU}: 4 devices\ncdigen: registered {GPU} with the kubelet\n"
    assert sorted(os.listdir(node.kubelet.directory)) == ["kubelet.sock"]


def test_a_kubelet_that_comes_late_or_again_is_told_anew(node: Node) -> None:
    node.make()
    node.kubelet.directory.mkdir()
    with node.plugin() as background:
        background.wait_for("waiting for it")
        node.kubelet.start()
        node.kubelet.plugin(GPU).wait(healthy(4))
        for number, empties in ((2, True), (3, False), (4, True)):
            node.kubelet.stop()
            node.kubelet.start(empties=empties)
            node.kubelet.plugin(GPU, number=number).wait(healthy(4))
        assert background.end() == 0


def test_a_kubelet_that_refuses_is_asked_again_and_the_reason_said_once(node: Node) -> None:
    node.make()
    node.kubelet.refuses = "not now\nplease"
    node.kubelet.start()
    with node.plugin() as background:
        background.wait_for("the kubelet does not take")
        time.sleep(1)
        node.kubelet.refuses = ""
        node.kubelet.plugin(GPU).wait(healthy(4))
        background.wait_for("registered")
        assert background.said.count("does not take") == 1
        assert f"cdigen: warning: the kubelet does not take {GPU}: not now\\nplease\n" in background.said


def test_a_device_whose_node_is_gone_is_unhealthy_until_it_is_back(node: Node) -> None:
    node.make()
    node.kubelet.start()
    with node.plugin() as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(healthy(4))
        place = node.root / "dev" / "nvidia2"
        place.unlink()

        found = plugin.wait(lambda found: found[2][1] == "Unhealthy")
        assert [health for _, health, _ in found] == ["Healthy", "Healthy", "Unhealthy", "Healthy"]
        background.wait_for(f"{GPU}: 1 device unhealthy ({uuid_of(2)}): /dev/nvidia2 is gone")
        request = MESSAGES["AllocateRequest"]()
        request.container_requests.add(devices_ids=[uuid_of(2)])
        assert refusal(plugin, "Allocate", request, "AllocateResponse") == (
            "FAILED_PRECONDITION",
            f"{uuid_of(2)} cannot be given to a container: /dev/nvidia2 is gone",
        )

        place.write_text("no node")
        background.wait_for("/dev/nvidia2 is no longer a device node")
        place.unlink()
        os.mknod(place, 0o020666, os.makedev(195, 2))
        plugin.wait(healthy(4))


@pytest.mark.parametrize(
    ("act", "undo", "reason"),
    [
        (
            lambda root: (root / "dev/nvidiactl").unlink(),
            lambda root: os.mknod(root / "dev/nvidiactl", 0o020666, os.makedev(195, 255)),
            "/dev/nvidiactl is gone",
        ),
        (
            lambda root: (root / "usr/bin/nvidia-smi").rename(root / "usr/bin/away"),
            lambda root: (root / "usr/bin/away").rename(root / "usr/bin/nvidia-smi"),
            "/usr/bin/nvidia-smi of the host gone",
        ),
        (
            lambda root: write_tree(root, kernel_entries("999.99.99"), FIXTURES),
            lambda root: write_tree(root, kernel_entries("999.88.77"), FIXTURES),
            "the spec is of driver 999.88.77, and the kernel module is 999.99.99",
        ),
        (
            lambda root: (root / "proc/driver/nvidia").rename(root / "proc/driver/away"),
            lambda root: (root / "proc/driver/away").rename(root / "proc/driver/nvidia"),
            "the kernel module nvidia is not loaded",
        ),
    ],
)
def test_what_all_devices_need_makes_all_unhealthy_until_it_is_back(
    node: Node, act: Any, undo: Any, reason: str
) -> None:
    node.make()
    node.kubelet.start()
    with node.plugin("--interval", "1s") as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(healthy(4))
        act(node.root)
        plugin.wait(lambda found: [health for _, health, _ in found] == ["Unhealthy"] * 4)
        background.wait_for(f"{GPU}: 4 devices unhealthy ({uuid_of(0)}): {reason}\n")
        undo(node.root)
        plugin.wait(healthy(4))


def test_a_gpu_that_the_driver_does_not_list_any_more_is_unhealthy(node: Node) -> None:
    node.make()
    node.kubelet.start()
    with node.plugin("--interval", "1s") as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(healthy(4))
        gpus = node.root / "proc/driver/nvidia/gpus"
        (gpus / bdf_of(1)).rename(node.root / "lost")
        plugin.wait(lambda found: found[1][1] == "Unhealthy")
        background.wait_for(f"({uuid_of(1)}): the driver does not list its GPU any more")
        (node.root / "lost").rename(gpus / bdf_of(1))
        plugin.wait(healthy(4))


def test_a_new_spec_is_a_new_list_at_once_and_none_an_empty_one(node: Node) -> None:
    node.make(None, "--device", "0,1")
    node.kubelet.start()
    with node.plugin("--interval", "1h") as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(healthy(2))
        began = time.monotonic()
        assert node.generate().code == 0
        plugin.wait(healthy(4))
        assert time.monotonic() - began < 5
        (node.root / "etc/cdi/nvidia.yaml").unlink()
        assert plugin.wait(lambda found: not found) == []
        background.wait_for(
            f"cdigen: note: no spec without hooks has a device of {GPU}, so nothing is offered until one is written;"
            " cdigen generate\n"
        )
        assert node.generate().code == 0
        plugin.wait(healthy(4))


def test_without_a_spec_nothing_is_registered_until_there_is_one(node: Node) -> None:
    write_tree(node.root, minimal_entries(), FIXTURES)
    (node.root / "etc/cdi").mkdir(parents=True)
    node.kubelet.start()
    with node.plugin("--interval", "1h") as background:
        background.wait_for("so nothing is offered until one is written")
        time.sleep(0.5)
        assert node.kubelet.registered == []
        assert node.generate().code == 0
        node.kubelet.plugin(GPU).wait(healthy(1))


def test_a_spec_with_hooks_is_not_offered(node: Node) -> None:
    node.make()
    hook = {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook"}
    spec = {
        "cdiVersion": "0.5.0",
        "kind": GPU,
        "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}}],
        "containerEdits": {"hooks": [hook]},
    }
    (node.root / "etc/cdi/nvidia.yaml").unlink()
    node.write("/etc/cdi/vendors.json", json.dumps(spec))
    node.kubelet.start()
    with node.plugin() as background:
        background.wait_for("/etc/cdi/vendors.json has hooks, which run at every container's start")
        time.sleep(0.5)
        assert node.kubelet.registered == []


def mig_host() -> Entries:
    entries = minimal_entries(gpus=2) | mig_entries(1, (1, 0), (2, 0))
    return entries | {
        "/proc/devices": text("Character devices:\n195 nvidia\n508 nvidia-caps\n511 nvidia-uvm\n\nBlock devices:\n"),
    }


def mig_spec() -> str:
    """Return a spec as cdigen writes it with --annotations where NVML tells the profiles."""

    def device(name: str, gpu: int, *capabilities: int, profile: str = "") -> dict[str, object]:
        nodes = [f"/dev/nvidia{gpu}", *(f"/dev/nvidia-caps/nvidia-cap{minor}" for minor in capabilities)]
        annotations = {"annotations": {"cdigen/mig-profile": profile}} if profile else {}
        return {"name": name, **annotations, "containerEdits": {"deviceNodes": [{"path": node} for node in nodes]}}

    devices = [
        device(uuid_of(0), 0),
        *(
            device(f"MIG-{gi}", 1, capability_minor(1, gi), capability_minor(1, gi, 0), profile=f"{gi}g.{5 * gi}gb")
            for gi in (1, 2)
        ),
    ]
    return json.dumps({"cdiVersion": "0.6.0", "kind": GPU, "devices": devices})


def test_each_profile_of_mig_is_a_resource_of_its_own(node: Node) -> None:
    write_tree(node.root, mig_host(), FIXTURES)
    node.write("/etc/cdi/nvidia.yaml", mig_spec())
    node.kubelet.start()
    with node.plugin("--mig-strategy", "mixed") as background:
        assert node.kubelet.plugin(GPU).wait(healthy(1)) == [(uuid_of(0), "Healthy", None)]
        small, large = (node.kubelet.plugin(f"nvidia.com/mig-{name}") for name in ("1g.5gb", "2g.10gb"))
        small.wait(healthy(1))
        large.wait(healthy(1))
        assert small.allocate(["MIG-1"]) == [[f"{GPU}=MIG-1"]]
        assert large.request.endpoint == "cdigen-nvidia.com-mig-2g.10gb.sock"
        request = MESSAGES["AllocateRequest"]()
        request.container_requests.add(devices_ids=["MIG-2"])
        assert refusal(small, "Allocate", request, "AllocateResponse") == (
            "NOT_FOUND",
            "no device MIG-2 of nvidia.com/mig-1g.5gb",
        )
        (node.root / f"dev/nvidia-caps/nvidia-cap{capability_minor(1, 2)}").unlink()
        large.wait(lambda found: found[0][1] == "Unhealthy")
        node.write(
            "/etc/cdi/nvidia.yaml",
            json.dumps(json.loads(mig_spec()) | {"devices": json.loads(mig_spec())["devices"][:2]}),
        )
        large.wait(lambda found: not found)
        assert background.end() == 0
    assert sorted(os.listdir(node.kubelet.directory)) == ["kubelet.sock"]


def test_the_topology_and_what_is_near(node: Node) -> None:
    entries = minimal_entries(gpus=4)
    for n in range(4):
        bdf = bdf_of(n)
        home = f"/sys/devices/pci0000:{n // 2:02x}/0000:{n // 2:02x}:01.0/{bdf}"
        entries = {
            path: entry for path, entry in entries.items() if not path.startswith(f"/sys/devices/pci9999:00/{bdf}")
        }
        entries[f"/sys/bus/pci/devices/{bdf}"] = link(f"../../../devices{home.removeprefix('/sys/devices')}")
        entries[f"{home}/numa_node"] = text("-1\n" if n == 3 else f"{n // 2}\n")
    node.make(entries)
    node.kubelet.start()
    with node.plugin():
        plugin = node.kubelet.plugin(GPU)
        found = plugin.wait(healthy(4))
        ids = [one for one, _, _ in found]
        assert [numa for _, _, numa in found] == [0, 0, 1, None]
        assert plugin.prefer(ids, 2) == ids[:2]
        assert plugin.prefer(ids[1:], 2, [ids[2]]) == ids[1:3]


def test_who_asks_for_what_there_is_not_or_in_no_message_is_told_so_in_a_line(node: Node) -> None:
    node.make()
    node.kubelet.start()
    with node.plugin() as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(healthy(4))
        request = MESSAGES["AllocateRequest"]()
        request.container_requests.add(devices_ids=[uuid_of(0), "no\nsuch"])
        assert refusal(plugin, "Allocate", request, "AllocateResponse") == (
            "NOT_FOUND",
            "no device no\\nsuch of nvidia.com/gpu",
        )
        wanted = MESSAGES["PreferredAllocationRequest"]()
        wanted.container_requests.add(available_deviceIDs=["a", "b", "c", "d", "e"], allocation_size=1)
        assert refusal(plugin, "GetPreferredAllocation", wanted, "PreferredAllocationResponse") == (
            "NOT_FOUND",
            "no device a, b, c and 2 more of nvidia.com/gpu",
        )
        assert refusal(plugin, "Allocate", b"\xff\xff", "AllocateResponse") == (
            "INVALID_ARGUMENT",
            "not a message of the API: no number ends at byte 0",
        )
        code, _ = refusal(plugin, "Allocate", b"\x0a" * (2 << 20), "AllocateResponse")
        assert code == "RESOURCE_EXHAUSTED"
        assert refusal(plugin, "NoSuchMethod", MESSAGES["Empty"](), "Empty")[0] == "UNIMPLEMENTED"
        assert plugin.allocate([uuid_of(0)]) == [[f"{GPU}={uuid_of(0)}"]]
        assert "Traceback" not in background.said


def test_rude_peers_do_not_keep_the_kubelet_out(node: Node) -> None:
    """Garbage, half a greeting, streams that nobody reads: the kubelet's calls are answered all the same."""
    node.make()
    node.kubelet.start()
    with node.plugin() as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(healthy(4))
        path = str(node.kubelet.directory / SOCKET)
        peers = []
        for greeting in (
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n",
            b"\0" * 4096,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
        ):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(path)
            peer.sendall(greeting)
            peers.append(peer)
        channels = [grpc.insecure_channel(f"unix:{path}", options=[("rude", n)]) for n in range(8)]

        def watch(channel: Any) -> Any:
            return channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch")(b"", timeout=20)

        streams = [watch(channel) for channel in channels for _ in range(6)]
        for _ in range(20):
            assert plugin.allocate([uuid_of(3)]) == [[f"{GPU}={uuid_of(3)}"]]
        (node.root / "dev/nvidia0").unlink()
        plugin.wait(lambda found: found[0][1] == "Unhealthy")
        for stream in streams:
            stream.cancel()
        for channel in channels:
            channel.close()
        for peer in peers:
            peer.close()
        assert background.process.poll() is None
        assert "Traceback" not in background.said


def test_a_thousand_devices(node: Node) -> None:
    entries = minimal_entries()
    write_tree(node.root, entries, FIXTURES)
    for n in range(1000):
        (node.root / f"dev/fake{n}").symlink_to("nvidia0")
    devices = [
        {"name": f"GPU-{n:036d}", "containerEdits": {"deviceNodes": [{"path": f"/dev/fake{n}"}]}} for n in range(1000)
    ]
    devices.append({"name": "all", "containerEdits": {"deviceNodes": [{"path": f"/dev/fake{n}"} for n in range(1000)]}})
    node.write("/etc/cdi/nvidia.json", json.dumps({"cdiVersion": "0.5.0", "kind": GPU, "devices": devices}))
    node.kubelet.start()
    with node.plugin():
        plugin = node.kubelet.plugin(GPU)
        ids = [one for one, _, _ in plugin.wait(healthy(1000))]
        assert plugin.prefer(ids, 8) == ids[:8]
        assert plugin.allocate(ids) == [[f"{GPU}={one}" for one in ids]]


NO_INOTIFY = ("unshare", "--user", "--map-root-user", "sh", "-c")
"""What runs a command in a namespace in which it may not have a single inotify."""


def test_without_inotify_the_clock_does_it(node: Node) -> None:
    node.make()
    node.kubelet.start()
    script = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"'
    with node.plugin("--interval", "1s", before=(*NO_INOTIFY, script, "sh")) as background:
        node.kubelet.plugin(GPU).wait(healthy(4))
        assert (
            "cdigen: note: changes of files wake nobody: Too many open files; raise fs.inotify.max_user_instances; they"
            " are looked at every 1 s\n"
        ) in background.said
        node.kubelet.stop()
        node.kubelet.start()
        plugin = node.kubelet.plugin(GPU, number=2)
        plugin.wait(healthy(4))
        (node.root / "dev/nvidia1").unlink()
        plugin.wait(lambda found: found[1][1] == "Unhealthy")


def test_what_watch_says_of_the_spec_counts(node: Node) -> None:
    node.make()
    status = node.place / "status" / "watch.json"
    status.parent.mkdir()
    node.kubelet.start()

    def says(**fields: str) -> None:
        fresh = status.with_suffix(".new")
        fresh.write_text(json.dumps(fields))
        fresh.rename(status)

    with node.plugin("--status", str(status), "--interval", "1h") as background:
        plugin = node.kubelet.plugin(GPU)
        plugin.wait(lambda found: len(found) == 4 and found[0][1] == "Unhealthy")
        background.wait_for("watch.json does not tell: cannot read")
        says(state="true", code="", message="")
        plugin.wait(healthy(4))
        says(state="blocked", code="version-mismatch", message="halves differ")
        plugin.wait(lambda found: found[0][1] == "Unhealthy")
        background.wait_for("halves differ")
        says(state="true", code="", message="")
        plugin.wait(healthy(4))
        says(state="nonsense")
        plugin.wait(lambda found: found[0][1] == "Unhealthy")


def test_probes_are_answered_where_they_are_wanted(node: Node) -> None:
    node.make()
    node.kubelet.directory.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def ask(path: str, method: str = "GET") -> tuple[str, str]:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
            peer.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = b"".join(iter(lambda: peer.recv(4096), b"")).decode()
        head, _, body = answer.partition("\r\n\r\n")
        return head.split("\r\n")[0].removeprefix("HTTP/1.1 "), body

    with node.plugin("--listen", f"127.0.0.1:{port}") as background:
        background.wait_for("waiting for it")
        assert ask("/livez") == ("200 OK", "ok\n")
        assert ask("/readyz") == (
            "503 Service Unavailable",
            f"no kubelet at {node.kubelet.directory}/kubelet.sock: No such file or directory\n",
        )
        node.kubelet.start()
        node.kubelet.plugin(GPU).wait(healthy(4))
        wait_until(lambda: ask("/readyz") == ("200 OK", "ok\n"), lambda: str(ask("/readyz")))
        assert ask("/readyz", "HEAD") == ("200 OK", "")
        assert ask("/") == ("404 Not Found", "there are /livez and /readyz\n")
        assert ask("/livez", "POST") == ("405 Method Not Allowed", "only GET\n")
        with (
            socket.create_connection(("127.0.0.1", port)) as silent,
            socket.create_connection(("127.0.0.1", port)) as loud,
        ):
            loud.sendall(b"x" * 10_000)
            assert ask("/livez") == ("200 OK", "ok\n")
            silent.close()
        (node.root / "dev/nvidiactl").unlink()
        wait_until(lambda: ask("/readyz")[0].startswith("503"), lambda: str(ask("/readyz")))
        assert ask("/readyz")[1] == "/dev/nvidiactl is gone\n"
        assert "Traceback" not in background.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_at_once_when_it_is_told_and_leaves_no_socket(node: Node, number: int) -> None:
    node.make()
    node.kubelet.start()
    with node.plugin() as background:
        node.kubelet.plugin(GPU).wait(healthy(4))
        began = time.monotonic()
        assert background.end(number) == 0
        assert time.monotonic() - began < 5
    assert sorted(os.listdir(node.kubelet.directory)) == ["kubelet.sock"]


NAME = "not a domain and a name; use one such as nvidia.com/gpu"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--kind", "gpu"), 2, f"--kind gpu: {NAME}"),
        (("--resource-name", "a b/c"), 2, f"--resource-name a b/c: {NAME}"),
        (("--interval", "0"), 2, "--interval: less than a second; use one such as 30s"),
        (
            ("--listen", "nowhere"),
            2,
            "--listen nowhere: not an address and a port; use one such as 127.0.0.1:8080, or :8080 for every address",
        ),
        (("--listen", "192.0.2.1:1"), 7, "cannot listen on 192.0.2.1:1: "),
        (
            ("--plugin-dir", f"/{'x' * 90}"),
            2,
            (
                f"--plugin-dir /{'x' * 90}: a socket in it has a path of more than 107 bytes; mount the kubelet's"
                " directory at a shorter path"
            ),
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(options: tuple[str, ...], code: int, message: str) -> None:
    run = run_program("device-plugin", *options)

    assert (run.code, run.out) == (code, "")
    [line] = [line for line in run.err.splitlines() if "error" in line]
    assert line.startswith(f"cdigen: error: {message}")
    assert "Traceback" not in run.err
