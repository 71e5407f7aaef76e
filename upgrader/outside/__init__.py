"""The availability probe beside a run: where Keystone is, who asks, starting the process, and when it may end.

`python -m upgrader.outside FOLDER` is the process (its order comes on standard input); `ensure` is for the engine's
side. What is asked and recorded is `upgrader.availability`'s business. Light: the process is small.
"""
