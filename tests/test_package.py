"""The package as others get it: wheel, source distribution, editable install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen import __version__
from tests.test_layout import tracked_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

real = pytest.mark.real  # pip downloads the dependencies

ROOT = Path(__file__).parents[1]
HOST = ROOT / "golden" / "rocky9-615"
SCHEMAS = {f"cdigen/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()}
OFFLINE = ("NewConnectionError", "Temporary failure in name resolution", "No matching distribution found", "timed out")
STRAYS = (
    ".env",
    ".venv/lib/click.py",
    "core",
    "cdigen/core",
    "cdigen/x.py",
    "cdigen/verbs/__pycache__/x.cpython-311.pyc",
    "cdigen/new/__init__.py",
    "dist/old.whl",
    "docs/draft.md",
    "golden/mine/snapshot.yaml",
    "packaging/x.py",
    "schemas/draft.schema.json",
    "systemd/mine.service",
    "tests/test_x.py",
    "tests/__pycache__/x.pyc",
)
"""What may lie in a checkout that is no part of it."""


def run(
    *command: str | Path, cwd: Path | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without what leads the interpreter back to the checkout; skip the test if it needs the network."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CDIGEN_", "COV_"))}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**env, **(variables or {})},
    )
    said = done.stdout + done.stderr
    if done.returncode and any(sign in said for sign in OFFLINE):
        reason = f"{Path(str(command[0])).name} reaches no package index: {said.strip().splitlines()[-1]}"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and under CI nothing is skipped")
        pytest.skip(reason)
    assert done.returncode == 0, said[-4000:]
    return done


def build(sources: Path, place: Path, *what: str, variables: Mapping[str, str] | None = None) -> Path:
    """Build packages of `sources` in `place`, which is returned; with the backend that is here, without a network."""
    run(sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", place, sources, variables=variables)
    return place


def only(place: Path, pattern: str) -> Path:
    (path,) = place.glob(pattern)
    return path


def names_in(package: Path) -> set[str]:
    """Return the names of the files in a wheel, or in a source distribution below its one directory."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            return set(archive.namelist())
    with tarfile.open(package) as tar:
        return {member.name.partition("/")[2] for member in tar.getmembers()}


@pytest.fixture(scope="module")
def tracked() -> frozenset[str]:
    """Return the paths of the files that are in the repository; the schemas are below the package too."""
    return frozenset(tracked_files()) - {"cdigen/schemas"} | SCHEMAS


