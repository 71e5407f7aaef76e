"""Scripts fed to the Python inside a service's container; standard library only."""
