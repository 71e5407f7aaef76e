"""Which services are done on which hosts: counted while a play runs, read again from a small file by whoever asks.

`tally.py` counts events, `kept.py` is the file beside a play's events, `services.py` what is shown. Light.
"""
