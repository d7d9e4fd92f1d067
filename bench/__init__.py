"""What a request costs: the production server on a durable PostgreSQL, measured beside a bare Flask route. See README.md."""
