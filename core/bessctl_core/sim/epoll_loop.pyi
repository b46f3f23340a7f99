"""Nothing for Python: see epoll_loop.pxd."""
