#!lua flags=no-writes
-- Reads a part of a log.
--
-- KEYS  1 the heads, 2 the log
-- ARGV  1 the entity, 2 'after' or 'before', 3 the number, 4 how many
local length = redis.call('LLEN', KEYS[2])
local number, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local first, last
if ARGV[2] == 'after' then
  first, last = number, math.min(length, number + limit)
else
  last = math.min(length, number - 1)
  first = math.max(0, last - limit)
end
local records = {}
if first < last then
  records = redis.call('LRANGE', KEYS[2], string.format('%.0f', first), string.format('%.0f', last - 1))
end
return {redis.call('HGET', KEYS[1], ARGV[1]), string.format('%.0f', first), records}
