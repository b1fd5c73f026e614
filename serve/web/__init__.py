"""Pages, made of templates."""
