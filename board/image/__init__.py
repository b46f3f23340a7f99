"""Builds what is flashed: a disk image with two system slots, and the signed bundle that updates them.

    debs      the Debian packages: which ones, pinned with their hashes; fetched and unpacked
    wheels    the Python side: our wheels for the board, and everything of requirements/run.lock
    root      the read-only root: packages, wheels, our files, accounts, units, byte code
    boot      kernel, initial RAM disk, boot script
    disk      partitions and file systems, and the whole image
    bundle    the update bundle, signed
    sbom      what is in it, as CycloneDX

Nothing of the board's architecture is executed but its Python, once, to compile byte code (under qemu-user).
"""
