#!lua
-- Removes answers that are old. KEYS: answers by age, then each answer's key. ARGV: the time before which they were given.
-- Returns how many are gone.

local gone = 0
for n = 2, #KEYS do
  local at_ms = redis.call('ZSCORE', KEYS[1], KEYS[n])
  if at_ms and tonumber(at_ms) < tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[n])
    redis.call('ZREM', KEYS[1], KEYS[n])
    gone = gone + 1
  end
end
return gone
