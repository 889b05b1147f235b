"""Versions of what jobs leave in the store. Imports nothing: a sweep's parent reads it."""

#: Raised by hand when code changes what it makes: what is in the store is then made again.
KINDS = {"checkpoint": 1, "variant": 1, "modules": 1, "module": 1, "composed": 2}
