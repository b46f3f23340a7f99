"""A sealed file of another layout than this release's: sealed again by the machine, if that changes nothing else (ADR 0066, R16).

The rules, for the release that starts:

1. A sealed file of its own layout is in force. Nothing is done, whatever site.yaml says by now: sealing a change is the operator's act.
2. Of another layout, it is kept beside (`site.sealed.12`) for the release that wrote it, and in its place comes
   a. the one that this release kept at another time, if it has the same identity, else
   b. site.yaml sealed by this release, if that has the same identity.
3. Otherwise nothing is written and it is said what differs: site.yaml was changed after it was sealed, or this release makes something else
   of it. The loop does not start from the old file; an update falls back to the release before, whose file is still in its place.

So a release finds its own file again after a fall back, and what it finds is the configuration that was tried (R16) or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessctl.config.identity import differing
from bessctl.config.load import LoadedSite
from bessctl.corelink import seal as core
from bessctl.errors import BessctlError, ConfigError


@dataclass(frozen=True)
class Release:
    """What the rules need of the release that runs: its layout, what it makes of site.yaml, whether it can run a file's content."""

    layout: int
    compiled: Callable[[], bytes]
    runs: Callable[[bytes], bool]


@dataclass(frozen=True)
class Files:
    """The sealed file and those kept beside it, each for the release of one layout."""

    sealed: Path

    def kept(self, layout: int) -> Path:
        return self.sealed.with_name(f"{self.sealed.name}.{layout}")

    def others(self, layouts: set[int]) -> list[Path]:
        """Kept for releases of layouts that are in no slot any more."""
        return [path for path in self.sealed.parent.glob(f"{self.sealed.name}.*") if path.name not in {self.kept(n).name for n in layouts}]


def in_force(files: Files, release: Release) -> str:
    """Apply the rules. What was done in one sentence, empty for nothing. Raises ConfigError with what differs, NotReachable, OSError."""
    current = files.sealed.read_bytes()
    layout, names = core.look(current, str(files.sealed))
    if layout == release.layout:
        return ""
    kept = files.kept(release.layout)
    fitting = kept.read_bytes() if kept.exists() else b""
    how = "this release's own is in force again"
    if not (fitting and release.runs(fitting) and same(fitting, names)):
        fitting, how = compiled(files.sealed, release, names, layout), "sealed again"
    core.store(str(files.kept(layout)), current)
    core.store(str(files.sealed), fitting)
    for path in files.others({layout, release.layout}):
        if path.suffix.removeprefix(".").isdigit():
            path.unlink()
    return f"{files.sealed}: was of layout {layout}, this release has {release.layout}; {how}, the configuration is the same"


def same(content: bytes, names: Mapping[str, Any]) -> bool:
    """Has a file's content the identity that these names say?"""
    return bool(names.get("identity")) and core.look(content)[1].get("identity") == names["identity"]


def compiled(place: Path, release: Release, names: Mapping[str, Any], layout: int) -> bytes:
    """site.yaml sealed by this release. Raises ConfigError unless it is what the names say was sealed."""
    by_hand = (
        "seal it with this release by hand (bessctl check --seal); then commission again, and a latched row leaves the plant tripped (R16)"
    )
    if not names.get("identity"):
        raise ConfigError(
            str(place), f"of layout {layout}, this release has {release.layout}, and it does not say what it configures; {by_hand}"
        )
    try:
        content = release.compiled()
    except BessctlError as e:
        raise ConfigError(str(place), f"of layout {layout}, this release has {release.layout} and does not accept the site: {e}") from e
    if not same(content, names):
        fields = differing(names.get("marks", {}), core.look(content)[1].get("marks", {}))
        what = ", ".join(fields[:8]) + (f" and {len(fields) - 8} more" if len(fields) > 8 else "")
        raise ConfigError(
            str(place),
            f"of layout {layout}, this release has {release.layout}; not sealed again by itself, since it would be another configuration "
            f"({what}): the site was changed after it was sealed, or this release makes something else of it; {by_hand}",
        )
    return content


def of_site(loaded: LoadedSite, sealed: Path) -> str:
    """The same for the release that runs and a loaded site."""
    return in_force(Files(sealed), Release(core.LAYOUT, lambda: _sealed(loaded), core.runs))


def _sealed(loaded: LoadedSite) -> bytes:
    from bessctl.config.seal import seal  # noqa: PLC0415 - each start looks, on a small board, and hardly ever seals
    from bessctl.devices import discovery  # noqa: PLC0415

    return seal(loaded, discovery.load(loaded.discovery_file)).content
