"""Templates of the change document: pages, stage fragments, incident pages, messages. Prose and no logic; see README.md."""
