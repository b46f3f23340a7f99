"""Debian packages for the board: resolved once into `debian.lock`, then fetched by hash and unpacked without running any of their scripts.

The lock is what makes two builds the same: one line a package, `name version sha256 path`. `python -m board.image lock` renews it; a build
never resolves. A version that the mirror no longer has is fetched from snapshot.debian.org.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

HERE = Path(__file__).resolve().parent
WANTED, LOCK = HERE / "debian.txt", HERE / "debian.lock"
RELEASE, ARCH = "trixie", "arm64"
MIRROR = "http://deb.debian.org"
SNAPSHOT = "20261122T000000Z"
"""The day of the lock: the archive as it was then still has what the mirror no longer does. Renewed with the lock."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("debian {0}", "debian {0}-updates", "debian-security {0}-security")


class ImageError(Exception):
    """The image cannot be built; says what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Deb:
    """A package as it is pinned.

    `group`: `root`, or what it is only needed for (`build`: headers; `host-amd64`: the build machine's own; a board's name: its firmware).
    """

    group: str
    name: str
    version: str
    sha256: str
    path: str

    @property
    def file(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def wanted() -> dict[str, list[str]]:
    """debian.txt: the packages by group, `group: package ...`, comments by #."""
    groups: dict[str, list[str]] = {}
    for line in WANTED.read_text().splitlines():
        group, colon, packages = line.split("#")[0].partition(":")
        if colon:
            groups.setdefault(group.strip(), []).extend(packages.split())
    return groups


def locked() -> list[Deb]:
    """debian.lock. Raises ImageError."""
    try:
        lines = LOCK.read_text().splitlines()
    except OSError as e:
        raise ImageError(f"{LOCK}: {e.strerror}; write it with `python -m board.image lock`") from e
    return [Deb(*line.split()) for line in lines if line and not line.startswith("#")]


# --- resolving ----------------------------------------------------------------------------------------------------------------------------


def resolve(work: Path) -> list[Deb]:
    """Ask the archive. The packages of `root` are what every image has; the other groups hold only what they add to it."""
    apt = _apt(work / ARCH, ARCH)
    groups = wanted()
    hosts = {name for name in groups if name.startswith("host-")}
    base = _needed(apt, ["?essential", *groups["root"]])
    found = _pinned(apt, "root", base)
    for group in sorted(set(groups) - hosts - {"root"}):
        found += _pinned(apt, group, _needed(apt, ["?essential", *groups["root"], *groups[group]]) - base)
    for group in sorted(hosts):
        arch = group.removeprefix("host-")
        other = _apt(work / arch, arch)
        found += _pinned(other, group, _needed(other, groups[group]))
    return found


def pinned(work: Path, arch: str, release: str, names: Iterable[str]) -> list[Deb]:
    """These packages alone, without what they need, of any release; the group is `RELEASE-ARCH`."""
    apt = _apt(work / f"{release}-{arch}", arch, release)
    wanted_names = set(names)
    newest = {name: version for name, version in _needed(apt, sorted(wanted_names)) if name in wanted_names}
    return _pinned(apt, f"{release}-{arch}", set(newest.items()))


def write_lock(debs: Iterable[Deb]) -> None:
    lines = [" ".join((d.group, d.name, d.version, d.sha256, d.path)) for d in sorted(debs)]
    LOCK.write_text(
        "# Made by `python -m board.image lock` from debian.txt: group, name, version, sha256, path\n" + "\n".join(lines) + "\n"
    )


def _apt(work: Path, arch: str, release: str = RELEASE) -> list[str]:
    """apt-get with nothing of this machine: its own lists, fresh, its own empty status."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "state/status").touch()
    sources = "".join(
        f"deb [arch={arch} signed-by={KEYRING}] {MIRROR}/{suite.format(release)} main non-free-firmware\n" for suite in SUITES
    )
    (work / "sources.list").write_text(sources)
    options = {
        "Dir::State": work / "state", "Dir::State::status": work / "state/status", "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::Etc::preferencesparts": "-",
        "APT::Architecture": arch, "APT::Architectures": arch, "APT::Install-Recommends": "false", "Debug::NoLocking": "1",
    }  # fmt: skip
    apt = ["apt-get", *(f"-o{key}={value}" for key, value in options.items())]
    _run([*apt, "-q", "update"])
    return apt


def _needed(apt: list[str], packages: list[str]) -> set[tuple[str, str]]:
    """{(name, version)} of what these packages need, themselves included."""
    said = _run([*apt, "install", "-y", "-s", *packages])
    return {(name.split(":")[0], version) for name, version in re.findall(r"^Inst (\S+) \((\S+) ", said, re.M)}


def _pinned(apt: list[str], group: str, packages: set[tuple[str, str]]) -> list[Deb]:
    """With path and hash, as the archive's index has them."""
    shown = _run(["apt-cache", *apt[1:], "show", *(f"{name}={version}" for name, version in sorted(packages))])
    found = []
    for stanza in shown.strip().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Filename|SHA256): (\S+)$", stanza, re.M))
        found.append(Deb(group, fields["Package"], fields["Version"], fields["SHA256"], fields["Filename"]))
    return found


# --- fetching -----------------------------------------------------------------------------------------------------------------------------


def fetch(debs: Iterable[Deb], into: Path) -> None:
    """Every package in the folder, its hash checked. Raises ImageError for one that nobody has."""
    into.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda deb: _fetch(deb, into / deb.file), debs))


def _fetch(deb: Deb, file: Path) -> None:
    if file.exists() and _sha256(file) == deb.sha256:
        return
    part = file.with_suffix(".part")
    for place in _places(deb):
        try:
            with urllib.request.urlopen(place, timeout=60) as reply, part.open("wb") as out:
                while block := reply.read(1 << 20):
                    out.write(block)
        except (URLError, TimeoutError, ConnectionError):
            continue
        if _sha256(part) == deb.sha256:
            part.replace(file)
            return
        part.unlink()
    raise ImageError(
        f"{deb.file}: not on {MIRROR} nor on snapshot.debian.org with the pinned hash; renew the lock: python -m board.image lock"
    )


def _places(deb: Deb) -> list[str]:
    archive = "debian-security" if deb.path.startswith("pool/updates/") else "debian"
    return [f"{MIRROR}/{archive}/{deb.path}", f"https://snapshot.debian.org/archive/{archive}/{SNAPSHOT}/{deb.path}"]


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def unpack(debs: Iterable[Deb], archive: Path, root: Path) -> None:
    """Their files, no script of theirs run. The folders that usrmerge made links are links before the first package comes."""
    root.mkdir(parents=True)
    for folder in ("bin", "sbin", "lib"):
        (root / "usr" / folder).mkdir(parents=True)
        (root / folder).symlink_to(f"usr/{folder}")
    for deb in debs:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive / deb.file], stdout=subprocess.PIPE) as reader:
            tar = ["tar", "-x", "-C", str(root), "--keep-directory-symlink", "--no-same-owner", "--delay-directory-restore"]
            subprocess.run(tar, stdin=reader.stdout, check=True)
        if reader.returncode:
            raise ImageError(f"{deb.file}: dpkg-deb could not read it")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
    return done.stdout
