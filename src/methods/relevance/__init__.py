"""Maps of relevance: which pixels speak for a class, and whether such a map is any good."""
