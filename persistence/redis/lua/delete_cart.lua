#!lua
-- Removes a cart at exactly this version while it is expired: one that began anew may have reached the same version.
--
-- KEYS: the cart's hash, carts by expiry, outbox. ARGV: id, expected version, "1" if an event breaks a constraint, then
-- the fields of its events (11 each).
-- Returns "gone", "kept" or "refused".

local EVENT_FIELDS = {
  'entity_type', 'entity_id', 'version', 'type', 'schema_version', 'body',
  'command_id', 'correlation_id', 'causation_id', 'traceparent', 'at_ms',
}
local cart, by_expiry, outbox = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local held = redis.call('HMGET', cart, 'version', 'expires_at_ms')
if held[1] ~= ARGV[2] or tonumber(held[2]) > now_ms then return 'kept' end
if ARGV[3] == '1' then return 'refused' end
redis.call('ZCARD', by_expiry)
redis.call('XLEN', outbox)

redis.call('DEL', cart)
redis.call('ZREM', by_expiry, ARGV[1])
for first = 4, #ARGV, #EVENT_FIELDS do
  local fields = {}
  for n, name in ipairs(EVENT_FIELDS) do
    fields[2 * n - 1], fields[2 * n] = name, ARGV[first + n - 1]
  end
  redis.call('XADD', outbox, '0-*', unpack(fields))
end
return 'gone'
