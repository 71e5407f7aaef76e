"""A run as Prometheus reads it: gauges from what is watched, in the text format, in a file for node_exporter.

`gauges.py` says which, `exposition.py` how they are written, `textfile.py` where; who keeps the file current while a
run goes on is `upgrader.herald`'s business.
"""
