"""Which pixels speak for a network's answer, by which method, and what each map of them is worth."""
