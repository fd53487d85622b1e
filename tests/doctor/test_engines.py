"""Container engines: which read CDI specs, and from where."""

from __future__ import annotations

import json

import pytest

from cdigen.engines.engines import Engine, check_engines, find_programs, version_commands
from cdigen.host.programs import Answer
from tests.doctor.contexts import context_of, lines
from tests.hosts import Entries, Entry, link, text, unreadable

BOTH = ("/etc/cdi", "/var/run/cdi")
WHERE = "/etc/cdi and /var/run/cdi"
NONE_READS = (  # the last line
    "problem engine engines: no engine here reads CDI specs -> set up one of them as said there, or install podman"
)
FILE: Entry = {"kind": "file"}


def engines_of(entries: Entries, *answers: str | Answer) -> tuple[list[str], tuple[Engine, ...]]:
    """Return the lines and engines of a host whose programs answer so, in the order of the catalog."""
    context = context_of(entries)
    programs = find_programs(context.views.system)
    given = [answer if isinstance(answer, Answer) else Answer(output=answer, failure=None) for answer in answers]
    assert not given or len(given) == len(programs)
    found, engines = check_engines(context, programs, given)
    return lines(found), engines


def test_engines_are_found_in_the_usual_places_and_asked_for_their_version() -> None:
    entries: Entries = {
        "/usr/local/bin/podman": FILE,
        "/opt/bin/docker": FILE,
        "/usr/sbin/dockerd": FILE,
        "/usr/bin/containerd": link("/opt/containerd"),
        "/opt/containerd": FILE,
        "/usr/bin/k3s": {"kind": "dir"},
        "/usr/bin/crio": link("nowhere"),
    }

    assert version_commands(find_programs(context_of(entries).views.system)) == [
        ("/usr/local/bin/podman", "--version"),
        ("/usr/sbin/dockerd", "--version"),
        ("/usr/bin/containerd", "--version"),
    ]


@pytest.mark.parametrize(
    ("program", "answer", "line", "engine"),
    [
        (
            "podman",
            "podman version 4.3.1\n",
            f"podman 4.3.1: /usr/bin/podman reads CDI specs from {WHERE}, cdiVersion 0.5.0 at least",
            Engine(name="podman 4.3.1", directories=BOTH, reads="0.5.0"),
        ),
        (
            "podman",
            "podman version 5.5.1\n",
            "podman 5.5.1: /usr/bin/podman reads CDI specs from /etc/cdi, cdiVersion 0.8.0 at least",
            Engine(name="podman 5.5.1", directories=("/etc/cdi",), reads="0.8.0"),
        ),
        (
            "podman",
            "podman version 6.0.0-dev\n",
            f"podman 6.0.0: /usr/bin/podman reads CDI specs from {WHERE}, cdiVersion 0.8.0 at least",
            Engine(name="podman 6.0.0", directories=BOTH, reads="0.8.0"),
        ),
        (
            "buildah",
            "buildah version 1.39.3 (image-spec 1.1.0, runtime-spec 1.2.0)\n",
            (
                "buildah 1.39.3: /usr/bin/buildah reads CDI specs from /etc/cdi, cdiVersion 0.8.0 at least; containers"
                " with a device start only with crun on cgroup v2"
            ),
            Engine(name="buildah 1.39.3", directories=("/etc/cdi",), reads="0.8.0"),
        ),
        (
            "dockerd",
            "Docker version 28.2.2, build e6534b4\n",
            f"docker 28.2.2: /usr/bin/dockerd reads CDI specs from {WHERE}, cdiVersion 1.0.0 at least",
            Engine(name="docker 28.2.2", directories=BOTH, reads="1.0.0"),
        ),
        (
            "containerd",
            "containerd github.com/containerd/containerd/v2 2.1.4 75cb2b7193e4\n",
            f"containerd 2.1.4: /usr/bin/containerd reads CDI specs from {WHERE}, cdiVersion 0.8.0 at least",
            Engine(name="containerd 2.1.4", directories=BOTH, reads="0.8.0"),
        ),
        (
            "crio",
            "crio version 1.30.2\nVersion: 1.30.2\n",
            f"CRI-O 1.30.2: /usr/bin/crio reads CDI specs from {WHERE}",
            Engine(name="CRI-O 1.30.2", directories=BOTH, reads=None),
        ),
        (
            "nerdctl",
            "nerdctl version 2.1.2\n",
            f"nerdctl 2.1.2: /usr/bin/nerdctl reads CDI specs from {WHERE}, cdiVersion 0.8.0 at least",
            Engine(name="nerdctl 2.1.2", directories=BOTH, reads="0.8.0"),
        ),
    ],
)
def test_an_engine_that_reads_specs_is_ok(program: str, answer: str, line: str, engine: Engine) -> None:
    assert engines_of({f"/usr/bin/{program}": FILE}, answer) == ([f"ok engine {line}"], (engine,))


