"""The history of the schema, one file a step; `flask db upgrade` walks it on SQLite and PostgreSQL alike."""
