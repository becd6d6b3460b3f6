#!lua flags=no-writes
-- Reads entities as they are at one moment.
--
-- KEYS  1 the heads, 2 the snapshots, then of each entity its log and its answers
-- ARGV  the entities
local found = {}
for place, entity in ipairs(ARGV) do
  local snapshot = redis.call('HGET', KEYS[2], entity)
  local included = 0
  if snapshot and #snapshot >= 13 then
    included = struct.unpack('>I8', snapshot, 6)
    -- No log is so long: the reader will see that the snapshot is damaged.
    if included > 9007199254740991 then included = 0 end
  end
  found[place] = {
    redis.call('HGET', KEYS[1], entity),
    snapshot,
    redis.call('LRANGE', KEYS[1 + 2 * place], string.format('%.0f', included), -1),
    redis.call('HGETALL', KEYS[2 + 2 * place]),
  }
end
return found
