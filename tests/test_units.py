"""The units, and what `make install` puts where."""

from __future__ import annotations

import configparser
import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cdigen import __version__
from cdigen.cli import VERBS

pytestmark = pytest.mark.real  # pip downloads the build backend and the dependencies; systemd-analyze has to be there

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "systemd"
SERVICES = sorted(path.name for path in SOURCES.glob("*.service"))
UNITS = sorted(path.name for path in SOURCES.iterdir() if path.suffix in (".service", ".path", ".target", ".timer"))
PYTHON = "/usr/bin/python3"
MOST_EXPOSURE = 2.0


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without what leads an interpreter back to the checkout."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CDIGEN_", "COV_"))
    }
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**inherited, **environment},
    )


def unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and under CI nothing is skipped")
    pytest.skip(reason)


def make(verb: str, destination: Path, prefix: str) -> str:
    """Run `make install` or `make uninstall` and return what it said."""
    if not Path(PYTHON).exists():
        unavailable(f"there is no {PYTHON} here")
    variables = (f"DESTDIR={destination}", f"PREFIX={prefix}", f"INSTALL_PYTHON={PYTHON}")
    done = run("make", "--silent", "-C", ROOT, verb, *variables)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def files_below(directory: Path) -> set[str]:
    """Return the paths of the files and links below a directory, as they will be seen from there."""
    return {f"/{path.relative_to(directory)}" for path in directory.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what stands for / after an installation below /usr."""
    destination = tmp_path_factory.mktemp("destination")
    make("install", destination, "/usr")
    return destination


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the units, for a prefix that has a program."""
    if not shutil.which("systemd-analyze"):
        unavailable("systemd-analyze is not installed: apt-get install systemd")
    root = tmp_path_factory.mktemp("units")
    places = {"UNITDIR": f"{root}/units", "UDEVDIR": f"{root}/udev", "SYSCONFDIR": f"{root}/etc"}
    done = run(SOURCES / "install", "install-units", PREFIX=str(root), DESTDIR="", **places)
    assert done.returncode == 0, done.stdout
    (root / "bin").mkdir()
    shutil.copy("/bin/true", root / "bin/cdigen")
    return root / "units"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_hardly_exposed(units: Path, service: str) -> None:
    done = run("systemd-analyze", "security", "--no-pager", "--offline=yes", units / service)

    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stdout
    assert float(level[1]) <= MOST_EXPOSURE


def test_systemd_finds_no_fault(units: Path) -> None:
    done = run("systemd-analyze", "verify", "--man=no", *(units / name for name in UNITS), SYSTEMD_LOG_LEVEL="warning")

    ours = [line for line in done.stdout.splitlines() if "cdigen" in line]  # of other units, this machine's have faults
    assert (ours, done.returncode) == ([], 0)


def test_only_what_makes_nodes_has_a_capability() -> None:
    capabilities = {
        name: re.findall(r"^CapabilityBoundingSet=(.*)$", (SOURCES / name).read_text(), re.MULTILINE)
        for name in SERVICES
    }

    assert capabilities == {
        "cdigen-nodes.service": ["CAP_MKNOD CAP_CHOWN"],
        "cdigen-check.service": [""],
        "cdigen-refresh.service": [""],
        "cdigen.service": [""],
    }


def test_the_spec_is_before_services_and_needed_by_none() -> None:
    text = (SOURCES / "cdigen.service").read_text()
    before = [name for line in re.findall(r"^Before=(.*)$", text, re.MULTILINE) for name in line.split()]

    # A socket is up before sysinit is done, and this unit starts after that.
    assert {name.rpartition(".")[2] for name in before} == {"service"}
    assert {"podman.service", "docker.service", "containerd.service", "crio.service", "kubelet.service"} <= set(before)
    assert re.findall(r"^(?:RequiredBy|UpheldBy|RemainAfterExit|Requires)=.*$", text, re.MULTILINE) == []
    assert re.findall(r"^WantedBy=(.*)$", text, re.MULTILINE) == ["multi-user.target"]


def test_every_file_of_the_program_and_its_units_is_where_it_belongs(installed: Path) -> None:
    files = {path for path in files_below(installed) if "/site-packages/" not in path}

    assert files == {
        "/etc/cdigen/cdigen.env",
        "/usr/bin/cdigen",
        "/usr/lib/cdigen/bin/python",
        "/usr/lib/cdigen/cdigen.env",
        "/usr/lib/cdigen/directories",
        "/usr/lib/cdigen/pyvenv.cfg",
        "/usr/lib/systemd/system/nvidia-mig-manager.service.d/cdigen.conf",
        "/usr/lib/udev/rules.d/72-cdigen.rules",
        "/usr/share/bash-completion/completions/cdigen",
        "/usr/share/fish/vendor_completions.d/cdigen.fish",
        "/usr/share/zsh/site-functions/_cdigen",
        "/usr/share/man/man1/cdigen.1",
        *(f"/usr/share/man/man1/cdigen-{verb}.1" for verb in VERBS),
        *(f"/usr/lib/systemd/system/{name}" for name in UNITS),
    }
    assert os.readlink(installed / "usr/lib/cdigen/bin/python") == PYTHON


def test_what_is_installed_below_usr_has_the_units_as_they_are(installed: Path) -> None:
    for name in UNITS:
        assert (installed / "usr/lib/systemd/system" / name).read_text() == (SOURCES / name).read_text()


def test_no_installed_file_has_a_path_of_the_machine_that_made_it(installed: Path) -> None:
    traces = [os.fsencode(path) for path in (installed, ROOT, Path.home() / ".cache")]
    found = [
        path
        for path in files_below(installed)
        if not (installed / path[1:]).is_symlink()
        and any(trace in (installed / path[1:]).read_bytes() for trace in traces)
    ]

    assert found == []


def test_the_program_runs_apart_from_other_packages(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('somebody else's click')\n")
    launcher = installed / "usr/bin/cdigen"
    interpreter, option = launcher.read_text().splitlines()[0].removeprefix("#!").split()

    assert (interpreter, option) == ("/usr/lib/cdigen/bin/python", "-I")
    done = run(installed / interpreter[1:], option, launcher, "--version", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"cdigen {__version__}\n")
    where = "import sys, yaml, pynvml; print(yaml.__with_libyaml__, sys.flags.no_user_site, *sys.path, sep='\\n')"
    answers = run(installed / interpreter[1:], option, "-c", where).stdout.splitlines()
    assert answers[:2] == ["True", "1"]
    assert [path for path in answers[2:] if "-packages" in path] == [
        str(next((installed / "usr/lib/cdigen/lib").glob("python*")) / "site-packages")
    ]


def test_every_module_is_compiled_under_the_path_that_it_will_have(installed: Path) -> None:
    (site,) = (installed / "usr/lib/cdigen/lib").glob("python*/site-packages")
    modules = list(site.rglob("*.py"))
    compiled = {path.name.partition(".")[0] for path in (site / "cdigen").rglob("*.pyc")}

    assert len(modules) == len(list(site.rglob("*.pyc")))
    assert "main" in compiled
    (code,) = (site / "cdigen/__pycache__").glob("main.*.pyc")
    assert f"/{site.relative_to(installed)}/cdigen/main.py".encode() in code.read_bytes()


def test_what_the_packages_say_of_their_files_is_so(installed: Path) -> None:
    (site,) = (installed / "usr/lib/cdigen/lib").glob("python*/site-packages")
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(newline="") as file:
            missing = [name for name, *_ in csv.reader(file) if not (site / name).exists()]
        assert missing == [], record


def test_another_prefix_is_in_the_units_and_all_of_it_goes_away(tmp_path: Path) -> None:
    said = make("install", tmp_path, "/opt/tools")

    assert said == (
        "cdigen is installed; to run it at boot and after changes of the driver:\n"
        "  systemctl enable --now cdigen.service cdigen.path\n"
    )
    # systemd and udev look for nothing below /opt.
    service = (tmp_path / "etc/systemd/system/cdigen.service").read_text()
    assert re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE) == ["/opt/tools/bin/cdigen generate"]
    assert (tmp_path / "etc/udev/rules.d/72-cdigen.rules").exists()
    assert (tmp_path / "opt/tools/bin/cdigen").read_text().startswith("#!/opt/tools/lib/cdigen/bin/python -I\n")

    settings = tmp_path / "etc/cdigen/cdigen.env"
    settings.write_text("CDIGEN_GENERATE_IPC=1\n")
    make("install", tmp_path, "/opt/tools")
    assert settings.read_text() == "CDIGEN_GENERATE_IPC=1\n"

    said = make("uninstall", tmp_path, "/opt/tools")
    assert said == "install: /etc/cdigen/cdigen.env was edited, so it is left there\n"
    assert files_below(tmp_path) == {"/etc/cdigen/cdigen.env"}


def test_settings_that_were_not_edited_go_with_the_program(tmp_path: Path) -> None:
    make("install", tmp_path, "/usr/local")

    assert make("uninstall", tmp_path, "/usr/local") == ""
    assert files_below(tmp_path) == set()


# An uninstallation of this machine, with directories in the places of its own.
UNINSTALL = """\
set -eu
for name in etc run var/lib; do mount --bind "$0/$name" "/$name"; done
[ "$(realpath /var/run)" = /run ] || mount --bind "$0/run" /var/run
exec "$@"
"""
APP = "opt/lib/cdigen"
OURS = "# Written by cdigen 0.0.1 for NVIDIA driver 999.88.77.\n"
PROGRAM = f'#!/bin/sh\nshift 2\nPYTHONPATH={ROOT} exec {sys.executable} -m cdigen "$@"\n'


def uninstall_here(root: Path, program: str, settings: str = "") -> str:
    """Uninstall what is below `root`, where `program` is what runs the installed script; return what it said."""
    if os.geteuid() != 0:
        unavailable("uninstalling needs root")
    for directory in (
        "etc/cdigen",
        "etc/cdi",
        "run/cdi",
        "var/lib/cdigen",
        "opt/bin",
        APP + "/bin",
        "elsewhere",
        "units",
    ):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "opt/bin/cdigen").write_text(f"#!{root}/{APP}/bin/python -I\n")
    (root / APP / "cdigen.env").touch()
    (root / APP / "bin/python").write_text(program)
    for name in ("opt/bin/cdigen", f"{APP}/bin/python"):
        (root / name).chmod(0o755)
    (root / "etc/cdigen/cdigen.env").write_text(settings or "# edited\n")
    for name in ("etc/cdi/nvidia.yaml", "run/cdi/nvidia.yaml", "var/lib/cdigen/nvidia.snapshot.yaml"):
        (root / name).write_text(OURS)
    for name in ("nvidia.yaml", "nvidia-gds.yaml", "facts.yaml"):
        (root / "elsewhere" / name).write_text(OURS)
    (root / "etc/cdi/mine.yaml").write_text("kind: nvidia.com/gpu\n")
    places = {"PREFIX": f"{root}/opt", "UNITDIR": f"{root}/units", "UDEVDIR": f"{root}/udev", "DESTDIR": ""}
    done = run("unshare", "--mount", "sh", "-c", UNINSTALL, root, SOURCES / "install", "uninstall", **places)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_an_uninstallation_takes_away_what_was_written(tmp_path: Path) -> None:
    said = uninstall_here(tmp_path, PROGRAM)

    assert said == (
        "cdigen: removed /etc/cdi/nvidia.yaml\n"
        "cdigen: removed /var/run/cdi/nvidia.yaml\n"
        "cdigen: removed /var/lib/cdigen/nvidia.snapshot.yaml\n"
        "cdigen: removed /var/lib/cdigen\n"
        "install: /etc/cdigen/cdigen.env was edited, so it is left there\n"
    )
    assert files_below(tmp_path) == {
        "/etc/cdi/mine.yaml",
        "/etc/cdigen/cdigen.env",
        "/elsewhere/facts.yaml",
        "/elsewhere/nvidia.yaml",
        "/elsewhere/nvidia-gds.yaml",
    }


def test_an_uninstallation_heeds_the_places_of_the_settings(tmp_path: Path) -> None:
    places = f'#\nCDIGEN_GENERATE_OUTPUT=/no/x.yaml\n CDIGEN_GENERATE_OUTPUT="{tmp_path}/elsewhere/nvidia.yaml" \n'

    said = uninstall_here(tmp_path, PROGRAM, f"{places}CDIGEN_GENERATE_RECORD={tmp_path}/elsewhere/facts.yaml\n")

    assert said.splitlines()[4:-1] == [
        f"cdigen: removed {tmp_path}/elsewhere/facts.yaml",
        f"cdigen: removed {tmp_path}/elsewhere/nvidia-gds.yaml",
        f"cdigen: removed {tmp_path}/elsewhere/nvidia.yaml",
        f"cdigen: no such file: {tmp_path}/elsewhere/facts.yaml",
    ]
    assert files_below(tmp_path) == {"/etc/cdi/mine.yaml", "/etc/cdigen/cdigen.env"}


def test_an_uninstallation_finds_a_record_wherever_it_is(tmp_path: Path) -> None:
    record = tmp_path / "var/lib/cdigen/old/facts.yaml"
    record.parent.mkdir(parents=True)
    record.write_text(OURS)

    said = uninstall_here(tmp_path, PROGRAM, "CDIGEN_GENERATE_RECORD=/var/lib/cdigen/old/facts.yaml\n")

    assert "cdigen: removed /var/lib/cdigen/old/facts.yaml" in said.splitlines()
    assert not record.exists()


@pytest.mark.parametrize(
    "program", ["#!/no/such/python -I\n", "#!/bin/sh\necho broken >&2; exit 1\n", "#!/bin/sh\nkill -9 $$\n"]
)
def test_an_uninstallation_goes_on_where_the_program_is_broken(program: str, tmp_path: Path) -> None:
    said = uninstall_here(tmp_path, program, "CDIGEN_GENERATE_OUTPUT=/opt/cdi/nvidia.yaml\n")

    places = "/etc/cdi, /var/run/cdi, /var/lib/cdigen, /opt/cdi"
    assert said.splitlines()[-2:] == [
        f"install: not everything was removed; look in {places} for files that begin with '# Written by cdigen'",
        "install: /etc/cdigen/cdigen.env was edited, so it is left there",
    ]
    assert not (tmp_path / "opt/bin/cdigen").exists()
    assert (tmp_path / "etc/cdi/nvidia.yaml").read_text() == OURS


PLAIN = "letters, digits and / _ . , + = @ ~ -"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PREFIX": "opt"}, "install: PREFIX=opt is not an absolute path; use one such as /usr/local\n"),
        *(
            ({"PREFIX": f"/opt/{name}"}, f"install: PREFIX=/opt/{shown}: use no characters but {PLAIN}\n")
            for name, shown in (
                ("a&b", "a&b"),
                ("a b", "a b"),
                ("a\tb", "a?b"),
                ("a\nb", "a?b"),
                ("a'b", "a'b"),
                ('a"b', 'a"b'),
                ("a%b", "a%b"),
                ("a$b", "a$b"),
                ("a\\b", "a\\b"),
                ("a|b", "a|b"),
                ("a:b", "a:b"),
                ("a;b", "a;b"),
                ("a*b", "a*b"),
                ("aä", "a??"),
            )
        ),
        ({"SYSCONFDIR": "/e t c"}, f"install: SYSCONFDIR=/e t c: use no characters but {PLAIN}\n"),
        ({"UNITDIR": "/units%n"}, f"install: UNITDIR=/units%n: use no characters but {PLAIN}\n"),
        ({"UDEVDIR": "-rules"}, "install: UDEVDIR=-rules is not an absolute path; use one such as /usr/local\n"),
        ({"PREFIX": "/opt/../usr"}, "install: PREFIX=/opt/../usr has . or .. in it; use the path without\n"),
        (
            {"PREFIX": f"/opt/{'long' * 30}"},
            f"install: PREFIX=/opt/{'long' * 30} is too long for the first line of a script; use a shorter one\n",
        ),
        (
            {"INSTALL_PYTHON": "/bin/false"},
            "install: /bin/false is not Python 3.11 or later; name one with INSTALL_PYTHON=PATH\n",
        ),
    ],
)
def test_what_cannot_be_installed_is_said_in_a_line(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    done = run(SOURCES / "install", "install", DESTDIR=str(tmp_path), **variables)

    assert done.returncode != 0
    assert done.stdout == message
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_whose_path_a_line_cannot_have_is_refused(tmp_path: Path) -> None:
    interpreter = tmp_path / "a\nb"
    interpreter.symlink_to(PYTHON)
    destination = tmp_path / "destination"
    destination.mkdir()

    done = run(SOURCES / "install", "install", DESTDIR=str(destination), INSTALL_PYTHON=str(interpreter))

    reason = "is at a path that pyvenv.cfg cannot have; name another with INSTALL_PYTHON=PATH"
    assert (done.returncode, done.stdout) == (1, f"install: {tmp_path}/a?b {reason}\n")
    assert list(destination.iterdir()) == []


def test_a_prefix_of_every_character_that_it_may_have_is_one_that_runs(tmp_path: Path) -> None:
    prefix = f"{tmp_path}/-Az0_.,+=@~-"
    places = {"UNITDIR": f"{tmp_path}/units", "UDEVDIR": f"{tmp_path}/udev", "SYSCONFDIR": f"{tmp_path}/e,t=c"}
    settings = {"PREFIX": f"{prefix}//", "INSTALL_PYTHON": PYTHON, "DESTDIR": "", **places}
    done = run(SOURCES / "install", "install", **settings)
    assert done.returncode == 0, done.stdout
    units = Path(places["UNITDIR"])

    started = [
        shlex.split(line)
        for name in ("cdigen.service", "cdigen-nodes.service")
        for line in re.findall(r"^ExecStart=(.*)$", (units / name).read_text(), re.MULTILINE)
    ]
    assert started == [[f"{prefix}/bin/cdigen", "generate"], [f"{prefix}/bin/cdigen", "nodes", "--create"]]
    for command, *arguments in started:
        assert run(command, *arguments, "--help").returncode == 0
    files = re.findall(r"^EnvironmentFile=-(.*)$", (units / "cdigen.service").read_text(), re.MULTILINE)
    assert files == [f"{tmp_path}/e,t=c/cdigen/cdigen.env"]
    assert Path(files[0]).exists()
    if shutil.which("systemd-analyze"):
        done = run("systemd-analyze", "verify", "--man=no", *(units / name for name in UNITS))
        assert [line for line in done.stdout.splitlines() if "cdigen" in line] == []

    with_nothing_of_ours = {"PREFIX": f"{prefix}//", "INSTALL_PYTHON": PYTHON, "DESTDIR": "/", **places}
    assert run(SOURCES / "install", "uninstall", **with_nothing_of_ours).stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("destination", ["a&b, 'c' \"d\" %n $HOME \\e ä", "-rf", "line\nbreak"])
def test_a_destination_may_have_any_name(destination: str, tmp_path: Path) -> None:
    place = tmp_path / destination
    place.mkdir()
    (place / "usr/bin").mkdir(parents=True)
    (place / "usr/bin/other").touch()
    (place / "usr/lib/udev").mkdir(parents=True)
    before = sorted(place.rglob("*"))
    settings = {"PREFIX": "/usr", "INSTALL_PYTHON": PYTHON, "DESTDIR": str(place)}

    done = run(SOURCES / "install", "install", **settings)
    assert (done.returncode, done.stdout.count("\n")) == (0, 2), done.stdout
    assert (place / "usr/bin/cdigen").read_text().startswith("#!/usr/lib/cdigen/bin/python -I\n")

    done = run(SOURCES / "install", "uninstall", **settings)
    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(place.rglob("*")) == before  # empty directories that were there too
    assert [path.name for path in tmp_path.iterdir()] == [destination]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("opt/lib/cdigen/mine", "", "/opt/lib/cdigen is something else; use another PREFIX"),
        (
            "opt/bin/cdigen",
            "#!/usr/bin/python3\n",
            "/opt/bin/cdigen is another cdigen; remove that first, or use another PREFIX",
        ),
        (
            "etc/systemd/system/cdigen.service",
            "ExecStart=/opt/other/bin/cdigen generate\n",
            "the units in /etc/systemd/system are of another cdigen; uninstall that first, with its PREFIX",
        ),
    ],
)
def test_what_somebody_else_has_put_there_stays(path: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(content)
    before = sorted(tmp_path.rglob("*"))
    settings = {"PREFIX": "/opt", "INSTALL_PYTHON": PYTHON, "DESTDIR": str(tmp_path)}

    assert run(SOURCES / "install", "install", **settings).stdout == f"install: {message}\n"
    assert run(SOURCES / "install", "uninstall", **settings).stdout == (
        "install: what is in /opt/lib/cdigen, /opt/bin and "
        "/etc/systemd/system is not of this PREFIX alone; nothing was removed\n"
    )
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / path).read_text() == content


