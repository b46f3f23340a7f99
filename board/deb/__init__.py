"""Builds a Debian package for controllers that keep their vendor's Debian: `make deb ARCH=arm64 RELEASE=bookworm`.

    target   for which Debian and architecture: its Python, its compiler, its headers (pinned in headers.lock)
    tree     what is installed where: Python packages below /opt/bessctl, units and settings in the system's folders
    control  what dpkg is told: dependencies, scripts, conffiles, copyright

Without debhelper: a staged tree and dpkg-deb. Nothing of the target's architecture is executed. Nothing is enabled by installing it.
"""
