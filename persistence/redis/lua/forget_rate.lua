#!lua
-- Forgets what a key did. KEYS: its counters.

return redis.call('DEL', KEYS[1])
