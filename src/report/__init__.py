"""Views of a result: screen, page, pictures, dashboard. They know `src.result` and nothing about any study."""