@pytest.fixture(scope="module")
def sources(tracked: frozenset[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with strays in it."""
    checkout = tmp_path_factory.mktemp("sources")
    for name in tracked - SCHEMAS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    (checkout / "cdigen/schemas").symlink_to("../schemas")
    run("git", "init", "--quiet", checkout)
    run("git", "add", "--all", cwd=checkout)
    for name in STRAYS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("raise SystemExit('not ours')\n")
    return checkout


@pytest.fixture(scope="module")
def dist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the source distribution and the wheel that was built from it."""
    return build(sources, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return only(dist, "*.whl")


@pytest.fixture(scope="module")
def unpacked(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the source distribution, unpacked."""
    place = tmp_path_factory.mktemp("unpacked")
    run("tar", "-xf", only(dist, "*.tar.gz"), "-C", place)
    return only(place, "*")


@pytest.fixture(scope="module")
def make_venv(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def do(*requirements: str | Path) -> Path:
        place = tmp_path_factory.mktemp("venv")
        run(sys.executable, "-m", "venv", place)
        run(place / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements)
        return place

    return do


def assert_works(venv: Path, cwd: Path) -> None:
    """Check that the installed program finds everything that it needs, from a directory that is not the checkout."""
    cdigen = venv / "bin" / "cdigen"
    options = (HOST / "arguments").read_text().split() if (HOST / "arguments").exists() else []
    cwd.mkdir(exist_ok=True)

    assert run(cdigen, "--version", cwd=cwd).stdout == f"cdigen {__version__}\n"
    run(cdigen, "generate", "--snapshot", HOST / "snapshot.yaml", *options, "-o", "nvidia.yaml", cwd=cwd)
    assert (cwd / "nvidia.yaml").read_bytes() == (HOST / "nvidia.yaml").read_bytes()
    validated = run(venv / "bin" / "python", "-m", "cdigen", "validate", "--hook-free", "nvidia.yaml", cwd=cwd)
    assert validated.stdout.startswith("nvidia.yaml: valid, ")


def test_a_wheel_has_the_tracked_files_of_the_package_and_nothing_else(wheel: Path, tracked: frozenset[str]) -> None:
    about = f"cdigen-{__version__}.dist-info"

    assert names_in(wheel) == {
        *(name for name in tracked if name.startswith("cdigen/")),
        *(f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")),
    }


def test_a_source_distribution_has_every_tracked_file_and_nothing_else(dist: Path, tracked: frozenset[str]) -> None:
    assert names_in(only(dist, "*.tar.gz")) == {*tracked, "PKG-INFO"}


def test_a_source_distribution_makes_the_same_again(unpacked: Path, tracked: frozenset[str], tmp_path: Path) -> None:
    again = build(unpacked, tmp_path, "--sdist")

    assert names_in(only(again, "*.tar.gz")) == {*tracked, "PKG-INFO"}


def test_the_wheel_of_a_checkout_is_that_of_its_source_distribution(sources: Path, wheel: Path, tmp_path: Path) -> None:
    direct = build(sources, tmp_path, "--wheel")

    assert only(direct, "*.whl").read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("epoch", [None, "1700000000"])
def test_the_same_files_are_the_same_bytes(epoch: str | None, sources: Path, tmp_path: Path) -> None:
    variables = {} if epoch is None else {"SOURCE_DATE_EPOCH": epoch}
    copy = tmp_path / "copy"
    shutil.copytree(sources, copy, symlinks=True)
    # As another umask and another day leave it.
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
            os.utime(path, (1, 1))

    first = build(sources, tmp_path / "first", "--wheel", "--sdist", variables=variables)
    second = build(copy, tmp_path / "second", "--wheel", "--sdist", variables=variables)

    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_root_builds_in_a_checkout_of_somebody_else(sources: Path, tmp_path: Path, wheel: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    copy = tmp_path / "copy"
    shutil.copytree(sources, copy, symlinks=True)
    run("chown", "--recursive", "--no-dereference", "65534:65534", copy)
    # What git would run, were it not told otherwise.
    run("git", "config", "--file", copy / ".git/config", "core.fsmonitor", f"touch {tmp_path}/ran; false")

    direct = build(copy, tmp_path / "dist", "--wheel")

    assert only(direct, "*.whl").read_bytes() == wheel.read_bytes()
    assert not (tmp_path / "ran").exists()


def test_without_git_nothing_is_built_of_a_checkout(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is a checkout, and git, which lists its files, cannot be run"):
        build(sources, tmp_path, "--wheel", variables={"PATH": "/nonexistent"})


@real
def test_the_installed_wheel_works_anywhere(wheel: Path, make_venv: Callable[..., Path], tmp_path: Path) -> None:
    venv = make_venv(wheel)

    (site,) = venv.glob("lib/python*/site-packages")
    owned = [path for path in site.iterdir() if "cdigen" in path.name]
    assert {path.name for path in owned} == {"cdigen", f"cdigen-{__version__}.dist-info"}
    assert not (site / "schemas").exists()
    assert not (site / "tests").exists()
    assert_works(venv, tmp_path / "elsewhere")


@real
def test_the_editable_install_works_anywhere(sources: Path, make_venv: Callable[..., Path], tmp_path: Path) -> None:
    venv = make_venv("--editable", sources)

    assert_works(venv, tmp_path / "elsewhere")
    where = run(venv / "bin" / "python", "-c", "import cdigen; print(cdigen.__file__)", cwd=tmp_path).stdout.strip()
    assert where == str(sources / "cdigen" / "__init__.py")
