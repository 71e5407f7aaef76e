"""What runs inside a Keystone container: the texts of calls.py, things.py and trial.py, one after the other, on the
standard input of its Python. Standard library only, nothing newer than Python 3.9: they run in whatever images hold."""
