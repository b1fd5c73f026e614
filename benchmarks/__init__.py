"""Load benchmarks: accepted durable orders per second through HTTP, beside honest peers."""
