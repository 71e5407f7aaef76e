"""Nova's computes during a rolling upgrade: seen, taken out of scheduling, drained, tried, put back.

`port` has the values and the protocol, `plays` the real thing (`computes_of`), `inside` the script that runs in a
container of Nova's, `decisions` what follows from its answers.
"""
