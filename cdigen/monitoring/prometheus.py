"""A check as a file for the textfile collector of Prometheus' node_exporter.

Source: Prometheus, "Exposition formats", text-based format 0.0.4; node_exporter, "Textfile Collector": no time stamps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen import __version__
from cdigen.errors import one_line
from cdigen.monitoring.result import LEVELS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdigen.monitoring.result import CheckResult


def render_prometheus(result: CheckResult) -> str:
    """Return the metrics, always in the same order."""
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n"
        + "".join(f"{name}{_labels(labels)} {_number(value)}\n" for labels, value in samples)
        for name, text, samples in _metrics(result)
        if samples
    )


def _metrics(result: CheckResult) -> Iterator[tuple[str, str, list[tuple[dict[str, str], float]]]]:
    yield "cdigen_build_info", "The version of cdigen.", [({"version": __version__}, 1)]
    yield "cdigen_check_success", "Whether cdigen check would exit with 0.", [({}, result.is_good)]
    yield (
        "cdigen_check_findings",
        "What the check has found, by level and topic.",
        [
            ({"level": level, "topic": topic}, result.count(level, topic))
            for level in LEVELS
            if level != "ok"
            for topic in TOPICS
        ],
    )
    yield "cdigen_check_duration_seconds", "How long the check took.", [({}, result.seconds)]
    yield "cdigen_check_timestamp_seconds", "When the check ended.", [({}, result.timestamp)]
    user = result.user[0] if result.user else ""
    halves = {"kernel": result.kernel or "", "user": result.kernel if result.kernel in result.user else user}
    match = str(result.kernel is not None and result.kernel in result.user).lower()
    yield (
        "cdigen_driver_info",
        "The two halves of the driver.",
        [({"kernel": halves["kernel"], "user": halves["user"] or "", "match": match}, 1)],
    )
    wrong = {one.subject for one in result.diagnoses if one.level == "problem"}
    specs = [(spec, {"path": spec.file.path}) for spec in result.specs]
    yield (
        "cdigen_spec_info",
        "A spec for devices of NVIDIA's.",
        [
            (
                {
                    **path,
                    "kind": spec.file.kind or "",
                    "cdi_version": spec.version,
                    "writer": "cdigen" if spec.author == "cdigen" else "other",
                },
                1,
            )
            for spec, path in specs
        ],
    )
    yield (
        "cdigen_spec_devices",
        "How many devices a spec has.",
        [(path, len((spec.file.document or {}).get("devices", []))) for spec, path in specs],  # type: ignore[arg-type]
    )
    yield (
        "cdigen_spec_valid",
        "Whether nothing about a spec is a problem.",
        [(path, spec.file.document is not None and spec.file.path not in wrong) for spec, path in specs],
    )


def _labels(labels: Mapping[str, str]) -> str:
    pairs = [f'{name}="{_escape(one_line(value))}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}"
