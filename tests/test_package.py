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

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.real  # pip downloads the build backend and the dependencies

ROOT = Path(__file__).parents[1]
HOST = ROOT / "golden" / "rocky9-615"
SOURCES = ("cdigen", "schemas", "README.md", "LICENSE", "pyproject.toml")
SCHEMAS = {f"cdigen/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()}
OFFLINE = ("NewConnectionError", "Temporary failure in name resolution", "No matching distribution found", "timed out")


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command without what leads the interpreter back to the checkout; skip the test if it needs the network."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CDIGEN_", "COV_"))}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd, env=env
    )
    said = done.stdout + done.stderr
    if done.returncode and any(sign in said for sign in OFFLINE):
        reason = f"{Path(str(command[0])).name} reaches no package index: {said.strip().splitlines()[-1]}"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and under CI nothing is skipped")
        pytest.skip(reason)
    assert done.returncode == 0, said[-4000:]
    return done


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the package is built from, so that nothing is built in the checkout."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def dist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the source distribution and the wheel that was built from it."""
    place = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", place, sources)
    return place


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def make_venv(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def do(*requirements: str | Path) -> Path:
        place = tmp_path_factory.mktemp("venv")
        run(sys.executable, "-m", "venv", place)
        run(place / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements)
        return place

    return do


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


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


def test_the_wheel_has_the_package_its_types_and_its_schemas_and_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)

    assert {name.partition("/")[0] for name in names} == {"cdigen", f"cdigen-{__version__}.dist-info"}
    assert {"cdigen/py.typed", *SCHEMAS} <= names
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "cdigen").rglob("*.py")}
    assert {name for name in names if name.startswith("cdigen/")} == modules | SCHEMAS | {"cdigen/py.typed"}
    assert f"cdigen-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_wheel_is_the_same_with_and_without_a_source_distribution_in_between(
    sources: Path, wheel: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, sources)

    (direct,) = tmp_path.glob("*.whl")
    assert direct.read_bytes() == wheel.read_bytes()


def test_the_source_distribution_has_what_the_wheel_is_built_from_and_no_tests(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    # The schemas are there once, as files below the package: the link to them is followed.
    top_level = {name.partition("/")[0] for name in names}
    assert top_level - {".gitignore"} == {*SOURCES, "PKG-INFO"} - {"schemas"}
    assert names >= SCHEMAS


def test_the_installed_wheel_works_anywhere(wheel: Path, make_venv: Callable[..., Path], tmp_path: Path) -> None:
    venv = make_venv(wheel)

    (site,) = venv.glob("lib/python*/site-packages")
    owned = [path for path in site.iterdir() if "cdigen" in path.name]
    assert {path.name for path in owned} == {"cdigen", f"cdigen-{__version__}.dist-info"}
    assert not (site / "schemas").exists()
    assert not (site / "tests").exists()
    assert_works(venv, tmp_path / "elsewhere")


def test_the_editable_install_works_anywhere(sources: Path, make_venv: Callable[..., Path], tmp_path: Path) -> None:
    venv = make_venv("--editable", sources)

    assert_works(venv, tmp_path / "elsewhere")
    where = run(venv / "bin" / "python", "-c", "import cdigen; print(cdigen.__file__)", cwd=tmp_path).stdout.strip()
    assert where == str(sources / "cdigen" / "__init__.py")
