"""How much every activation of a network changes when its input is transformed."""
