"""Templates of the change document: pages, stages, incidents, messages. Prose, no logic: see README.md."""
