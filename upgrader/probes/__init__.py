"""Read-only health questions. A probe gets what was seen and gives findings; it never changes the cloud."""
