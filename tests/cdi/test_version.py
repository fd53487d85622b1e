"""The lowest version that a document needs."""

from __future__ import annotations

import pytest

from cdigen.cdi.version import FEATURES, KNOWN_VERSIONS, LOWEST_VERSION, required_version, version_key


@pytest.mark.parametrize(
    ("document", "version"),
    [
        ({}, "0.3.0"),
        (None, "0.3.0"),
        ({"devices": "text", "containerEdits": [1], "kind": 5}, "0.3.0"),
        ({"cdiVersion": "1.1.0"}, "0.3.0"),
        ({"containerEdits": {"env": ["A=b"], "hooks": []}}, "0.3.0"),
        ({"containerEdits": {"deviceNodes": [{"path": "/a", "permissions": "rw"}]}}, "0.3.0"),
        ({"containerEdits": {"mounts": [{"type": "none"}]}}, "0.4.0"),
        ({"devices": [{"name": "a"}, {"name": "0"}]}, "0.5.0"),
        ({"devices": [{"name": "٣"}]}, "0.3.0"),
        ({"containerEdits": {"deviceNodes": [{}, {"hostPath": ""}]}}, "0.5.0"),
        ({"kind": "a.com/b.c"}, "0.6.0"),
        ({"annotations": {}}, "0.6.0"),
        ({"devices": [{"annotations": {}}]}, "0.6.0"),
        ({"containerEdits": {"additionalGids": []}}, "0.7.0"),
        ({"containerEdits": {"intelRdt": {"closID": "a"}}}, "0.7.0"),
        ({"containerEdits": {"intelRdt": {"schemata": []}}}, "1.1.0"),
        ({"containerEdits": {"intelRdt": {"enableMonitoring": False}}}, "1.1.0"),
        ({"containerEdits": {"netDevices": []}}, "1.1.0"),
        ({"kind": "a.com/b.c", "devices": [{"name": "0"}]}, "0.6.0"),
    ],
)
def test_the_newest_feature_decides(document: object, version: str) -> None:
    assert required_version(document) == version


@pytest.mark.parametrize(
    ("edits", "version"),
    [
        ({"mounts": [{"type": "none"}]}, "0.4.0"),
        ({"deviceNodes": [{"hostPath": "/a"}]}, "0.5.0"),
        ({"additionalGids": [1]}, "0.7.0"),
        ({"netDevices": [{}]}, "1.1.0"),
    ],
)
def test_a_device_is_looked_at_like_the_whole_spec(edits: object, version: str) -> None:
    assert required_version({"devices": [{"name": "a"}, {"name": "b", "containerEdits": edits}]}) == version


def test_the_table_has_released_versions_newest_first() -> None:
    versions = [feature.version for feature in FEATURES]

    assert set(versions) <= set(KNOWN_VERSIONS)
    assert versions == sorted(versions, key=version_key, reverse=True)
    assert KNOWN_VERSIONS[0] == LOWEST_VERSION
    assert list(KNOWN_VERSIONS) == sorted(KNOWN_VERSIONS, key=version_key)


def test_versions_compare_by_their_numbers() -> None:
    assert version_key("0.10.0") > version_key("0.9.9")
    with pytest.raises(ValueError, match="invalid literal"):
        version_key("1.x")
