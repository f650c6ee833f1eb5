"""Download: one blob on its way here, whatever becomes of the line."""
