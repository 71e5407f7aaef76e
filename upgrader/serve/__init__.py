"""The live page: a run as it is watched, for browsers. Read-only; nothing here can reach the run.

    address.py   where to listen, and which Host headers are ours
    access.py    the token
    feed.py      one thread looks, everybody is told the same bytes
    app.py       a request in, a response out; no socket
    loop.py      sockets: one thread for all of them, deadlines and bounded buffers
    page/        what the browser gets: no foreign asset, no inline script or style

HTTP is spoken by h11 (the protocol alone, no sockets), the optional extra `serve`. A thread per reader, as WSGI servers
have it, would keep fifty threads waking beside a run, and leave a reader that stops reading, or never ends its
request, to hold one of them; here each of them costs a buffer with a limit and a deadline.
"""
