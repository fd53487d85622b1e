"""The package managers' hooks in `systemd/hooks`, run by dpkg, rpm and pacman themselves in a root of their own.

Of the root's programs two are stand-ins that write down how they are called: systemctl, as nothing is booted there, and
cdigen. The packages are made here; what is in the hooks is not touched, and the commands that their comments give to a
package's scripts are taken out of these comments.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.conftest import skipped_where_unavailable
from tests.real.process import require_root, run

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOKS = Path(__file__).parents[2] / "systemd/hooks"

REFRESH = "systemctl --no-block start cdigen-refresh.service"
REMOVE = "cdigen remove"

STAND_IN = """\
#!/bin/sh
echo "${0##*/} $*" >> /calls
"""


class Root:
    """A root directory with a shell, in which systemd seems to run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for directory in ("bin", "usr/bin", "run/systemd/system", "tmp"):
            (path / directory).mkdir(parents=True)
        for applet in ("sh", "grep"):
            shutil.copy("/bin/busybox", path / "bin" / applet)
        for program in ("usr/bin/systemctl", "usr/bin/cdigen"):
            (path / program).write_text(STAND_IN)
            (path / program).chmod(0o755)

    def calls(self) -> list[str]:
        """Return the calls of the stand-ins since this was asked last."""
        path = self.path / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found


@pytest.fixture
def root(tmp_path: Path) -> Root:
    with skipped_where_unavailable():
        require_root()
    return Root(tmp_path / "root")


def in_comments(text: str) -> str:
    """Return the commands that a hook's comments show, which are set in by three blanks."""
    return "\n".join(re.findall(r"^#   (.*)$", text, re.MULTILINE))


class Dpkg:
    """Debian's package manager."""

    def __init__(self, root: Root, place: Path) -> None:
        self._root, self._place = root, place
        for directory in ("updates", "info"):
            (root.path / "var/lib/dpkg" / directory).mkdir(parents=True)
        (root.path / "var/lib/dpkg/status").touch()

    def _install(self, name: str, version: str, files: tuple[str, ...], control: Mapping[str, str]) -> None:
        tree = self._place / name
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "DEBIAN").mkdir(parents=True)
        fields = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody\nDescription: a test\n"
        for part, text in {"control": fields, **control}.items():
            (tree / "DEBIAN" / part).write_text(text)
            (tree / "DEBIAN" / part).chmod(0o755)
        _make_files(tree, files)
        package = self._place / f"{name}.deb"
        run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)])
        self._run("--install", str(package))

    def _run(self, *arguments: str) -> None:
        run(["dpkg", f"--root={self._root.path}", "--force-unsafe-io", *arguments], env={"DPKG_MAINTSCRIPT_DEBUG": "0"})

    def install_cdigen(self, version: str = "1") -> None:
        triggers = (HOOKS / "dpkg.triggers").read_text()
        postinst, separator, prerm = in_comments(triggers).partition("\nfi\n")
        assert separator
        control = {
            "triggers": triggers,
            "postinst": f"#!/bin/sh\nset -e\n{postinst}\nfi\n",
            "prerm": f"#!/bin/sh\nset -e\n{prerm}\n",
        }
        self._install("cdigen", version, (), control)

    def install_driver(self, version: str) -> None:
        files = tuple(f"usr/lib/{name}.so.{version}" for name in ("libcuda", "libnvidia-ml"))
        # As debhelper writes it for every package with a library.
        self._install("driver", version, files, {"triggers": "activate-noawait ldconfig\n"})

    def install_other(self) -> None:
        self._install("other", "1", ("usr/share/other",), {})

    def remove(self, name: str) -> None:
        self._run("--remove", name)


