"""The WSGI entry point: `granian --interface wsgi app:app`, and where `flask` finds the application."""

import gc

from portal import create_app
from portal.config import SettingsError

try:
    app = create_app()
except SettingsError as error:
    raise SystemExit(f"The portal does not start: {error}.") from None

# What is here now stays as long as the process does. The collector would walk all of it again and again, 80 ms each time.
gc.collect()
gc.freeze()
