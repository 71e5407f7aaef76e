"""What people look at while a run goes on: one model, read again and again, cheaply and without a lock.

`model.py` is the model, `sample.py` reads it; `status --watch` and `serve` draw the same. The attempt's files are
read on from where the last look ended, never from their beginning.
"""