@pytest.mark.parametrize(
    ("program", "answer", "line"),
    [
        (
            "buildah",
            "buildah version 1.28.2",
            (
                "buildah 1.28.2: /usr/bin/buildah reads no CDI specs; buildah does from 1.36 on -> install"
                " buildah 1.36 or"
                " later, or use podman"
            ),
        ),
        (
            "dockerd",
            "Docker version 24.0.7, build 24.0.7-0ubuntu4",
            (
                "docker 24.0.7: /usr/bin/dockerd reads no CDI specs; docker does from 25.0 on -> install docker 25.0 or"
                " later, or use podman"
            ),
        ),
        (
            "dockerd",
            "Docker version 26.1.5+dfsg1, build a72d7cd",
            (
                "docker 26.1.5: /usr/bin/dockerd has CDI switched off"
                " -> cdigen configure docker --write && systemctl restart docker"
            ),
        ),
        (
            "containerd",
            "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6",
            (
                "containerd 1.7.24: /usr/bin/containerd has CDI switched off"
                " -> cdigen configure containerd --write && systemctl restart containerd"
            ),
        ),
    ],
)
def test_an_engine_that_does_not_is_a_warning_and_a_host_with_no_other_has_a_problem(
    program: str, answer: str, line: str
) -> None:
    assert engines_of({f"/usr/bin/{program}": FILE}, answer) == ([f"warning engine {line}", NONE_READS], ())


def docker(settings: object) -> Entries:
    return {"/usr/sbin/dockerd": FILE, "/etc/docker/daemon.json": text(json.dumps(settings))}


def test_docker_is_switched_by_its_features_and_told_its_directories() -> None:
    entries = docker({"features": {"cdi": True}, "cdi-spec-dirs": ["/srv/cdi"]})
    on = "ok engine docker 26.1.5: /usr/sbin/dockerd reads CDI specs from /srv/cdi, cdiVersion 0.6.0 at least"
    engine = Engine(name="docker 26.1.5", directories=("/srv/cdi",), reads="0.6.0")
    assert engines_of(entries, "Docker version 26.1.5, build x") == ([on], (engine,))

    found, engines = engines_of(docker({"features": {"cdi": False}}), "Docker version 28.2.2, build x")
    assert found[0] == (
        "warning engine docker 28.2.2: /usr/sbin/dockerd has CDI switched off in /etc/docker/daemon.json"
        " -> cdigen configure docker --write && systemctl restart docker"
    )
    assert engines == ()


def test_a_docker_without_its_daemon_is_a_client() -> None:
    assert engines_of({"/usr/bin/docker": FILE}, "Docker version 28.2.2, build x") == (
        [
            (
                "unknown engine docker 28.2.2: /usr/bin/docker is a client without dockerd beside it: the engine is"
                " elsewhere, or it is podman's"
            )
        ],
        (),
    )


def containerd(config: str, **files: str) -> Entries:
    extra = {f"/etc/containerd/conf.d/{name}.toml": text(content) for name, content in files.items()}
    return {"/usr/bin/containerd": FILE, "/etc/containerd/config.toml": text(config), **extra}


