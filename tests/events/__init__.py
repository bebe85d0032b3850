"""Who is told of what happened, when, and how it is written (FEATURES F-132, F-135, F-178)."""
