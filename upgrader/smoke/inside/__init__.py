"""What runs inside a Keystone container: the text of calls.py, then that of trial.py, on the standard input of its
Python. Standard library only, and nothing newer than Python 3.9: they run in whatever the image holds."""
