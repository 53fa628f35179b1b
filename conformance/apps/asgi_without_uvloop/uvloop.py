"""Found before the real uvloop by workers that get this folder with --pythonpath."""

raise ImportError("hidden, so that the standard library's event loop is tested too")
