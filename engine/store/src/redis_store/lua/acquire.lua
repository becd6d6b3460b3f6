#!lua
-- Replaces a shard's epoch, if it is still the expected one; answers with the one that there is otherwise.
--
-- KEYS  1 the shard's own hash
-- ARGV  1 writer, 2 the number that it gave this call, 3 the expected epoch's record ('' for none), 4 the new one
local known = redis.call('HMGET', KEYS[1], 'epoch', 'writer', 'number', 'check')
if known[1] == '' then
  -- No record is empty: it would look like none.
  return {'damaged'}
end
if known[2] == ARGV[1] then
  if known[4] ~= (known[3] or '') .. ':' .. ARGV[1] then
    return {'damaged'}
  elseif tonumber(ARGV[2]) <= tonumber(known[3]) then
    return {'late'}
  end
end
if (known[1] or '') ~= ARGV[3] then
  return {'other', known[1] or ''}
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'writer', ARGV[1], 'number', ARGV[2], 'check', ARGV[2] .. ':' .. ARGV[1])
return {'done'}
