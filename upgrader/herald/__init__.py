"""The process beside a run that tells the outside of it: keeps the metrics' file current, and sends notices.

Why a process of its own. The command that drives a run dies with its terminal, while the stage it started goes on.
The supervisor lives for one stage, so a run that waits for an approval has none; and it must not share its fate, its
lock or its memory with a mail server. The probe of the public APIs works beside some stages only, may be switched off,
and holds the cloud's password. What is told here is read from the journal and the attempts' files, whoever wrote them:
every command that takes the lease, and every stage that begins, sees to it that this process is there.

`start.py` is for those commands; `python -m upgrader.herald SITE_FILE` is the process, `work.py` what it does.
"""
