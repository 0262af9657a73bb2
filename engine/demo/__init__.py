"""The demo's material: a generated corpus and a tiny model. Importing this package loads no torch."""
