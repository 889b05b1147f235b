"""Where a network looks, as maps of relevance, and whether such a map is any good."""
