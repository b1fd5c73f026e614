#!lua
-- Becomes the outbox's consumer. KEYS: the epoch. Returns the new one.

return redis.call('INCR', KEYS[1])
