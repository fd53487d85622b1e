"""cdigen explain: why each entry is there, and what was left out and why."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from cdigen.errors import CdigenError, one_line
from cdigen.facts import Library
from cdigen.options.shared import BUILD_OPTIONS, JSON, TARGET_OPTIONS, take_build_options, take_target, with_options
from cdigen.plan.needs import Needs, find_needs, highest_glibc
from cdigen.report import emit, emit_json, findings_to_json, left_out_to_json
from cdigen.session.planner import plan_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdigen.facts import DeviceNode, Driver, Inventory, LeftOut
    from cdigen.findings import Finding
    from cdigen.plan.plan import Plan, PlannedMount

Json = dict[str, object]


@click.command("explain")
@click.argument("patterns", nargs=-1, metavar="[NAME]...")
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
def command(patterns: tuple[str, ...], as_json: bool, **values: Any) -> int:
    """Show why each entry of the spec is there, what it needs, and what was left out and why.

    NAME limits that to entries with NAME in a path or name, such as libcuda or '*.json'.
    """
    target, options = take_target(values), take_build_options(values)
    planned = plan_target(target, options)
    plan, inventory = planned.plan, planned.inventory
    driver = None if inventory is None else inventory.driver
    all_files, all_nodes = _files(plan, inventory), _nodes(plan)
    texts = [*map(_texts, all_files), *map(_texts, all_nodes), *([variable.name] for variable in plan.env)]
    texts += [[entry.host_path] for entry in plan.left_out]
    unmatched = [pattern for pattern in dict.fromkeys(patterns) if not any(_is_wanted((pattern,), *t) for t in texts)]
    if unmatched and len(unmatched) == len(set(patterns)):
        raise _no_match(unmatched, texts)
    files = [file for file in all_files if _is_wanted(patterns, *_texts(file))]
    nodes = [node for node in all_nodes if _is_wanted(patterns, *_texts(node))]
    env = [
        {"name": variable.name, "value": variable.value, "why": variable.why}
        for variable in plan.env
        if _is_wanted(patterns, variable.name)
    ]
    left_out = [entry for entry in plan.left_out if _is_wanted(patterns, entry.host_path)]
    glibc, glibc_by_group = _find_glibc(plan, inventory)
    if as_json:
        emit_json(
            "explain",
            {
                "driver": None if driver is None else _driver(driver),
                "kind": plan.kind,
                "imageNeedsGlibc": glibc,
                "imageNeedsGlibcByGroup": glibc_by_group,
                "files": files,
                "nodes": nodes,
                "env": env,
                "leftOut": left_out_to_json(left_out),
                "findings": findings_to_json(planned.findings),
            },
        )
    else:
        named = {mount.container_path: mount.named for mount in plan.mounts}
        about = _about_driver(driver, glibc, glibc_by_group) if driver else [f"{plan.kind}, which needs no driver"]
        emit(
            *about,
            *(line for file in files for line in _about_file(file, named)),
            *(line for node in nodes for line in _about_node(node)),
            *(line for v in env for line in ("", f"env {v['name']}={v['value']}", f"  why          {v['why']}")),
            *_about_left_out(left_out),
            *_about_findings(planned.findings),
        )
    if unmatched:
        error = _no_match(unmatched, texts)
        error.is_reported = True
        raise error
    return 0


def _no_match(patterns: list[str], texts: Iterable[Iterable[str]]) -> CdigenError:
    """Return what is said of patterns that match nothing, with the names that are near them."""
    from difflib import get_close_matches

    names = {text.rpartition("/")[2] for of_entry in texts for text in of_entry if text.startswith("/")}
    near = [match for pattern in patterns for match in get_close_matches(pattern, sorted(names), n=1)]
    shown = ", ".join(map(one_line, patterns))
    return CdigenError(
        f"nothing in the spec, and nothing left out of it, matches {shown}",
        hint=f"did you mean {', '.join(near)}?" if near else "for everything, leave out the name",
        subject=shown,
        code="no-match",
    )


def _texts(item: Json) -> list[str]:
    values: list[str] = []
    for value in item.values():
        if isinstance(value, str):
            values.append(value)
        elif isinstance(value, list):
            values.extend(str(v["containerPath"]) if isinstance(v, dict) else str(v) for v in value)
    return values


def _is_wanted(patterns: tuple[str, ...], *texts: str) -> bool:
    return not patterns or any(p in text or fnmatchcase(text, p) for p in patterns for text in texts)


def _files(plan: Plan, inventory: Inventory | None) -> list[Json]:
    """Return a value for each file that is mounted, with all the places at which it is."""
    by_file: dict[tuple[str, str], list[PlannedMount]] = {}
    for mount in plan.mounts:
        by_file.setdefault((_kind(mount), mount.host_path), []).append(mount)
    return [_file(kind, mounts, inventory) for (kind, _), mounts in sorted(by_file.items(), key=_order)]


def _order(item: tuple[tuple[str, str], object]) -> tuple[int, str, str]:
    (kind, host_path), _ = item
    return (0 if kind == "library" else 1, kind, host_path)


def _kind(mount: PlannedMount) -> str:
    return getattr(mount.source, "kind", "library" if isinstance(mount.source, Library) else "socket")


def _file(kind: str, mounts: list[PlannedMount], inventory: Inventory | None) -> Json:
    source = mounts[0].source
    value: Json = {
        "hostPath": mounts[0].host_path,
        "kind": kind,
        "group": getattr(source, "group", None),
        "why": source.why,
        "mounts": [{"containerPath": mount.container_path, "why": mount.why} for mount in mounts],
    }
    elf = getattr(source, "elf", None)
    if elf is not None and inventory is not None:
        needs = find_needs(inventory, elf)
        value |= {
            "bits": elf.bits,
            "machine": elf.machine,
            "soname": elf.soname,
            "needsKnown": needs.known,
            "needsInjected": list(needs.injected),
            "needsMissing": list(needs.lacking),
            "needsFromImage": list(needs.from_image),
            "needsGlibc": _version(needs.glibc),
        }
    asks_for = getattr(source, "asks_for", ())
    if asks_for:
        value["asksFor"] = list(asks_for)
    return value


def _find_glibc(plan: Plan, inventory: Inventory | None) -> tuple[str | None, dict[str, str]]:
    """Return the version of glibc that an image must have to load all libraries, and those of each group."""
    if inventory is None:
        return None, {}
    needs: dict[str, list[Needs]] = {}
    for library in {id(mount.source): mount.source for mount in plan.mounts}.values():
        if isinstance(library, Library):
            needs.setdefault(library.group, []).append(find_needs(inventory, library.elf))
    floors = {group: _version(highest_glibc(of_group)) for group, of_group in sorted(needs.items())}
    return (
        _version(highest_glibc(need for of_group in needs.values() for need in of_group)),
        {group: floor for group, floor in floors.items() if floor is not None},
    )


def _nodes(plan: Plan) -> list[Json]:
    """Return a value for each device node, with the devices that have it."""
    nodes: dict[str, tuple[DeviceNode, list[str]]] = {node.path: (node, ["every device"]) for node in plan.nodes}
    for device in plan.devices:
        for node in device.nodes:
            nodes.setdefault(node.path, (node, []))[1].append(device.name)
    return [
        {
            "path": node.path,
            "hostPath": node.host_path,
            "why": node.why,
            "mode": f"{node.mode:04o}",
            "gid": node.gid,
            "numbersNow": f"{node.major}:{node.minor}",
            "devices": devices,
        }
        for node, devices in nodes.values()
    ]


def _version(version: tuple[int, ...] | None) -> str | None:
    return None if version is None else ".".join(map(str, version))


def _driver(driver: Driver) -> Json:
    return {
        "version": driver.version,
        "machine": driver.machine,
        "kernelVersionSource": driver.kernel_version_source,
        "libcuda": driver.libcuda,
    }


def _about_driver(driver: Driver, glibc: str | None, by_group: dict[str, str]) -> list[str]:
    source = driver.kernel_version_source
    kernel = f"{driver.name}, from {source}" if source else "version unknown"
    floors = ", ".join(f"{floor} for {group}" for group, floor in by_group.items())
    return [
        f"driver {driver.name} for {driver.machine}",
        f"  libcuda      {driver.libcuda or 'none'}",
        f"  kernel       {kernel}",
        f"  image needs  {f'glibc {glibc} for all libraries ({floors})' if glibc else 'unknown'}",
    ]


def _about_file(file: Json, named: Mapping[str, str]) -> list[str]:
    title = str(file["hostPath"]).rpartition("/")[2]
    group = f", {file['group']}" if file["group"] else ""
    lines = [
        "",
        f"{title} ({file['kind']}{group})",
        f"  host file    {file['hostPath']}",
        f"  why          {file['why']}",
    ]
    if "soname" in file:
        lines.append(f"  ELF          {file['bits']}-bit {file['machine']}, SONAME {file['soname'] or 'none'}")
        lines.extend(_about_needs(file))
    for wanted in _strings(file.get("asksFor")):
        lines.append(f"  names        {wanted}")  # noqa: PERF401 - a line a thing reads better
    for mount in _dicts(file["mounts"]):
        lines.append(f"  mounted at   {mount['containerPath']}")
        if named[mount["containerPath"]]:
            lines[-1] += f" ({named[mount['containerPath']]})"
    return lines


def _about_needs(file: Json) -> list[str]:
    if not file["needsKnown"]:
        return ["  needs        unknown: not in the snapshot"]
    lines = []
    for label, key in (("injected", "needsInjected"), ("missing", "needsMissing"), ("from image", "needsFromImage")):
        names = _strings(file[key])
        if names:
            lines.append(f"  {label:<12} {' '.join(names)}")
    if file["needsGlibc"]:
        lines.append(f"  glibc        {file['needsGlibc']} or newer")
    return lines


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, str]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _about_node(node: Json) -> list[str]:
    return [
        "",
        f"{node['path']} (device node)",
        *([] if node["hostPath"] == node["path"] else [f"  host node    {node['hostPath']}"]),
        f"  why          {node['why']}",
        f"  now          {node['numbersNow']}, mode {node['mode']}, group {node['gid']}; no numbers in the spec",
        f"  in           {' '.join(_strings(node['devices']))}",
    ]


def _about_left_out(left_out: list[LeftOut]) -> list[str]:
    entries = [line for entry in left_out for line in (f"  {entry.host_path}", f"    {entry.reason}")]
    return ["", "left out", *entries] if entries else []


def _about_findings(findings: tuple[Finding, ...]) -> list[str]:
    return ["", "findings", *(f"  {finding.level}: {finding.text}" for finding in findings)] if findings else []
