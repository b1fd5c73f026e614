"""What the shop does for its customers: shared by the API and the web pages."""
