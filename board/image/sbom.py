"""What is in the image, as a CycloneDX 1.6 bill of materials: each Debian package of the lock, each wheel as installed, with licences.

A Debian package's licences are those that its machine-readable copyright file names (Debian's own format 1.0), a wheel's those of its
metadata.
What has an SPDX name is told by it; anything else by the words that stand there; a copyright file for people is pointed to. Nothing here
depends on the hour or the machine: two builds give the same bytes.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from board.image.debs import ARCH, RELEASE, Deb

LICENCES = "usr/share/licences"
SITE = "usr/lib/bessctl"
FORMAT = re.compile(r"^Format(-Specification)?:.*(copyright-format/1\.0|/dep/?-?5)", re.M | re.I)
SPDX = {
    name.lower(): name
    for name in (
        "0BSD", "AFL-2.1", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSD-4-Clause-UC", "BSL-1.0", "CC-BY-SA-4.0",
        "CC0-1.0", "curl", "EPL-2.0", "FSFAP", "FSFUL", "FSFULLR", "ISC", "MIT", "MIT-0", "MPL-2.0", "OLDAP-2.8", "PSF-2.0",
        "Unicode-DFS-2016", "X11", "Zlib",
    )
}  # fmt: skip
ALIASES = {
    "apache 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "apache software license, version 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0", "expat": "MIT", "isc license": "ISC", "isc license (iscl)": "ISC", "mit license": "MIT",
    "openldap-2.8": "OLDAP-2.8", "python software foundation license": "PSF-2.0",
}  # fmt: skip
GNU = re.compile(r"(A|L)?GPL-?v?(1|2|2\.0|2\.1|3|3\.0)(\+|-or-later|-only)?", re.I)


def spdx(word: str) -> str | None:
    """The SPDX identifier of a licence's short name; None where there is none for sure."""
    plain = word.strip().lower()
    if (gnu := GNU.fullmatch(plain)) is not None:
        family, number, later = (gnu[1] or "").upper(), gnu[2], gnu[3]
        number = number if "." in number else f"{number}.0"
        return f"{family}GPL-{number}-{'or-later' if later in ('+', '-or-later') else 'only'}"
    return SPDX.get(plain) or ALIASES.get(plain)


def licence(word: str) -> dict[str, Any]:
    """One entry of `licenses`."""
    found = spdx(word)
    return {"license": {"id": found} if found else {"name": word.strip()[:200]}}


def debian_licences(text: str, name: str) -> list[dict[str, Any]]:
    """Of a copyright file: each licence once, in order of name."""
    if not FORMAT.search(text[:2000]):
        return [licence(f"see {LICENCES}/{name}")]
    words = {word.strip() for word in re.findall(r"^License:[ \t]*(\S.*)$", text, re.M | re.I)}
    once = {json.dumps(licence(word), sort_keys=True) for word in words}
    return [json.loads(entry) for entry in sorted(once)] or [licence(f"see {LICENCES}/{name}")]


def copyright_of(name: str, root: Path, others: Iterable[Path]) -> str:
    """A package's copyright file: in the root, else in the documentation of another tree; empty where there is none."""
    places = [root / LICENCES / name, *(other / f"usr/share/doc/{name}/copyright" for other in others)]
    return next((place.read_text(errors="replace") for place in places if place.is_file()), "")


def debian(debs: Iterable[Deb], root: Path, others: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Components of Debian packages."""
    others = tuple(others)
    for deb in debs:
        arch = deb.file.rsplit("_", 1)[-1].removesuffix(".deb")
        version = quote(deb.version, safe=".-_~:")
        yield {
            "type": "firmware" if "firmware" in deb.name else "library",
            "name": deb.name,
            "version": deb.version,
            "purl": f"pkg:deb/debian/{quote(deb.name)}@{version}?arch={arch}&distro={RELEASE}",
            "hashes": [{"alg": "SHA-256", "content": deb.sha256}],
            "licenses": debian_licences(copyright_of(deb.name, root, others), deb.name),
            "properties": [{"name": "bessctl:lock", "value": deb.group}],
        }


def wheel_licences(metadata: Any) -> list[dict[str, Any]]:
    """Of a wheel: its SPDX expression, else the word it gives, else its classifiers."""
    if expression := metadata["License-Expression"]:
        return [{"expression": expression}]
    word = (metadata["License"] or "").strip()
    if word and "\n" not in word and len(word) < 60:
        return [licence(word)]
    classifiers = [line.rsplit("::", 1)[-1].strip() for line in metadata.get_all("Classifier", []) if line.startswith("License ::")]
    return [licence(word) for word in sorted(classifiers)] or [licence("see its .dist-info")]


def wheels(root: Path) -> Iterator[dict[str, Any]]:
    """Components of the Python packages that are installed."""
    for file in sorted((root / SITE).glob("*.dist-info/METADATA")):
        metadata = HeaderParser().parsestr(file.read_text(errors="replace"))
        name, version = re.sub(r"[-_.]+", "-", metadata["Name"]).lower(), metadata["Version"]
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{quote(version, safe='.-_')}",
            "licenses": wheel_licences(metadata),
            "properties": [{"name": "bessctl:lock", "value": "requirements"}],
        }


def bom(board: str, version: str, debs: Iterable[Deb], root: Path, others: Iterable[Path] = ()) -> dict[str, Any]:
    """The whole bill. `debs`: what is in the image, without what only builds it; `others`: trees with copyright files of the rest."""
    components = [*debian(debs, root, others), *wheels(root)]
    for component in components:
        component["bom-ref"] = component["purl"]
    components.sort(key=lambda component: component["purl"])
    subject = {
        "type": "operating-system",
        "bom-ref": "image",
        "name": f"bessctl-{board}",
        "version": version,
        "licenses": [licence("Apache-2.0")],
    }
    properties = [{"name": "bessctl:board", "value": board}, {"name": "bessctl:architecture", "value": ARCH}]
    body = {"metadata": {"component": subject, "properties": properties}, "components": components}
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{number}", "version": 1, **body}


def write(out: Path, found: dict[str, Any]) -> None:
    """The bill, and beside it the licences with what is under each."""
    out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    out.with_suffix(".licences.txt").write_text(table(found))


def table(found: dict[str, Any]) -> str:
    """`licence: package package ...`, a line each."""
    under: dict[str, list[str]] = {}
    for component in found["components"]:
        for entry in component["licenses"]:
            word = entry.get("expression") or entry["license"].get("id") or entry["license"]["name"]
            under.setdefault(word, []).append(component["name"])
    return "".join(f"{word}: {' '.join(sorted(set(names)))}\n" for word, names in sorted(under.items()))
