"""The protocol of BUCKET.md: publishing, reading, maintenance, as steps that somebody else carries out.

Each is a generator that yields one request to the bucket at a time (`requests.py`) and is sent the answer, so that it
never waits and never runs in parallel with anything: the daemon answers from worker threads, a command in a row, a
test in any order that it likes, with crashes and lost answers in between. Between two requests a generator has the
catalog to itself, on the loop's thread.
"""
