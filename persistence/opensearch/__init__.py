"""The search index of products in OpenSearch."""
