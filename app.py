"""The WSGI entry point: `granian --interface wsgi app:app`, and where `flask` finds the application."""

from portal import create_app

app = create_app()