def test_every_hook_starts_the_one_unit_that_is_there_for_it() -> None:
    hooks = sorted(path for path in (SOURCES / "hooks").iterdir())

    assert [path.name for path in hooks] == ["cdigen.hook", "dpkg.triggers", "rpm.spec"]
    for path in hooks:
        started = set(re.findall(r"systemctl --no-block start (\S+)", path.read_text()))
        assert started == {"cdigen-refresh.service"}, path
        assert "cdigen remove" in path.read_text(), path  # when the package is removed


def test_the_hook_for_pacman_is_one() -> None:
    # alpm-hooks(5): an INI file; keys may be repeated.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((SOURCES / "hooks/cdigen.hook").read_text())

    assert {section: list(parser[section]) for section in parser.sections()} == {
        "Trigger": ["Operation", "Type", "Target"],
        "Action": ["Description", "When", "Exec"],
    }


def test_the_triggers_for_dpkg_are_taken(tmp_path: Path) -> None:
    control = tmp_path / "tree/DEBIAN"
    control.mkdir(parents=True)
    (control / "control").write_text(
        "Package: cdigen\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: triggers\n"
    )
    shutil.copy(SOURCES / "hooks/dpkg.triggers", control / "triggers")
    root = tmp_path / "root"
    for directory in ("updates", "info", "triggers"):
        (root / "var/lib/dpkg" / directory).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    package = tmp_path / "cdigen.deb"
    assert run("dpkg-deb", "--root-owner-group", "--build", tmp_path / "tree", package).returncode == 0
    done = run("dpkg", f"--root={root}", "--force-not-root", "--force-script-chrootless", "--install", package)

    assert done.returncode == 0, done.stdout
    assert (root / "var/lib/dpkg/triggers/ldconfig").read_text() == "cdigen/noawait\n"
