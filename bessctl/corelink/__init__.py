"""The only way from bessctl to the core: shared segments (`link`), and the sealed file and the layout's numbers (`seal`)."""

from __future__ import annotations

from bessctl.corelink.link import CoreLink, attach

__all__ = ["CoreLink", "attach"]
