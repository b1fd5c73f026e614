#!lua
-- Takes carts that are gone (the server removed them, or lost them) from the index by expiry.
--
-- KEYS: carts by expiry, then each cart's hash. ARGV: their ids, in the same order. Returns how many were taken out.

local taken = 0
for n, id in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[n + 1]) == 0 then
    taken = taken + redis.call('ZREM', KEYS[1], id)
  end
end
return taken
