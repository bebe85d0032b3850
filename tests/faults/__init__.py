"""Crashes, full disks and power losses on demand, for tests that end with "and nothing acknowledged is lost".

`shim` builds and drives a preloaded library (shim.c, calls.c) that slows, fails, ends or records the calls by
which a process changes files; `powerloss` replays such a record (`trace`) on a simulated disk (`disk`) that
forgets what was not synced.
"""
