"""Nothing for Python: see sunspec_image.pxd."""
