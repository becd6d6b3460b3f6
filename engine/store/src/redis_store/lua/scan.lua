#!lua flags=no-writes
-- Reads entries of a shard's part of the lists: key, value, key, value, ...
--
-- KEYS  1 the keys in order, 2 the values
-- ARGV  1 from, 2 to (as ZRANGEBYLEX has it), 3 how many at most
local keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local entries = {}
for first = 1, #keys, 1000 do
  local last = math.min(first + 999, #keys)
  local values = redis.call('HMGET', KEYS[2], unpack(keys, first, last))
  for place = first, last do
    entries[2 * place - 1] = keys[place]
    entries[2 * place] = values[place - first + 1]
  end
end
return entries
