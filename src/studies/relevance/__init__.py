"""Which pixels speak for a network's answer, and whether the map that says so is any good."""
