"""R16, CARD-4: an update whose layout is another one finds its site sealed, and so does the release before after a fall back (ADR 0066).

The releases of these stories have the layouts 12 and 13; what one of them wrote the other cannot run.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessctl.config import reseal
from bessctl.config.identity import differing, identity, marks
from bessctl.config.load import LoadedSite
from bessctl.config.reseal import Files, Release
from bessctl.config.seal import seal
from bessctl.corelink import seal as core
from bessctl.devices import discovery
from bessctl.errors import ConfigError
from bessctl_core import sealed
from tests.sites import example_site, sealed_example, standard_devices

OTHER = ("pickup_v: 3.65", "pickup_v: 3.64")


def of_layout(content: bytes, layout: int) -> bytes:
    """The same site as a release of another layout seals it: its structure is longer."""
    _, _, size, names_size, _, _ = sealed.HEADER.unpack_from(content)
    body = content[sealed.HEADER.size :]
    body = body[:size] + bytes(8 * layout) + body[size:]
    return sealed.HEADER.pack(sealed.MAGIC, layout, size + 8 * layout, names_size, 0, sha256(body).digest()) + body


def never() -> bytes:
    raise AssertionError("nothing is to be sealed")


def release(layout: int, makes: Callable[[], bytes] | bytes = never) -> Release:
    """`makes`: what it seals of site.yaml as it stands."""
    compiled = makes if callable(makes) else lambda: of_layout(makes, layout)
    return Release(layout, compiled, lambda data: core.look(data)[0] == layout)


@pytest.fixture(scope="module")
def site() -> bytes:
    return sealed_example().content


@pytest.fixture(scope="module")
def changed() -> bytes:
    return sealed_example(OTHER).content


@pytest.fixture
def files(tmp_path: Path, site: bytes) -> Files:
    """Sealed by the release of layout 12."""
    found = Files(tmp_path / "site.sealed")
    found.sealed.write_bytes(of_layout(site, 12))
    return found


def layout(path: Path) -> int:
    return core.look(path.read_bytes())[0]


def test_the_new_release_seals_the_same_site_again_and_keeps_what_was_there(files: Files, site: bytes) -> None:
    assert "sealed again" in reseal.in_force(files, release(13, site))
    assert (layout(files.sealed), layout(files.kept(12))) == (13, 12)
    assert reseal.same(files.sealed.read_bytes(), core.look(files.kept(12).read_bytes())[1]), "R16: what was tried is what runs"


def test_after_a_fall_back_each_release_finds_its_own_file_without_sealing(files: Files, site: bytes) -> None:
    """The old slot's release needs nothing but its file: site.yaml may have been taken away."""
    before = files.sealed.read_bytes()
    reseal.in_force(files, release(13, site))
    newer = files.sealed.read_bytes()
    assert "own is in force again" in reseal.in_force(files, release(12))
    assert files.sealed.read_bytes() == before
    reseal.in_force(files, release(13))
    assert files.sealed.read_bytes() == newer


def test_a_site_that_was_changed_and_not_sealed_is_the_operators_to_seal(files: Files, changed: bytes) -> None:
    before = files.sealed.read_bytes()
    with pytest.raises(ConfigError, match=r"row_pickup.*changed after it was sealed.*check --seal.*commission"):
        reseal.in_force(files, release(13, changed))
    assert files.sealed.read_bytes() == before
    assert not files.kept(12).exists()


def test_a_kept_file_of_another_configuration_never_comes_back(files: Files, site: bytes, changed: bytes) -> None:
    """Sealed by hand under 13 since: what 12 kept is an old site. 12 seals the new one, or refuses where it makes something else of it."""
    reseal.in_force(files, release(13, site))
    core.store(str(files.sealed), of_layout(changed, 13))
    with pytest.raises(ConfigError, match="another configuration"):
        reseal.in_force(files, release(12, site))
    assert "sealed again" in reseal.in_force(files, release(12, changed))
    assert core.look(files.sealed.read_bytes())[1] == core.look(changed)[1]


def test_of_its_own_layout_nothing_is_done_whatever_the_site_says_by_now(files: Files, tmp_path: Path) -> None:
    """To seal a change is the operator's act, not that of a start."""
    assert reseal.in_force(files, release(12)) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["site.sealed"]


def test_a_file_that_does_not_say_what_it_configures_is_not_taken_for_the_same(files: Files, site: bytes) -> None:
    config = core.unpack(site).config_bytes
    files.sealed.write_bytes(of_layout(core.pack(config, {"units": ["unit1"]}), 12))
    with pytest.raises(ConfigError, match="does not say what it configures"):
        reseal.in_force(files, release(13, site))


def test_a_site_that_the_new_release_refuses_is_told_with_its_place(files: Files) -> None:
    def refuses() -> bytes:
        raise ConfigError("site.yaml:7:3", "rate_hz: at most 500")

    with pytest.raises(ConfigError, match=r"does not accept the site: site.yaml:7:3"):
        reseal.in_force(files, release(13, refuses))
    assert layout(files.sealed) == 12


