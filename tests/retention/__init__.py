"""What expires, what never does, and when a run had better not happen (FEATURES sections 8 and 10, F-130 to F-136)."""