@pytest.mark.parametrize(
    ("config", "directories"),
    [
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nenable_cdi = true\n', BOTH),
        (
            'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nenable_cdi = true\ncdi_spec_dirs = ["/srv/cdi"]\n',
            ("/srv/cdi",),
        ),
        ("version = 3\n[plugins.'io.containerd.cri.v1.runtime']\nenable_cdi = true\n", BOTH),
        ("[plugins.cri]\nenable_cdi = true\n", BOTH),
    ],
)
def test_containerd_is_switched_by_the_table_of_each_generation(config: str, directories: tuple[str, ...]) -> None:
    _, engines = engines_of(containerd(config), "containerd containerd.io 1.7.27 05044ec")

    assert engines == (Engine(name="containerd 1.7.27", directories=directories, reads="0.5.0"),)


def test_containerd_reads_what_its_file_imports() -> None:
    off = "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\nenable_cdi = false\n"
    entries = containerd('version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n', a="", b=off)
    found, _ = engines_of(entries, "containerd github.com/containerd/containerd/v2 v2.0.0 x")

    assert found[0] == (
        "warning engine containerd 2.0.0: /usr/bin/containerd has CDI switched off in"
        " /etc/containerd/conf.d/b.toml -> cdigen configure containerd --write && systemctl restart containerd"
    )


def test_a_containerd_that_is_dockers_alone_needs_nothing() -> None:
    found, engines = engines_of(containerd('disabled_plugins = ["cri"]\n'), "containerd containerd.io 1.7.27 05044ec")

    assert found[0] == (
        "ok engine containerd 1.7.27: its CRI plugin is switched off in /etc/containerd/config.toml: Kubernetes"
        " cannot use"
        " it; docker and nerdctl can"
    )
    assert engines == ()


K3S = "/var/lib/rancher/k3s/agent/etc/containerd"


def test_k3s_is_judged_by_the_file_that_it_writes_for_containerd() -> None:
    version = "k3s version v1.31.1+k3s1 (452dbbc1)\ngo version go1.22.5\n"
    program = "/usr/local/bin/k3s"
    off: Entries = {program: FILE, f"{K3S}/config.toml": text("version = 2\n")}
    on: Entries = {program: FILE, f"{K3S}/config.toml": text("version = 3\n")}

    assert engines_of(off, version)[0][0] == (
        f"warning engine k3s 1.31.1: {program} has CDI switched off -> put enable_cdi = true below"
        f' [plugins."io.containerd.grpc.v1.cri"] in {K3S}/config.toml.tmpl and restart k3s'
    )
    assert engines_of(on, version) == (
        [f"ok engine k3s 1.31.1: {program} reads CDI specs from {WHERE}"],
        (Engine(name="k3s 1.31.1", directories=BOTH, reads=None),),
    )
    assert engines_of({program: FILE}, version)[0] == [
        (
            f"unknown engine k3s 1.31.1: {program}: no {K3S}/config.toml says whether CDI is on; if it reads CDI"
            " specs,"
            f" from {WHERE} -> start k3s, which writes that file"
        )
    ]


def directories_of(entries: Entries, answer: str) -> tuple[str, ...]:
    _, (engine,) = engines_of(entries, answer)
    return engine.directories


def test_directories_are_configured_from_the_release_on_that_reads_them_and_the_last_file_counts() -> None:
    one, two = '[engine]\ncdi_spec_dirs = ["/one"]\n', '[engine]\ncdi_spec_dirs = ["/two"]\n'
    entries: Entries = {"/usr/bin/podman": FILE, "/etc/containers/containers.conf": text(one)}
    more = {**entries, "/etc/containers/containers.conf.d/9.conf": text(two)}
    crio: Entries = {
        "/usr/bin/crio": FILE,
        "/etc/crio/crio.conf": text('[crio.runtime]\ncdi_spec_dirs = ["/one"]\n'),
        "/etc/crio/crio.conf.d/10-cdi": text('[crio.runtime]\ncdi_spec_dirs = ["/two"]\n'),
    }
    nerdctl: Entries = {"/usr/bin/nerdctl": FILE, "/etc/nerdctl/nerdctl.toml": text('cdi_spec_dirs = ["/one"]\n')}

    assert directories_of(entries, "podman version 5.4.2") == BOTH
    assert directories_of(entries, "podman version 5.5.0") == ("/one",)
    assert directories_of(more, "podman version 5.6.0") == ("/two",)
    assert directories_of(crio, "crio version 1.30.0") == ("/two",)
    assert directories_of(nerdctl, "nerdctl version 2.1.2") == ("/one",)


