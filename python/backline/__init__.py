"""The Python half of Backline: worker processes that run WSGI and ASGI applications for the server."""

# The server reads this line from the package it carries, and both ends compare it in their hello.
__version__ = "0.1.0"
