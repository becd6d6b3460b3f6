#!lua
-- Makes sure that nothing which this writer sent before and gave up waiting for is applied from now on.
--
-- KEYS  1 the shard's own hash
-- ARGV  1 writer, 2 a number larger than that of everything it sent
local known = redis.call('HMGET', KEYS[1], 'writer', 'number', 'check')
local damaged = known[3] ~= (known[2] or '') .. ':' .. ARGV[1]
if known[1] ~= ARGV[1] or damaged or tonumber(known[2]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'writer', ARGV[1], 'number', ARGV[2], 'check', ARGV[2] .. ':' .. ARGV[1])
end
return {'done'}
