#!lua
-- Replaces a shard's epoch, if it is still the expected one; answers with the one that there is otherwise.
--
-- KEYS  1 the shard's own hash
-- ARGV  1 writer, 2 the number that it gave this call, 3 the expected epoch's record ('' for none), 4 the new one
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer', 'number')
if known[2] == ARGV[1] and tonumber(ARGV[2]) <= tonumber(known[3]) then
  return {'late'}
end
if (known[1] or '') ~= ARGV[3] then
  return {'other', known[1] or ''}
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'writer', ARGV[1], 'number', ARGV[2])
return {'done'}
