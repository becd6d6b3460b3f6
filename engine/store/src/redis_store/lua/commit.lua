#!lua
-- Applies one batch: all of it, or nothing. Everything that could be refused is looked at before the first write.
--
-- KEYS  1 the shard's own hash, 2 the heads, then what the operations name by number
-- ARGV  1 writer, 2 the number that it gave this commit, 3 the epoch's record, 4 how many heads, then so many pairs of
--       entity and head record; then operations: command, number of the key, number of arguments, arguments
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer', 'number')
if known[2] == ARGV[1] then
  local last, number = tonumber(known[3]), tonumber(ARGV[2])
  if number == last then
    -- Sent twice: it has been applied. Writing something makes the confirmation wait for what was written before.
    redis.call('HSET', KEYS[1], 'number', ARGV[2])
    return {'done'}
  elseif number < last then
    return {'late'}
  end
end
if known[1] ~= ARGV[3] then
  return {'fenced', known[1] or ''}
end
local at = 5
local heads_end = 4 + 2 * tonumber(ARGV[4])
while at <= heads_end do
  local stored = redis.call('HGET', KEYS[2], ARGV[at])
  local expected = ARGV[at + 1]
  -- An entity that has no head has no records, as one whose head says 0.
  if stored ~= expected and (stored or string.sub(expected, 6) ~= '\0\0\0\0\0\0\0\0') then
    return {'conflict', ARGV[at], stored or ''}
  end
  at = at + 2
end
local last = #ARGV
while at <= last do
  local count = tonumber(ARGV[at + 2])
  redis.call(ARGV[at], KEYS[tonumber(ARGV[at + 1])], unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end
redis.call('HSET', KEYS[1], 'writer', ARGV[1], 'number', ARGV[2])
return {'done'}