@pytest.mark.parametrize("spoilt", [b"", b"BESSEAL1", b"x" * 500])
def test_a_kept_file_that_is_broken_is_not_used(files: Files, site: bytes, spoilt: bytes) -> None:
    files.kept(13).write_bytes(spoilt)
    here = Release(13, lambda: of_layout(site, 13), lambda data: data[:8] == sealed.MAGIC and len(data) > 100)
    assert "sealed again" in reseal.in_force(files, here)


def test_a_sealed_file_that_is_cut_short_is_never_sealed_again_by_itself(files: Files, site: bytes) -> None:
    files.sealed.write_bytes(files.sealed.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="does not match its hash"):
        reseal.in_force(files, release(13, site))


def test_what_releases_of_no_slot_kept_is_taken_away(files: Files, site: bytes, tmp_path: Path) -> None:
    for name in ("site.sealed.9", "site.sealed.11", "site.sealed.note"):
        (tmp_path / name).write_text("")
    reseal.in_force(files, release(13, site))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.sealed", "site.sealed.12", "site.sealed.note"]


def test_this_release_seals_a_site_of_another_layout_from_its_files(tmp_path: Path) -> None:
    """The whole way: discovery beside the site, this build's layout."""
    example = example_site()
    loaded = LoadedSite(tmp_path / "site.yaml", example.site, example.tree)
    discovery.store(loaded.discovery_file, standard_devices(loaded))
    mine = seal(loaded, standard_devices(loaded)).content
    sealed_file = tmp_path / "site.sealed"
    sealed_file.write_bytes(of_layout(mine, core.LAYOUT - 1))
    assert "sealed again" in reseal.of_site(loaded, sealed_file)
    assert sealed_file.read_bytes() == mine
    assert core.load(str(sealed_file)).identity == bytes.fromhex(core.look(mine)[1]["identity"])


# --- the identity -------------------------------------------------------------------------------------------------------------------------

BEFORE = [("n", "i4"), ("limit_w", "f8"), ("pickup", "f8", 4), ("path", "S1", 6)]
AFTER = [("pickup", "f8", 9), ("added_w", "f8", 3), ("path", "S1", 12), ("n", "i8"), ("grace_s", "f8"), ("limit_w", "f8")]
NAMES = {"site": "s", "units": ["a"], "slots": [], "devices": ["p"], "buses": ["b"]}


def record(fields: list[Any], **values: Any) -> Any:
    found = np.zeros(1, dtype=fields)[0]
    stated: dict[str, Any] = {"n": 2, "limit_w": nan, "pickup": [3.65, 0.0, -1.5], "path": [b"/", b"d"]} | values
    for name, value in stated.items():
        if found[name].shape:
            found[name][: len(value)] = value
        else:
            found[name] = value
    return found


def who(config: Any, **more: Any) -> str:
    return identity(marks(config, NAMES, **more))


def test_a_layout_with_more_room_another_order_and_fields_nobody_uses_is_the_same_configuration() -> None:
    assert who(record(BEFORE)) == who(record(AFTER))


@pytest.mark.parametrize(
    "values",
    [
        {"n": 3},
        {"limit_w": 0.0},  # an order, where NaN is no statement
        {"limit_w": 1.0},
        {"pickup": [3.65, 0.0, -1.4]},
        {"pickup": [3.65, 0.0]},
        {"path": [b"/", b"e"]},
        {"added_w": [0.0, 5.0]},
        {"grace_s": 2.0},
    ],
)
def test_any_other_value_is_another_configuration(values: dict[str, Any]) -> None:
    other = record(AFTER, **values)
    assert who(other) != who(record(BEFORE))
    assert differing(marks(record(BEFORE), NAMES), marks(other, NAMES)) == list(values)


def test_a_field_with_a_value_that_means_as_before_is_no_change() -> None:
    """What a release must say of a field that is not zero at sites which never heard of it."""
    as_before = {"grace_s": [2.0]}
    assert who(record(AFTER, grace_s=2.0), as_before=as_before) == who(record(BEFORE))
    assert who(record(AFTER, grace_s=3.0), as_before=as_before) != who(record(BEFORE))


def test_other_names_are_another_configuration() -> None:
    """R16: what was tried was this unit, on this device."""
    swapped = identity(marks(record(BEFORE), NAMES | {"units": ["b"]}))
    assert swapped != who(record(BEFORE))


def test_words_that_no_device_hears_change_nothing(site: bytes) -> None:
    """A comment, a server's address: the loop's configuration is the same, and so is what was tried."""
    told = sealed_example(("ws://127.0.0.1:9000/ocpp", "ws://127.0.0.1:9001/ocpp # moved"))
    assert told.names["identity"] == core.look(site)[1]["identity"]
