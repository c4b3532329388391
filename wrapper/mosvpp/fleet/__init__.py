"""Many sites: plan an event, dispatch it to all of them, and know what became of each."""
