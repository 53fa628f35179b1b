"""Loops: how a worker waits. Each module has ``run(conn, control, application, settings, announce)``."""