CONTAINERS = ("/usr/share/containers", "/etc/containers", "/root/.config/containers")


def podman(version: str, **files: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the lines and the directories of a podman.

    Args:
        version: its version.
        files: the value of cdi_spec_dirs in files of the three places, whose names begin with u, e or r: main files, or
            in d<name> a drop-in and in f<name> one for root.
    """
    entries: Entries = {"/usr/bin/podman": FILE}
    for name, value in files.items():
        place = CONTAINERS["uer".index(name[0])]
        kind = {"": "containers.conf", "d": f"containers.conf.d/{name[2:]}.conf"}.get(
            name[1:2], f"containers.rootful.conf.d/{name[2:]}.conf"
        )
        entries[f"{place}/{kind}"] = text(f"[engine]\ncdi_spec_dirs = {value}\n")
    found, engines = engines_of(entries, f"podman version {version}")
    return found, engines[0].directories


@pytest.mark.parametrize(
    ("files", "directories"),
    [
        ({"e": '["/x", {append=true}]'}, (*BOTH, "/x")),
        ({"e": '["/x"]', "ed1": '[{append=true}, "/y"]'}, ("/x", "/y")),
        # It holds for what follows, until a file says otherwise.
        ({"e": '["/x", {append=true}]', "ed1": '["/y"]', "r": '["/z"]'}, (*BOTH, "/x", "/y", "/z")),
        ({"e": '["/x", {append=true}]', "ed1": '["/y", {append=false}]'}, ("/y",)),
        ({"e": '["/etc/cdi", {append=true}]'}, BOTH),
        ({"u": '["/u"]', "e": '["/e"]', "r": '["/r"]'}, ("/r",)),
        ({"e": '["/e"]', "rd1": '["/rd"]', "ed9": '["/ed"]'}, ("/rd",)),
        ({"e": '["/e"]', "ud1": '["/ud"]', "ef1": '["/ef"]'}, ("/e",)),  # only podman 6 reads these
    ],
)
def test_podman_5_merges_its_files_and_appends_where_told(files: dict[str, str], directories: tuple[str, ...]) -> None:
    found, read = podman("5.8.6", **files)

    assert read == directories
    assert [line.partition(" ")[0] for line in found] == ["ok"]


@pytest.mark.parametrize(
    ("files", "directories"),
    [
        ({"u": '["/u"]', "e": '["/e", {append=true}]'}, (*BOTH, "/e")),  # not of /u
        ({"u": '["/u"]', "e": '["/e"]', "r": '["/r"]'}, ("/r",)),
        ({"u": '["/u"]'}, ("/u",)),
        ({"r": '["/r"]', "ud1": '["/ud"]'}, ("/ud",)),
        ({"e": '["/e"]', "uf1": '["/uf"]'}, ("/uf",)),
        ({"e": '["/e"]', "ef1": '["/ef"]'}, ("/ef",)),
        ({"ud9": '["/ud"]', "ed1": '["/ed"]'}, ("/ud",)),  # by name
        ({"ud1": '["/ud"]', "ed1": '["/ed", {append=true}]'}, (*BOTH, "/ed")),  # of one name the last
    ],
)
def test_podman_6_takes_one_main_file_and_the_drop_ins_of_all_places(
    files: dict[str, str], directories: tuple[str, ...]
) -> None:
    found, read = podman("6.1.1", **files)

    assert read == directories
    assert [line.partition(" ")[0] for line in found] == ["ok"]


@pytest.mark.parametrize("value", ['["/x", {append=1}]', '["/x", {add=true}]', '["/x", 1]', "[[]]"])
def test_an_array_with_another_attribute_is_damaged(value: str) -> None:
    found, _ = podman("6.1.1", e=value)

    assert found[0] == (
        "problem engine /etc/containers/containers.conf: damaged: the directories of CDI specs are not a list of"
        " strings -> correct /etc/containers/containers.conf"
    )


def test_two_engines_of_one_damaged_file_say_so_once() -> None:
    entries: Entries = {
        "/usr/bin/podman": FILE,
        "/usr/bin/buildah": FILE,
        "/etc/containers/containers.conf": text("[engine"),
    }
    found, _ = engines_of(entries, "podman version 5.8.6", "buildah version 1.43.0")

    assert [line.partition(" ")[0] for line in found] == ["problem", "ok", "ok"]


@pytest.mark.parametrize("imported", ["conf.d/b.toml", "conf.d/*.toml"])
def test_containerd_reads_relative_imports_beside_its_file(imported: str) -> None:
    off = "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\nenable_cdi = false\n"
    found, _ = engines_of(containerd(f'version = 3\nimports = ["{imported}"]\n', b=off), "containerd v2.1.9")

    assert found[0].startswith(
        "warning engine containerd 2.1.9: /usr/bin/containerd has CDI switched off in /etc/containerd/conf.d/b.toml"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"features": {"cdi": tru', "not JSON: line 1, column 22: expecting value"),
        ('{"features": {"cdi": "yes"}}', "what switches CDI on is not true or false"),
        ('{"cdi-spec-dirs": "/etc/cdi"}', "the directories of CDI specs are not a list of strings"),
    ],
)
def test_a_damaged_file_of_dockers_is_a_problem_with_its_place(content: str, reason: str) -> None:
    entries: Entries = {"/usr/sbin/dockerd": FILE, "/etc/docker/daemon.json": text(content)}

    found, _ = engines_of(entries, "Docker version 28.2.2, build x")

    assert found[0] == f"problem engine /etc/docker/daemon.json: damaged: {reason} -> correct /etc/docker/daemon.json"


@pytest.mark.parametrize(
    "content", ["version = ", "a = " + "[" * 5000, "a = " + "9" * 5000], ids=["cut", "deep", "long number"]
)
def test_a_damaged_file_of_containerds_is_a_problem_with_its_place(content: str) -> None:
    found, _ = engines_of(containerd(content), "containerd containerd.io 2.0.0 x")

    assert found[0].startswith("problem engine /etc/containerd/config.toml: damaged: not TOML: ")
    assert found[0].endswith(" -> correct /etc/containerd/config.toml")


def test_a_file_that_may_not_be_read_is_unknown() -> None:
    entries: Entries = {
        "/usr/sbin/dockerd": FILE,
        "/etc/docker/daemon.json": unreadable("EACCES"),
    }

    assert engines_of(entries, "Docker version 28.2.2, build x")[0][0] == (
        "unknown engine /etc/docker/daemon.json: Permission denied -> run it as root"
    )


def test_a_program_that_does_not_tell_its_version_is_unknown() -> None:
    entries: Entries = {"/usr/bin/podman": FILE}
    rest = f"; if it reads CDI specs, from {WHERE} -> /usr/bin/podman --version"

    for answer, why in (
        ("hello\x1b[31m", "no version in 'hello\\x1b[31m'"),
        (Answer(output="", failure="no answer within 2 s"), "no answer within 2 s"),
    ):
        found, engines = engines_of(entries, answer)
        assert found == [f"unknown engine podman: /usr/bin/podman: {why}{rest}"]
        assert engines == (Engine(name="podman", directories=BOTH, reads=None),)
    found, _ = engines_of(entries)
    assert found == [f"unknown engine podman: /usr/bin/podman: not run: the host is not this machine{rest}"]


def test_a_host_without_an_engine_is_a_warning_and_a_snapshot_unknown() -> None:
    assert engines_of({})[0] == [
        (
            "warning engine engines: no container engine in /usr/bin, /usr/sbin, /usr/local/bin, /usr/local/sbin, /bin,"
            " /sbin, /opt/bin, /snap/bin; looked for podman, buildah, docker, containerd, CRI-O, nerdctl, k3s, rke2 ->"
            " install one, such as podman"
        )
    ]
    assert lines(check_engines(context_of({}, is_recorded=True), (), ())[0]) == [
        "unknown engine engines: not recorded in the snapshot"
    ]
