#!lua
-- Gives the next number, or makes the one who has it a member.
--
-- KEYS  1 state, 2 beats, 3 cards
-- ARGV  1 where to begin if nobody has ever joined; or 1 '', 2 the number, 3 the card
if ARGV[1] ~= '' then
  redis.call('HSETNX', KEYS[1], 'nodes', ARGV[1])
  return redis.call('HINCRBY', KEYS[1], 'nodes', 1)
end
redis.call('HSET', KEYS[2], ARGV[2], 0)
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
return 1
