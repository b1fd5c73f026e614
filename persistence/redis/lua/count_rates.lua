#!lua
-- Counts hits: of each key this window's, and the last one's weighted by what of it still lies in the past window.
--
-- KEYS: one a hit, in order; a key may come more than once. ARGV: limit and length of the window (ms) of each.
-- Returns for each 0, or how many ms to wait; such a hit does not count.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local waits = {}

for n, key in ipairs(KEYS) do
  local limit, window_ms = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
  local window = math.floor(now_ms / window_ms)
  local elapsed_ms = now_ms - window * window_ms
  local held = redis.call('HMGET', key, 'window', 'current', 'last')
  local counted_in = tonumber(held[1] or window)
  local current, last = tonumber(held[2] or 0), tonumber(held[3] or 0)
  if counted_in ~= window then
    last = counted_in == window - 1 and current or 0
    current = 0
  end
  if current * window_ms + last * (window_ms - elapsed_ms) + window_ms > limit * window_ms then
    local fits_at_ms
    if current + 1 <= limit and last > 0 then
      -- In this window, as the last one fades.
      fits_at_ms = window_ms - math.floor((limit - current - 1) * window_ms / last)
    else
      -- In the next one, as this fades.
      fits_at_ms = 2 * window_ms - math.floor((limit - 1) * window_ms / math.max(1, current))
    end
    waits[n] = math.max(1, fits_at_ms - elapsed_ms)
  else
    redis.call('HSET', key, 'window', window, 'current', current + 1, 'last', last)
    redis.call('PEXPIRE', key, 2 * window_ms)
    waits[n] = 0
  end
end
return waits
