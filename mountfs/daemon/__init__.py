"""The process that serves a mount: start, background work, control socket, end.

`process.py` starts it, `serve.py` runs it, `background.py` is the work behind the requests, `control.py` answers
the command line, `client.py` asks.
"""
