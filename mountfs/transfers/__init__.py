"""What waits for the bucket, in trio: requests in worker threads, uploads, downloads, looks at what others wrote.

    carrier      carries out protocol steps; knows whether the bucket answers at all
    bucket       connection, and the parts below put together: what handlers and commands ask
    uploads      when a job's debt is paid, what is parked and why
    downloads    content that is not here: one download for all who wait
    looks        jobs of others: first looks, refreshes, the listing of the root

What they keep true: nobody waits longer than was promised, one who waits never blocks another, and what was
acknowledged stays until the bucket has confirmed it.
"""
