"""How a network did, as a page with pictures."""
