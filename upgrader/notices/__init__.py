"""Messages to people about a run: which events, in which words, to which addresses, and each of them once.

`occasions.py` decides what is told, `ledger.py` remembers what was, `addresses.py` reads the secret addresses, and
`python -m upgrader.notices` is the process that sends; `upgrader.herald` starts it. Nothing here can hold up a run.
"""
