"""Changes the code in small ways, one at a time, and reports which changes no test notices.

    python -m tests.mutation [--sample N] [--seed N] [--jobs N] [PACKAGE...]

mutmut makes the mutants and runs, for each, the tests that call the function it is in. This prepares one working copy a
package in the cache, so that a package is tested by its own tests alone, and keeps what was found there: a mutant
that was killed is run again when its function changes, and one that was not when any test does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "plan": ("cdigen/plan/*", ("tests/plan", "tests/golden")),
    "cdi": ("cdigen/cdi/*", ("tests/cdi", "tests/specs")),
    "write": ("cdigen/w[ar]*.py", ("tests/write",)),  # walk.py and write.py
    "parse": ("cdigen/parse/*", ("tests/parse",)),
    "discover": ("cdigen/discover/*", ("tests/discover", "tests/golden")),
}
"""What is changed, and the tests that are to notice."""

SKIPPED = 34
"""mutmut's code for a mutant that is not to be run (`mutmut.stats.status_by_exit_code`)."""

KILLED = {1: "killed", 3: "killed", -24: "timeout", 24: "timeout", 36: "timeout", 152: "timeout", 255: "timeout"}

GENERATE = """
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, setup_source_paths
copy_src_dir(), copy_also_copy_files(), setup_source_paths(), create_mutants(1)
"""


def cache_of(package: str) -> Path:
    """Return the directory with the working copy and the results of a package."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "cdigen-mutation" / package


def copy_sources(work: Path) -> str:
    """Bring the working copy up to date; a file that has not changed keeps its time. Return the digest of the tests."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    names = {name for name in os.fsdecode(listed).split("\0") if name and os.path.lexists(ROOT / name)}
    digest = hashlib.sha256()
    for name in sorted(names):
        source, target = ROOT / name, work / name
        if source.is_symlink():
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.readlink())
            continue
        data = source.read_bytes()
        if name.startswith(("tests/", "golden/")):
            digest.update(name.encode() + b"\0" + data)
        if not target.exists() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            shutil.copymode(source, target)
    for path in [path for part in ("cdigen", "tests", "golden") for path in (work / part).rglob("*")]:
        if not path.is_dir() and str(path.relative_to(work)) not in names:
            path.unlink()
    shutil.rmtree(work / "mutants" / "tests", ignore_errors=True)  # mutmut only adds to it
    return digest.hexdigest()


def configure(work: Path, package: str) -> None:
    """Write mutmut's configuration, which is another for every package; with another than before, begin again."""
    pattern, tests = PACKAGES[package]
    copied = sorted(
        {"cdigen/schemas", *(path.name for path in work.iterdir())}
        - {"cdigen", "mutants", "setup.cfg", ".git", "tests.digest"}
    )
    lists = {
        "source_paths": ["cdigen"],
        "only_mutate": [pattern],
        "also_copy": copied,
        "pytest_add_cli_args_test_selection": tests,
        # No chance in which examples are tried, and no failure because the machine is busy.
        "pytest_add_cli_args": ["-m", "not real", "--hypothesis-profile=mutation", "-p", "no:cacheprovider"],
    }
    lines = [f"{name} =\n" + "".join(f"    {value}\n" for value in values) for name, values in lists.items()]
    text = (
        "[mutmut]\n"
        + "".join(lines)
        + "timeout_multiplier = 4\ntimeout_constant = 5\nuse_git_change_detection = false\n"
    )
    path = work / "setup.cfg"
    if not path.exists() or path.read_text() != text:
        shutil.rmtree(work / "mutants", ignore_errors=True)  # mutmut would run what is not in the sample too
        path.write_text(text)


def results(work: Path) -> dict[Path, dict[str, int | None]]:
    """Return the code by which every mutant's run has ended, None if it was not run, by the file that it is kept in."""
    files = sorted((work / "mutants").rglob("*.py.meta"))
    return {path: json.loads(path.read_text())["exit_code_by_key"] for path in files}


def choose(work: Path, sample: int, seed: int, *, tests_changed: bool) -> None:
    """Mark the mutants that are not in the sample as skipped, and those to be run as not yet run."""
    names = sorted(name for codes in results(work).values() for name in codes)
    chosen = set(random.Random(seed).sample(names, sample) if 0 < sample < len(names) else names)  # noqa: S311
    for path in results(work):
        document = json.loads(path.read_text())
        codes = document["exit_code_by_key"]
        for name, code in codes.items():
            if name not in chosen:
                codes[name] = SKIPPED if code is None else code
            elif code == SKIPPED or (tests_changed and code not in KILLED):
                codes[name] = None
        path.write_text(json.dumps(document, indent=4))


def mutate(package: str, sample: int, seed: int, jobs: int) -> None:
    """Run the mutants of a package."""
    work = cache_of(package)
    work.mkdir(parents=True, exist_ok=True)
    digest, kept = copy_sources(work), work / "tests.digest"
    configure(work, package)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CDIGEN_", "COV_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"

    def run(*command: str | Path) -> None:
        subprocess.run(command, cwd=work, env=environment, check=True)

    run(sys.executable, "-c", GENERATE)
    choose(work, sample, seed, tests_changed=not kept.exists() or kept.read_text() != digest)
    kept.write_text(digest)
    run(Path(sys.executable).parent / "mutmut", "run", "--max-children", str(jobs))


def report(package: str) -> bool:
    """Print what became of the mutants of a package, and return whether there are any."""
    codes = {name: code for found in results(cache_of(package)).values() for name, code in found.items()}
    ran = {name: KILLED.get(code, "survived") for name, code in codes.items() if code not in {None, SKIPPED}}
    if not ran:
        print(f"{package}: no mutant was run")
        return False
    for name in sorted(name for name, fate in ran.items() if fate == "survived"):
        print(f"  {name}")
    count = Counter(ran.values())
    killed = len(ran) - count["survived"]
    print(
        f"{package}: {killed} of {len(ran)} killed ({killed / len(ran):.1%}, {count['timeout']} of them by time),"
        f" {len(codes)} mutants in all; one of the survivors: cd {cache_of(package)} && mutmut show NAME"
    )
    return True


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("package", nargs="*", choices=[*PACKAGES, []], metavar="PACKAGE", help="all if none is named")
    parser.add_argument("--sample", type=int, default=0, help="run so many mutants of a package; all if 0")
    parser.add_argument("--seed", type=int, default=1, help="which mutants the sample has")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--report", action="store_true", help="only print what is known")
    options = parser.parse_args()
    packages = options.package or list(PACKAGES)
    if not options.report:
        for package in packages:
            mutate(package, options.sample, options.seed, options.jobs)
    reported = [report(package) for package in packages]
    return 0 if all(reported) else 1


if __name__ == "__main__":
    sys.exit(main())
