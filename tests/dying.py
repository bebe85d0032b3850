"""What is left of a store when its process dies."""

from mountfs.store.store import Store


def die(store: Store) -> None:
    """What the kernel does then: nothing is said or written any more, every descriptor is closed."""
    for live in store.files.live.values():
        if live.draft is not None:
            live.draft.close()
    store.journal.close()
    store.catalog.close()
    store.state.unlock()
