"""The yardstick: a Flask application that does nothing but answer JSON of a given size."""

from __future__ import annotations

from flask import Flask, Response, jsonify

app = Flask(__name__)
AROUND = len('{"data":""}\n')
"""The smallest answer there is."""


@app.get("/bare/<int:size>")
def bare(size: int) -> Response:
    return jsonify(data="x" * (size - AROUND))


@app.get("/readyz")
def ready() -> Response:
    return jsonify(ready=True)
