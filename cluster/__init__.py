"""Generic sharding: who lives, who owns which shard, and how a message finds its entity. Knows no cart."""
