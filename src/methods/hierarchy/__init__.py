"""Networks composed of independently trained modules over a label tree."""
