"""One way in: a site file becomes a Site, or every error in it is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from bessctl.config import explain, profiles, rules
from bessctl.config.places import Path, Tree, parse, read
from bessctl.config.site import Site
from bessctl.errors import ConfigError, ConfigErrors, NotReachable, UsageError


@dataclass(frozen=True)
class LoadedSite:
    """A site, and where each of its keys stands: later findings (a device that lacks a point) name the place too."""

    file: FilePath
    site: Site
    tree: Tree

    def error(self, path: Path, message: str) -> ConfigError:
        """An error at a key of this file."""
        return ConfigError(self.tree.place(path), f"{explain.dotted(path)}: {message}")

    def beside(self, given: str | None, ending: str) -> FilePath:
        """A file the site names, relative to it; not named = the site's own name with another ending."""
        return self.file.with_suffix(ending) if given is None else self.file.parent / given

    @property
    def sealed_file(self) -> FilePath:
        """What the loop runs from."""
        return self.beside(self.site.paths.sealed_file, ".sealed")

    @property
    def discovery_file(self) -> FilePath:
        """What discovery found at the devices."""
        return self.beside(self.site.paths.discovery_file, ".discovery.json")

    @property
    def state_dir(self) -> FilePath:
        """Journal and databases."""
        return (self.file.parent / self.site.paths.state_dir).absolute()

    @property
    def run_dir(self) -> FilePath:
        """Sockets."""
        return (self.file.parent / self.site.paths.run_dir).absolute()


def load_site(file: FilePath) -> LoadedSite:
    """Read, check and return a site. Raises ConfigError (all of them in one ConfigErrors) or NotReachable."""
    return from_tree(file, read(file))


def site_from_text(text: str, file: str = "site.yaml") -> LoadedSite:
    """The same for text that is in no file."""
    return from_tree(FilePath(file), parse(text, file))


def from_tree(file: FilePath, tree: Tree) -> LoadedSite:
    """The same for a parsed file."""
    if not isinstance(tree.value, dict):
        raise ConfigError(tree.place(()), "the file is empty or no set of keys; start from examples/site.yaml")
    try:
        site = Site.model_validate(tree.value)
    except ValidationError as e:
        findings = [explain.sentence(Site, error) for error in e.errors(include_url=False)]
        raise together(LoadedSite(file, Site.model_construct(), tree), findings) from None
    loaded = LoadedSite(file, site, tree)
    findings = list(learn_profiles(loaded)) or list(rules.findings(site))
    if findings:
        raise together(loaded, findings)
    return loaded


def learn_profiles(loaded: LoadedSite) -> Iterator[tuple[Path, str]]:
    """Read the profile of every device. Errors inside a profile are raised with the place in its own file."""
    for index, device in enumerate(loaded.site.devices):
        if device.kind == "io":
            continue
        path: Path = ("devices", index, "profile" if device.profile is not None else "kind")
        try:
            found = profiles.load(device.profile or profiles.DEFAULTS[device.kind], loaded.file.parent)
        except (UsageError, NotReachable) as e:
            yield path, str(e)
            continue
        if found.profile.kind != device.kind:
            yield path, f"profile {found.profile.profile!r} is that of a {found.profile.kind}; name one of a {device.kind}"
            continue
        if device.word_order is not None and not found.profile.word_order_is_option:
            yield ("devices", index, "word_order"), f"profile {found.profile.profile!r} fixes the word order; take the key out"
        learnt = {device.name: found.profile}
        if found.profile.battery is not None:
            learnt[f"{device.name}/battery"] = profiles.load(found.profile.battery, loaded.file.parent).profile
        loaded.site.learn(learnt)


def together(loaded: LoadedSite, findings: list[tuple[Path, str]]) -> ConfigError:
    """One error for all findings, in the order of the file."""
    at = loaded.tree.at
    ordered = sorted(findings, key=lambda finding: at.get(_known(finding[0], at), (0, 0)))
    errors = [loaded.error(path, message) for path, message in ordered]
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


def _known(path: Path, at: dict[Path, tuple[int, int]]) -> Path:
    while path and path not in at:
        path = path[:-1]
    return path
