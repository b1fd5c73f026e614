#!lua
-- Removes events, if the epoch is the newest. KEYS: the epoch, the outbox. ARGV: the epoch, ids. Returns 1 or 0.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for n = 2, #ARGV do
  redis.call('XDEL', KEYS[2], ARGV[n])
end
return 1
