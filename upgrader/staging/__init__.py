"""A staging cloud: made like production and kept apart from it, filled with production's data, and what counts there.

Knows no stage and no verb. Reads the staging site's files and journal; writes there only what it says it writes.
"""
