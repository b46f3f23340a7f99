"""Every index of a sealed configuration within its array; checked once, before the loop trusts it."""

from bessctl_core.sealed import SealedSite

def fault_of(site: SealedSite) -> str | None: ...
