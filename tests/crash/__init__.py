"""What a store holds after a death at any moment: the kill of the daemon, and the loss of power.

`steps` says what is done and what must be true after it, `scenarios` puts steps together, `play` performs them in
a process that will die, `invariants` opens what is left and judges it by itself, `judging` by what was acknowledged.
"""
