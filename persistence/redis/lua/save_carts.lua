#!lua
-- Compare-and-set of many carts, with their events and answers. Everything is judged before anything is written:
-- Redis takes nothing back.
--
-- KEYS: carts by expiry, answers by age, outbox, then each cart's hash, then each answer's key in the order of ARGV.
-- ARGV: what the server adds to a cart's expiry, the life of an answer (both ms), then for each cart:
--   id, expected version ("0": absent or expired), version, state, expires_at_ms, "1" if its rows break a constraint,
--   how many events, their fields (11 each), how many answers, of each its time and its text.
-- Returns {"written", positions of the carts that were written} or {"refused", cart id} or {"exists", an answer's key}.

local EVENT_FIELDS = {
  'entity_type', 'entity_id', 'version', 'type', 'schema_version', 'body',
  'command_id', 'correlation_id', 'causation_id', 'traceparent', 'at_ms',
}
local by_expiry, by_age, outbox = KEYS[1], KEYS[2], KEYS[3]
local grace_ms, answer_ttl_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local carts, at, next_key = {}, 3, 4
while at <= #ARGV do
  local cart = {
    key = KEYS[next_key], id = ARGV[at], expected = ARGV[at + 1], version = ARGV[at + 2], state = ARGV[at + 3],
    expires_at_ms = ARGV[at + 4], broken = ARGV[at + 5] == '1', events = {}, answers = {},
  }
  next_key = next_key + 1
  local events_at = at + 7
  for n = 1, tonumber(ARGV[at + 6]) do
    cart.events[n] = events_at + (n - 1) * #EVENT_FIELDS
  end
  local answers_at = events_at + tonumber(ARGV[at + 6]) * #EVENT_FIELDS
  for n = 1, tonumber(ARGV[answers_at]) do
    cart.answers[n] = { at_ms = ARGV[answers_at + 2 * n - 1], text = ARGV[answers_at + 2 * n] }
  end
  at = answers_at + 2 * tonumber(ARGV[answers_at]) + 1
  carts[#carts + 1] = cart
end
for _, cart in ipairs(carts) do
  for _, answer in ipairs(cart.answers) do
    answer.key = KEYS[next_key]
    next_key = next_key + 1
  end
end

local passed, answered = {}, {}
for n, cart in ipairs(carts) do
  local held = redis.call('HMGET', cart.key, 'version', 'expires_at_ms')
  local passes
  if cart.expected == '0' then
    passes = not held[1] or tonumber(held[2]) <= now_ms
  else
    passes = held[1] == cart.expected
  end
  if passes then
    if cart.broken then return { 'refused', cart.id } end
    for _, answer in ipairs(cart.answers) do
      if answered[answer.key] or redis.call('EXISTS', answer.key) == 1 then return { 'exists', answer.key } end
      answered[answer.key] = true
    end
    passed[#passed + 1] = n
  end
end
-- Their types, too: whoever put something else under one of these names must not stop us half way.
redis.call('ZCARD', by_expiry)
redis.call('ZCARD', by_age)
redis.call('XLEN', outbox)

for _, n in ipairs(passed) do
  local cart = carts[n]
  redis.call('HSET', cart.key, 'version', cart.version, 'state', cart.state, 'expires_at_ms', cart.expires_at_ms)
  -- From now on at the least: a cart that is over already must still be found by those who say so.
  redis.call('PEXPIREAT', cart.key, string.format('%.0f', math.max(tonumber(cart.expires_at_ms), now_ms) + grace_ms))
  redis.call('ZADD', by_expiry, cart.expires_at_ms, cart.id)
  for _, first in ipairs(cart.events) do
    local fields = {}
    for n, name in ipairs(EVENT_FIELDS) do
      fields[2 * n - 1], fields[2 * n] = name, ARGV[first + n - 1]
    end
    redis.call('XADD', outbox, '0-*', unpack(fields))
  end
  for _, answer in ipairs(cart.answers) do
    redis.call('SET', answer.key, answer.text, 'PX', answer_ttl_ms)
    redis.call('ZADD', by_age, answer.at_ms, answer.key)
  end
end
return { 'written', passed }
