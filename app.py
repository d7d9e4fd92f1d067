"""The WSGI entry point: `granian --interface wsgi app:app`, and where `flask` finds the application."""

from portal import create_app
from portal.config import SettingsError

try:
    app = create_app()
except SettingsError as error:
    raise SystemExit(f"The portal does not start: {error}.") from None
