"""The catalog's writing side: changes of products over HTTP, and their import and export as files."""
