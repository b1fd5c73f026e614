"""The platform's entities: the pure domain, the runtime that hosts it, and the Ray shells around both."""
