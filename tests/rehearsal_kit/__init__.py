"""Clouds that were never deployed: schemas made by a release's own migrations, a few rows, and a backup set of them."""
