"""Views of a result: screen, page, pictures, dashboard. They know `src.core.result` and nothing about any study."""
