"""What runs inside a container of Nova's: sent there as one program (see program.py), so that it stands alone.

Standard library of Python 3.9 only, and SQLAlchemy, which every Nova has, for the one question its API does not answer.
Credentials are read from the container's own nova.conf and never printed.
"""
