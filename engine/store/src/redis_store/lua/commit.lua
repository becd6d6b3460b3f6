#!lua
-- Applies one batch: all of it, or nothing. Everything that could be refused is looked at before the first write.
--
-- KEYS  1 the shard's own hash, 2 the heads, then what the operations name by number
-- ARGV  1 writer, 2 the number that it gave this commit, 3 the epoch's record, 4 how many heads, then so many entities,
--       and as many heads' records; then operations: command, number of the key, number of arguments, arguments
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer', 'number', 'check')
if known[1] == '' then
  -- No record is empty: it would look like none.
  return {'damaged'}
end
if known[2] == ARGV[1] then
  if known[4] ~= (known[3] or '') .. ':' .. ARGV[1] then
    -- A number that has changed would make of this one the same as the last.
    return {'damaged'}
  end
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
local heads = tonumber(ARGV[4])
for first = 1, heads, 1000 do
  local last = math.min(first + 999, heads)
  local stored = redis.call('HMGET', KEYS[2], unpack(ARGV, 4 + first, 4 + last))
  for place = first, last do
    local head, expected = stored[place - first + 1], ARGV[4 + heads + place]
    -- An entity that has no head has no records, as one whose head says 0.
    if head ~= expected and (head or string.sub(expected, 6) ~= '\0\0\0\0\0\0\0\0') then
      return {'conflict', ARGV[4 + place], head or ''}
    end
  end
end
local at, last = 5 + 2 * heads, #ARGV
while at <= last do
  local count = tonumber(ARGV[at + 2])
  redis.call(ARGV[at], KEYS[tonumber(ARGV[at + 1])], unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end
redis.call('HSET', KEYS[1], 'writer', ARGV[1], 'number', ARGV[2], 'check', ARGV[2] .. ':' .. ARGV[1])
return {'done'}
