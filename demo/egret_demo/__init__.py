"""One make-believe valley, served over real serial lines to the real programs."""