class Rpm:
    """Fedora's, Red Hat's and SUSE's package manager."""

    def __init__(self, root: Root, place: Path) -> None:
        self._root, self._place = root, place

    def _install(self, name: str, version: str, files: tuple[str, ...], scripts: str = "") -> None:
        made = "\n".join(
            f"install -D -m 644 /dev/null %{{buildroot}}/{file}; echo x > %{{buildroot}}/{file}" for file in files
        )
        listed = "\n".join(f"/{file}" for file in files)
        spec = self._place / f"{name}.spec"
        spec.write_text(
            f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: a test\nLicense: none\nBuildArch: noarch\n"
            f"AutoReqProv: no\n%description\na test\n%install\nmkdir -p %{{buildroot}}\n{made}\n{scripts}\n"
            f"%files\n{listed}\n"
        )
        top = self._place / "rpmbuild"
        shutil.rmtree(top, ignore_errors=True)
        run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", "--define", "_build_id_links none", str(spec)])
        (package,) = top.rglob("*.rpm")
        self._run("--upgrade", "--nodeps", str(package))

    def _run(self, *arguments: str) -> None:
        run(["rpm", f"--root={self._root.path}", "--dbpath=/var/lib/rpm", *arguments])

    def install_cdigen(self, version: str = "1") -> None:
        self._install("cdigen", version, (), (HOOKS / "rpm.spec").read_text())

    def install_driver(self, version: str) -> None:
        self._install(
            "driver", version, tuple(f"usr/lib64/{name}.so.{version}" for name in ("libcuda", "libnvidia-ml"))
        )

    def install_other(self) -> None:
        self._install("other", "1", ("usr/share/other",))

    def remove(self, name: str) -> None:
        self._run("--erase", "--nodeps", name)


class Pacman:
    """Arch's package manager."""

    def __init__(self, root: Root, place: Path) -> None:
        self._root, self._place = root, place
        for directory in ("var/lib/pacman/local", "var/cache", "hooks"):
            (root.path / directory).mkdir(parents=True)
        self._config = place / "pacman.conf"
        self._config.write_text("[options]\nArchitecture = any\nSigLevel = Never\nLocalFileSigLevel = Never\n")

    def _install(self, name: str, version: str, files: tuple[str, ...], install: str = "") -> None:
        package = self._place / f"{name}-{version}-1-any.pkg.tar.gz"
        information = f"pkgname = {name}\npkgver = {version}-1\npkgdesc = a test\narch = any\nsize = 1\n"
        members = {".PKGINFO": information, **({".INSTALL": install} if install else {}), **dict.fromkeys(files, "x")}
        with tarfile.open(package, "w:gz") as archive:
            for member, text in members.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        self._run("-U", str(package))

    def _run(self, *arguments: str) -> None:
        path = self._root.path
        places = [f"--root={path}", f"--dbpath={path}/var/lib/pacman", f"--cachedir={path}/var/cache"]
        places += [f"--hookdir={path}/hooks", f"--logfile={path}/log", f"--config={self._config}"]
        run(["pacman", *places, "--noconfirm", *arguments])

    def install_cdigen(self, version: str = "1") -> None:
        hook = (HOOKS / "cdigen.hook").read_text()
        shutil.copy(HOOKS / "cdigen.hook", self._root.path / "hooks/cdigen.hook")
        command = re.search(r"pre_remove\(\) of its \.install file runs\n# `([^`]+)`", hook)
        assert command is not None
        self._install("cdigen", version, ("usr/share/cdigen",), f"pre_remove() {{\n{command[1]}\n}}\n")

    def install_driver(self, version: str) -> None:
        self._install("driver", version, tuple(f"usr/lib/{n}.so.{version}" for n in ("libcuda", "libnvidia-ml")))

    def install_other(self) -> None:
        self._install("other", "1", ("usr/share/other",))

    def remove(self, name: str) -> None:
        self._run("-R", name)


def _make_files(tree: Path, files: tuple[str, ...]) -> None:
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text("x")


@pytest.mark.parametrize("kind", [Dpkg, Rpm, Pacman])
def test_a_package_manager_tells_of_the_driver_and_takes_away_what_was_written(
    kind: type[Dpkg | Rpm | Pacman], root: Root, tmp_path: Path
) -> None:
    place = tmp_path / "packages"
    place.mkdir()
    with skipped_where_unavailable():
        manager = kind(root, place)
        manager.install_cdigen()
        root.calls()

        manager.install_driver("535.1")
        assert root.calls() == [REFRESH]
        manager.install_other()
        assert root.calls() == []
        manager.install_driver("550.1")  # several of its files come and go; one call is enough
        assert set(root.calls()) == {REFRESH}
        manager.install_cdigen("2")
        assert REMOVE not in root.calls()
        manager.remove("driver")
        assert root.calls() == [REFRESH]
        manager.remove("cdigen")
        assert REMOVE in root.calls()
