"""What is in the image is told completely, by a public schema, the same way each time (CARD-4)."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from board.image import debs, sbom
from board.image.debs import Deb

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2001 Somebody
License: GPL-2+

Files: lib/*
Copyright: 2002 Somebody else
License: Expat or Artistic

License: GPL-2+
 On Debian systems ...
"""
ORJSON = "Metadata-Version: 2.4\nName: orjson\nVersion: 3.13.0\nLicense-Expression: MPL-2.0 AND (Apache-2.0 OR MIT)\n\nLicense: not this\n"
MARKDOWN = "Metadata-Version: 2.1\nName: markdown-it-py\nVersion: 4.3.0\nClassifier: License :: OSI Approved :: MIT License\n\n"
DEBS = [
    Deb("root", "chrony", "4.6.1-3+deb13u2", "a" * 64, "pool/main/c/chrony/chrony_4.6.1-3+deb13u2_arm64.deb"),
    Deb("root", "busybox", "1:1.37.0-6+b9", "b" * 64, "pool/main/b/busybox/busybox_1.37.0-6+b9_arm64.deb"),
    Deb("rpi-cm4", "raspi-firmware", "1.2024+ds-6", "c" * 64, "pool/non-free-firmware/r/raspi-firmware/raspi-firmware_1.2024+ds-6_all.deb"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with copyright files and two wheels."""
    (tmp_path / sbom.LICENCES).mkdir(parents=True)
    (tmp_path / sbom.LICENCES / "chrony").write_text(COPYRIGHT)
    (tmp_path / sbom.LICENCES / "busybox").write_text("This package was debianized by ...\nLicense: read this\n")
    for folder, text in (("orjson-3.13.0", ORJSON), ("markdown_it_py-4.3.0", MARKDOWN)):
        (tmp_path / sbom.SITE / f"{folder}.dist-info").mkdir(parents=True)
        (tmp_path / sbom.SITE / f"{folder}.dist-info/METADATA").write_text(text)
    return tmp_path


def schema_faults(document: dict[str, Any]) -> list[str]:
    """By the schema that CycloneDX publishes, as its Python library carries it."""
    place = resources.files("cyclonedx.schema") / "_res"
    read = {name: json.loads((place / f"{name}.SNAPSHOT.schema.json").read_text()) for name in ("bom-1.6", "spdx", "jsf-0.82")}

    def known(uri: str) -> Any:
        return read[uri.split("#", maxsplit=1)[0].rsplit("/", 1)[-1].removesuffix(".schema.json").removesuffix(".SNAPSHOT")]

    validator = jsonschema_rs.validator_for(read["bom-1.6"], retriever=known)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document)]


def components(root: Path) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in sbom.bom("rpi-cm4", "0.1.0", DEBS, root)["components"]}


def test_the_bill_is_one_by_the_public_schema(root: Path) -> None:
    document = sbom.bom("rpi-cm4", "0.1.0", DEBS, root)
    assert schema_faults(document) == []
    document["components"][0]["licenses"] = [{"license": {"id": "GPL-2+"}}]
    assert schema_faults(document), "the schema knows SPDX's names"


def test_every_package_of_the_lock_is_in_it_with_its_hash(root: Path) -> None:
    found = sbom.bom("rpi-cm4", "0.1.0", debs.locked(), root)["components"]
    hashes = {entry["content"] for component in found for entry in component.get("hashes", [])}
    assert hashes == {deb.sha256 for deb in debs.locked()}


def test_licences_come_from_where_they_stand(root: Path) -> None:
    found = components(root)
    assert found["chrony"]["licenses"] == [{"license": {"id": "GPL-2.0-or-later"}}, {"license": {"name": "Expat or Artistic"}}]
    assert found["busybox"]["licenses"] == [{"license": {"name": "see usr/share/licences/busybox"}}]
    assert found["orjson"]["licenses"] == [{"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}]
    assert found["markdown-it-py"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert found["raspi-firmware"]["type"] == "firmware"


def test_names_are_package_urls(root: Path) -> None:
    assert components(root)["busybox"]["purl"] == "pkg:deb/debian/busybox@1:1.37.0-6%2Bb9?arch=arm64&distro=trixie"
    assert components(root)["raspi-firmware"]["purl"].endswith("?arch=all&distro=trixie")
    assert components(root)["orjson"]["purl"] == "pkg:pypi/orjson@3.13.0"


def test_two_builds_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    for name, order in (("a.cdx.json", DEBS), ("b.cdx.json", DEBS[::-1])):
        sbom.write(tmp_path / name, sbom.bom("rpi-cm4", "0.1.0", order, root))
    assert (tmp_path / "a.cdx.json").read_bytes() == (tmp_path / "b.cdx.json").read_bytes()
    assert "GPL-2.0-or-later: chrony\n" in (tmp_path / "a.cdx.licences.txt").read_text()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GPLv3+", "GPL-3.0-or-later"),
        ("LGPL-2.0-or-later", "LGPL-2.0-or-later"),
        ("GPL-2.0-only", "GPL-2.0-only"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("Apache 2.0", "Apache-2.0"),
        # not sure, so not said
        ("Artistic", None),
        ("GPL", None),
        ("LGPL", None),
        ("BSD", None),
        ("public-domain", None),
        ("GPL-3+ with Bison exception", None),
        ("GPL-2+ or AFL-2.1, and Expat", None),
    ],
)
def test_a_licence_is_called_by_its_spdx_name_where_that_is_sure(word: str, expected: str | None) -> None:
    assert sbom.spdx(word) == expected
