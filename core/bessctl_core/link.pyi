"""Nothing for Python here: links are driven by bus.pyx."""
