#!lua
-- Gives the records an identity, if they still have the expected one, and notes which servers it is known to hold for.
--
-- KEYS  1 state, 2 servers
-- ARGV  1 the expected identity ('' for none), 2 the new one, 3 '1' if these are all masters, then of each its run and its name
if (redis.call('HGET', KEYS[1], 'identity') or '') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'identity', ARGV[2])
  if ARGV[3] == '1' then
    redis.call('DEL', KEYS[2])
  end
  if #ARGV > 3 then
    redis.call('HSET', KEYS[2], unpack(ARGV, 4))
  end
end
return redis.call('HGET', KEYS[1], 'identity')
