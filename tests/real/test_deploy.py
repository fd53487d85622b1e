"""The manifests: kubectl makes them, Kubernetes' own schemas and cdigen's verbs take them, and rights are least."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from cdigen.cli import load_verb
from tests.real.cache import cache_dir
from tests.real.conftest import skipped_where_unavailable
from tests.real.kubectl import KUBECTL, kustomize

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOY = CHECKOUT / "deploy"
VERSIONS = ("1.28", "1.31", "1.34", "1.37")
BUILT = sorted(path.parent for path in DEPLOY.glob("*/**/kustomization.yaml") if "components" not in path.parts)
COMPONENTS = sorted(path.parent.name for path in DEPLOY.glob("components/*/kustomization.yaml"))
ONLY_FROM = {"recursive-read-only": "1.34"}
TOGETHER = [
    [],
    *([name] for name in COMPONENTS),
    ["gpu-operator-driver", "labels", "mig", "nfd", "selinux", "xids"],
    ["run-cdi", "mig", "selinux"],
]


@pytest.fixture(scope="module")
def kubectl() -> Path:
    with skipped_where_unavailable():
        return KUBECTL.make(cache_dir()) / "root/usr/bin/kubectl"


def documents(kubectl: Path, directory: Path) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", one) for one in yaml.safe_load_all(kustomize(kubectl, directory))]


def daemonset(found: list[dict[str, Any]]) -> dict[str, Any]:
    [one] = [one for one in found if one["kind"] == "DaemonSet"]
    return one


@pytest.fixture
def combined(kubectl: Path, tmp_path: Path, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Return the base with some components."""
    place = tmp_path / "kustomization.yaml"
    relative = Path("../" * (len(tmp_path.parts) - 1)) / DEPLOY.relative_to("/")
    place.write_text(
        json.dumps(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": [str(relative / "base")],
                "components": [str(relative / "components" / name) for name in request.param],
            }
        )
    )
    return documents(kubectl, tmp_path)


each_combination = pytest.mark.parametrize(
    "combined", TOGETHER, ids=lambda names: "+".join(names) or "base", indirect=True
)


@pytest.mark.parametrize("directory", BUILT, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_what_is_there_to_be_applied_is_what_kubernetes_takes(kubectl: Path, directory: Path) -> None:
    found = documents(kubectl, directory)

    assert [one["kind"] for one in found] == ["Namespace", "ServiceAccount", "DaemonSet"]
    for version in VERSIONS:
        for one in found:
            kubernetes_validate.validate(one, version, strict=True)


@each_combination
def test_every_combination_is_what_kubernetes_takes(
    combined: list[dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    names = request.node.callspec.params["combined"]
    first = max((ONLY_FROM.get(name, VERSIONS[0]) for name in names), default=VERSIONS[0])
    for version in (version for version in VERSIONS if version >= first):
        for one in combined:
            kubernetes_validate.validate(one, version, strict=True)


def test_the_document_names_the_image_as_it_stands_there(kubectl: Path) -> None:
    made = kustomize(kubectl, DEPLOY / "base").decode()
    [command] = [line for line in (CHECKOUT / "docs/kubernetes.md").read_text().splitlines() if "| sed " in line]

    assert made.count(f"image: {command.split('#')[1]}\n") == 2


def test_a_field_that_there_is_not_would_be_noticed(kubectl: Path) -> None:
    found = daemonset(documents(kubectl, DEPLOY / "base"))
    found["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnly"] = True

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found, VERSIONS[-1], strict=True)


def test_the_examples_are_what_kubernetes_takes() -> None:
    for path in (DEPLOY / "examples").glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text()):
            kubernetes_validate.validate(one, VERSIONS[-1], strict=True)


@each_combination
def test_the_arguments_are_those_of_the_verbs(combined: list[dict[str, Any]]) -> None:
    for container in daemonset(combined)["spec"]["template"]["spec"]["containers"]:
        verb, *arguments = container["args"]
        with load_verb(verb).make_context(verb, list(arguments)) as context:
            assert context.params["host_root"] == "/host"
        assert container["name"] == verb


@each_combination
def test_every_volume_is_mounted_and_every_mount_has_one(combined: list[dict[str, Any]]) -> None:
    pod = daemonset(combined)["spec"]["template"]["spec"]
    volumes = [volume["name"] for volume in pod["volumes"]]
    mounts = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}

    assert sorted(volumes) == sorted({*volumes})
    assert mounts == {*volumes}


@each_combination
def test_rights_are_least(combined: list[dict[str, Any]], request: pytest.FixtureRequest) -> None:
    """No token, no network of the host's, little that is written; privilege only where a component says why."""
    names = request.node.callspec.params["combined"]
    pod = daemonset(combined)["spec"]["template"]["spec"]
    privileged = {"watch": "mig" in names, "device-plugin": "xids" in names}

    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        if not privileged[container["name"]]:
            is_maker = container["name"] == "watch" and "nodes" in names
            assert context == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], **({"add": ["MKNOD", "CHOWN"]} if is_maker else {})},
            }
        written = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        if container["name"] == "device-plugin":
            assert written == {"sockets"}
        else:
            specs = "run-specs" if "run-cdi" in names else "specs"
            more = {"labels": "features", "mig": "dev", "nodes": "dev"}
            assert written == {specs, "status", "tmp", *(name for why, name in more.items() if why in names)}
