"""Stands in the way of a library that comes with the tools for tests: structlog loads it wherever it is, and a production
installation does not have it. So what is measured is the memory that the portal takes there."""

raise ImportError("not installed where the portal runs")
