"""Register images of real devices' maps, with what each register means by its public source: every shipped profile decodes them so.

The image and the values stand in one file, written from the source it names, not from the profile. Decoding is the tick's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bessctl.config import profiles
from bessctl.config.places import read
from bessctl.config.probe import decoded
from bessctl.devices.compiler import Role, compile_device
from bessctl.devices.discovery import FoundDevice, FoundModel

IMAGES = sorted((Path(__file__).parent / "images").glob("*.yaml"))


def registers(image: dict[str, Any]) -> dict[tuple[int, int], int]:
    """(function, address) -> register."""
    found: dict[tuple[int, int], int] = {}
    for function, space in ((3, "holding"), (4, "input")):
        for address, words in (image.get(space) or {}).items():
            found |= {(function, int(address) + i): int(word, 16) for i, word in enumerate(words.split())}
    for model in (image.get("models") or {}).values():
        found |= {(3, model["address"] + i): int(word, 16) for i, word in enumerate(model["words"].split())}
    return found


def device_of(image: dict[str, Any], profile: profiles.LoadedProfile) -> FoundDevice:
    """What discovery would find: every model of the image, every point of it."""
    models = []
    for number, model in (image.get("models") or {}).items():
        names = tuple(p.name for p in profile.profile.points if int(number) in p.models())
        models.append(FoundModel(int(number), model["address"], len(model["words"].split()) - 2, names))
    return FoundDevice("", 1, 0, "", "", "", "", (), tuple(models))


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_an_image_means_what_its_source_says(path: Path) -> None:
    image = read(path).value
    loaded = profiles.load(image["profile"])
    role = Role(loaded.profile.kind, battery=bool(image.get("battery")))
    plan = compile_device(loaded.profile, role, device_of(image, loaded))
    words = registers(image)
    found: dict[str, float] = {}
    for request in plan.reads:
        values = [words.get((request.function, request.address + i), 0) for i in range(request.count)]
        found |= decoded(plan, request, values)
    expected = {name: float("nan") if value is None else float(value) for name, value in image["expect"].items()}
    assert found == pytest.approx(expected, nan_ok=True)


def test_every_shipped_profile_has_an_image() -> None:
    assert sorted(path.stem for path in IMAGES) == profiles.names()
